// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"maps"
	"math/rand"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"
)

// model is the graph as the definitions say it: every answer looks at every lineage.
type model map[Key]Node

func (m model) keys() []Key { return slices.SortedFunc(maps.Keys(m), compareKeys) }

func (m model) holder(of string) (holder Key, held bool) {
	for _, k := range m.keys() {
		if n := m[k]; n.Claim != nil && n.Reference == of && of != "" && (!held || n.Claim.precedes(*m[holder].Claim)) {
			holder, held = k, true
		}
	}
	return holder, held
}

// builder is who builds an image, as a lineage has to believe it.
func (m model) builder(image string, of Key) (Key, bool) {
	k, held := m.holder(image)
	return k, held && (k.Namespace == of.Namespace || m[k].Claim.Built)
}

func (m model) parents(of Key) []Key {
	var out []Key
	add := func(k Key, found bool) {
		if _, there := m[k]; found && there && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	for _, parent := range m[of].From {
		if parent.Image != "" {
			add(m.builder(parent.Image, of))
		} else {
			add(parent.Lineage, true)
		}
	}
	if m.followed(of) {
		add(m.builder(m[of].Reference, of))
	}
	return out
}

func (m model) followed(k Key) bool { return len(m[k].From) == 0 && m[k].Claim == nil }

// reach is what is reached from a lineage by one step or more.
func (m model) reach(of Key) map[Key]bool {
	found := map[Key]bool{}
	for todo := m.parents(of); len(todo) > 0; todo = todo[1:] {
		if !found[todo[0]] {
			found[todo[0]] = true
			todo = append(todo, m.parents(todo[0])...)
		}
	}
	return found
}

// sorted are the lineages of which something is true.
func (m model) sorted(is func(Key) bool) []Key {
	return slices.DeleteFunc(m.keys(), func(k Key) bool { return !is(k) })
}

func (m model) names(k, of Key) bool {
	reference := m[of].Reference
	return slices.ContainsFunc(m[k].From, func(p Parent) bool {
		return p.Image == "" && p.Lineage == of || p.Image != "" && p.Image == reference
	})
}

// distance is the length of the shortest cycle on which a lineage is; 0 where it is on
// none.
func (m model) distance(of Key) int {
	at := map[Key]bool{of: true}
	for steps := 1; steps <= len(m); steps++ {
		next := map[Key]bool{}
		for k := range at {
			for _, parent := range m.parents(k) {
				next[parent] = true
			}
		}
		if next[of] {
			return steps
		}
		at = next
	}
	return 0
}

// depth is found by raising each lineage above its parents as often as it takes; who is
// on a cycle with a parent is raised to it.
func (m model) depths() map[Key]int {
	above := map[Key]map[Key]bool{}
	for k := range m {
		above[k] = m.reach(k)
	}
	depth := map[Key]int{}
	for range 2*len(m) + 1 {
		for k := range m {
			for _, parent := range m.parents(k) {
				least := depth[parent] + 1
				if above[parent][k] {
					least--
				}
				depth[k] = max(depth[k], least)
			}
		}
	}
	return depth
}

func (m model) roots(of Key) []string {
	var out []string
	for _, k := range m.sorted(func(k Key) bool { return k == of || m.reach(of)[k] }) {
		var named []string
		for _, parent := range m[k].From {
			named = append(named, parent.Image)
		}
		if m.followed(k) {
			named = append(named, m[k].Reference)
		}
		for _, image := range named {
			if _, found := m.builder(image, k); image != "" && !found {
				out = append(out, image)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unsettled are the moving lineages to which there is a way up on which nothing is held
// or on a cycle.
func (m model) unsettled(of Key, motion func(Key) Motion) []Key {
	reached := map[Key]bool{}
	for range m {
		for child := range m {
			if child != of && (!reached[child] || motion(child) == Held || m.distance(child) > 0) {
				continue
			}
			for _, k := range m.parents(child) {
				reached[k] = true
			}
		}
	}
	return m.sorted(func(k Key) bool {
		return k != of && reached[k] && m.distance(k) == 0 && motion(k) == Moving
	})
}

// compare holds all that the graph says of a lineage against the model.
func compare(t *testing.T, g *Graph, m model, of Key) {
	t.Helper()
	equal := func(what string, want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s of %s (-model +graph):\n%s\nin %v", what, of, diff, m)
		}
	}
	_, there := m[of]
	other := func(is func(k Key) bool) []Key {
		return m.sorted(func(k Key) bool { return k != of && is(k) })
	}
	equal("Parents", m.parents(of), g.Parents(of))
	equal("Children", m.sorted(func(k Key) bool { return slices.Contains(m.parents(k), of) }), g.Children(of))
	equal("HasChild", there && len(other(func(k Key) bool { return m.names(k, of) })) > 0, g.HasChild(of))
	equal("Dependents", other(func(k Key) bool {
		stand := there && m[of].Reference != "" && m[of].Reference == m[k].Reference
		return m.names(k, of) || stand && (m[of].Claim != nil || of.Namespace == k.Namespace)
	}), g.Dependents(of))
	equal("Ancestors", other(func(k Key) bool { return m.reach(of)[k] }), g.Ancestors(of))
	equal("Descendants", other(func(k Key) bool { return m.reach(k)[of] }), g.Descendants(of))
	equal("Roots", m.roots(of), g.Roots(of))
	holder, held := m.holder(m[of].Reference)
	gotHolder, gotHeld := g.Holder(m[of].Reference)
	equal("Holder", []any{holder, held}, []any{gotHolder, gotHeld})

	way := g.Cycle(of)
	equal("the length of Cycle", m.distance(of), max(len(way)-1, 0))
	for i := 1; i < len(way); i++ {
		if !slices.Contains(m.parents(way[i-1]), way[i]) {
			t.Errorf("Cycle of %s: %s is no parent of %s in %v", of, way[i], way[i-1], m)
		}
	}
	part := g.Ancestry(of)
	equal("Cycle of the Ancestry", way, part.Cycle(of))
	equal("Ancestors of the Ancestry", g.Ancestors(of), part.Ancestors(of))
	motion := func(k Key) Motion { return Motion(len(m[k].From)+len(k.Name)+int(k.Name[0])) % 3 }
	equal("Unsettled", m.unsettled(of, motion), g.Unsettled(of, motion))
	equal("Unsettled of the Ancestry", g.Unsettled(of, motion), part.Unsettled(of, motion))
	equal("Roots of the Ancestry", g.Roots(of), part.Roots(of))
	var arms []Key
	for _, parent := range g.Parents(of) {
		equal("Roots of a parent in the Ancestry", g.Roots(parent), part.Roots(parent))
		arms = append(arms, part.Arm(parent, motion)...)
	}
	slices.SortFunc(arms, compareKeys)
	if g.Cycle(of) == nil {
		equal("all Arms together", g.Unsettled(of, motion), slices.Compact(arms))
	}
}

// compareOrder holds the order of a set, and the depths that it follows, against the
// model.
func compareOrder(t *testing.T, g *Graph, m model, of []Key) {
	t.Helper()
	depth := m.depths()
	want := m.sorted(func(k Key) bool { return slices.Contains(of, k) })
	slices.SortStableFunc(want, func(a, b Key) int { return depth[a] - depth[b] })
	if diff := cmp.Diff(want, g.Order(of), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Order of %v (-model +graph):\n%s\nin %v", of, diff, m)
	}
	for _, k := range m.keys() {
		if got := g.Depth(k); got != depth[k] {
			t.Errorf("Depth of %s = %d, want %d in %v", k, got, depth[k], m)
		}
	}
}

// edits turns numbers into edits of a small fleet, whatever they are.
type edits struct{ numbers []byte }

func (e *edits) next(below int) int {
	if len(e.numbers) == 0 {
		return 0
	}
	n := int(e.numbers[0]) % below
	e.numbers = e.numbers[1:]
	return n
}

func (e *edits) key() Key {
	return Key{Namespace: "ns" + strconv.Itoa(e.next(2)), Name: strconv.Itoa(e.next(6))}
}

// image is one of a few, so that lineages meet; now and then none.
func (e *edits) image() string { return []string{"", "a", "b", "c", "d"}[e.next(5)] }

func (e *edits) node() Node {
	n := Node{Reference: e.image()}
	if flags := e.next(8); flags < 5 {
		n.Claim = &Claim{Built: flags&1 > 0, Current: flags&2 > 0, Created: int64(e.next(2)), UID: types.UID(strconv.Itoa(e.next(100)))}
	}
	for range e.next(3) {
		if image := e.image(); image != "" {
			n.From = append(n.From, Parent{Image: image})
		} else {
			n.From = append(n.From, Parent{Lineage: e.key()})
		}
	}
	return n
}

// edited makes the edits, and compares what the graph says after some of them and at the
// end. At last it deletes everything, of which nothing must be left.
func edited(t *testing.T, numbers []byte, every int) {
	t.Helper()
	e, g, m := &edits{numbers}, &Graph{}, model{}
	for step := 1; ; step++ {
		k := e.key()
		if e.next(5) == 0 {
			g.Delete(k)
			delete(m, k)
		} else {
			n := e.node()
			if n.Claim != nil { // no two have one UID
				n.Claim.UID += types.UID(k.String())
			}
			g.Put(k, n)
			m[k] = n
		}
		done := len(e.numbers) == 0
		if step%every == 0 || done {
			for _, k := range append(m.keys(), k) {
				compare(t, g, m, k)
			}
			compareOrder(t, g, m, append(m.keys()[len(m)/2:], k))
		}
		if done || t.Failed() {
			break
		}
	}
	for k := range m {
		g.Delete(k)
	}
	if len(g.lineages)+len(g.images) > 0 {
		t.Errorf("%d lineages and %d images are left of nothing", len(g.lineages), len(g.images))
	}
}

func TestGraphAgainstModel(t *testing.T) {
	for seed := range int64(25) {
		numbers := make([]byte, 600)
		_, _ = rand.New(rand.NewSource(seed)).Read(numbers)
		edited(t, numbers, 7)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzGraph(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 2})
	f.Add([]byte("an image, a parent, a claim and a way round"))
	f.Fuzz(func(t *testing.T, numbers []byte) {
		edited(t, numbers[:min(len(numbers), 400)], 10)
	})
}

// TestUnsettledNeverWaitsForEachOther is the property behind the order: two
// lineages that wait for each other would wait for ever.
func TestUnsettledNeverWaitsForEachOther(t *testing.T) {
	for seed := range int64(200) {
		rng := rand.New(rand.NewSource(seed))
		g := &Graph{}
		const size = 12
		motions := map[Key]Motion{}
		for i := range size {
			n := Node{}
			for range rng.Intn(3) {
				n.From = append(n.From, Parent{Lineage: key(strconv.Itoa(rng.Intn(size)))})
			}
			g.Put(key(strconv.Itoa(i)), n)
			motions[key(strconv.Itoa(i))] = Motion(rng.Intn(3))
		}
		waits := map[Key][]Key{}
		for k := range motions {
			waits[k] = g.Unsettled(k, func(of Key) Motion { return motions[of] })
		}
		for a := range waits {
			for _, b := range waits[a] {
				if slices.Contains(waits[b], a) {
					t.Fatalf("seed %d: %v and %v wait for each other", seed, a, b)
				}
			}
		}
	}
}
