// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"math/rand"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func key(name string) Key { return Key{Namespace: "ns", Name: name} }

func keys(names ...string) []Key {
	var out []Key
	for _, n := range names {
		out = append(out, key(n))
	}
	return out
}

func node(unsettled bool, parents ...string) Node {
	return Node{Parents: keys(parents...), Unsettled: unsettled}
}

func TestCycle(t *testing.T) {
	tests := map[string]struct {
		graph Graph
		of    string
		want  []Key
	}{
		"a chain has none": {
			graph: Graph{key("app"): node(false, "mid"), key("mid"): node(false, "base"), key("base"): node(false)},
			of:    "app",
		},
		"a lineage that names itself": {
			graph: Graph{key("a"): node(false, "a")},
			of:    "a",
			want:  keys("a", "a"),
		},
		"two that name each other, seen from either": {
			graph: Graph{key("a"): node(false, "b"), key("b"): node(false, "a")},
			of:    "b",
			want:  keys("b", "a", "b"),
		},
		"the shortest of two ways": {
			graph: Graph{key("a"): node(false, "b", "c"), key("b"): node(false, "d"), key("d"): node(false, "a"), key("c"): node(false, "a")},
			of:    "a",
			want:  keys("a", "c", "a"),
		},
		"below a cycle, but not on it": {
			graph: Graph{key("app"): node(false, "a"), key("a"): node(false, "b"), key("b"): node(false, "a")},
			of:    "app",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.graph.Cycle(key(tc.of))); diff != "" {
				t.Errorf("Cycle (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsettled(t *testing.T) {
	tests := map[string]struct {
		graph Graph
		of    string
		want  []Key
	}{
		"every ancestor counts, at any depth, once": {
			graph: Graph{
				key("app"): node(true, "left", "right"), key("left"): node(true, "base"),
				key("right"): node(false, "base"), key("base"): node(true),
			},
			of:   "app",
			want: keys("base", "left"),
		},
		"the lineage itself does not count": {
			graph: Graph{key("app"): node(true, "base"), key("base"): node(false)},
			of:    "app",
		},
		"nobody waits for a cycle": {
			graph: Graph{key("app"): node(true, "a"), key("a"): node(true, "b"), key("b"): node(true, "a")},
			of:    "app",
		},
		"above a cycle things still move": {
			graph: Graph{
				key("app"): node(true, "a"), key("a"): node(true, "b", "base"),
				key("b"): node(true, "a"), key("base"): node(true),
			},
			of:   "app",
			want: keys("base"),
		},
		"a parent that does not exist is not waited for": {
			graph: Graph{key("app"): node(true, "gone")},
			of:    "app",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.graph.Unsettled(key(tc.of))); diff != "" {
				t.Errorf("Unsettled (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnsettledNeverWaitsForEachOther is the property behind the order: two
// lineages that wait for each other would wait for ever.
func TestUnsettledNeverWaitsForEachOther(t *testing.T) {
	for seed := range int64(200) {
		rng := rand.New(rand.NewSource(seed))
		g := Graph{}
		const size = 12
		for i := range size {
			n := Node{Unsettled: rng.Intn(2) == 0}
			for range rng.Intn(3) {
				n.Parents = append(n.Parents, key(strconv.Itoa(rng.Intn(size))))
			}
			g[key(strconv.Itoa(i))] = n
		}
		waits := map[Key]map[Key]bool{}
		for k := range g {
			waits[k] = map[Key]bool{}
			for _, u := range g.Unsettled(k) {
				waits[k][u] = true
			}
		}
		for a := range waits {
			for b := range waits[a] {
				if waits[b][a] {
					t.Fatalf("seed %d: %v and %v wait for each other in %v", seed, a, b, g)
				}
			}
		}
	}
}

func TestRoleOf(t *testing.T) {
	tests := map[string]struct {
		followed, hasChild bool
		want               v1alpha1.Role
	}{
		"followed with a child is a base":                    {true, true, v1alpha1.RoleBase},
		"followed without a child is a service":              {true, false, v1alpha1.RoleService},
		"built or tracked with a child is an intermediary":   {false, true, v1alpha1.RoleIntermediary},
		"built or tracked without a child is an application": {false, false, v1alpha1.RoleApplication},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := RoleOf(tc.followed, tc.hasChild); got != tc.want {
				t.Errorf("RoleOf(%v, %v) = %s, want %s", tc.followed, tc.hasChild, got, tc.want)
			}
		})
	}
}
