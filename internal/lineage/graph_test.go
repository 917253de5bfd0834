// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func key(name string) Key { return Key{Namespace: "ns", Name: name} }

func keys(names ...string) []Key {
	out := []Key{}
	for _, n := range names {
		out = append(out, key(n))
	}
	return out
}

// built is a lineage that builds the image of its own name on others, by key.
func built(name string, parents ...string) Node {
	n := Node{Reference: name, Claim: &Claim{Built: true}}
	for _, parent := range parents {
		n.From = append(n.From, Parent{Lineage: key(parent)})
	}
	return n
}

// on is a lineage that builds the image of its own name on others, by their images.
func on(name string, images ...string) Node {
	n := built(name)
	for _, image := range images {
		n.From = append(n.From, Parent{Image: image})
	}
	return n
}

func followed(image string) Node { return Node{Reference: image} }

func graph(nodes map[string]Node) *Graph {
	g := &Graph{}
	for name, node := range nodes {
		g.Put(key(name), node)
	}
	return g
}

func TestParents(t *testing.T) {
	tests := map[string]struct {
		nodes        map[string]Node
		of           string
		wantParents  []Key
		wantChildren []Key
		wantHasChild bool
	}{
		"by key, in the order of from": {
			nodes:       map[string]Node{"app": built("app", "z", "b"), "z": followed("z"), "b": followed("b")},
			of:          "app",
			wantParents: keys("z", "b"),
		},
		"by the image that another one builds": {
			nodes:       map[string]Node{"app": on("app", "mid"), "mid": on("mid", "debian")},
			of:          "app",
			wantParents: keys("mid"),
		},
		"twice is once": {
			nodes:       map[string]Node{"app": {From: []Parent{{Image: "mid"}, {Lineage: key("mid")}}}, "mid": on("mid", "debian")},
			of:          "app",
			wantParents: keys("mid"),
		},
		"followed, it stands for the image that another one builds": {
			nodes:       map[string]Node{"copy": followed("mid"), "mid": on("mid", "debian")},
			of:          "copy",
			wantParents: keys("mid"),
		},
		"the builder of a followed image has it as a child, but not by name": {
			nodes:        map[string]Node{"copy": followed("mid"), "mid": on("mid", "debian")},
			of:           "mid",
			wantChildren: keys("copy"),
		},
		"an image that nobody builds is no lineage, but a base all the same": {
			nodes:        map[string]Node{"app": on("app", "debian"), "debian": followed("debian")},
			of:           "debian",
			wantHasChild: true,
		},
		"one that is not there": {
			nodes: map[string]Node{"app": built("app", "gone")},
			of:    "app",
		},
		"asked for one that is only named": {
			nodes: map[string]Node{"app": built("app", "gone")},
			of:    "gone",
		},
		"asked for one that nobody knows": {of: "nobody"},
		"itself is no child for its role": {
			nodes:        map[string]Node{"a": built("a", "a")},
			of:           "a",
			wantParents:  keys("a"),
			wantChildren: keys("a"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := graph(tc.nodes)
			if diff := cmp.Diff(tc.wantParents, g.Parents(key(tc.of))); diff != "" {
				t.Errorf("Parents (-want +got):\n%s", diff)
			}
			if tc.wantChildren == nil {
				tc.wantChildren = keys()
			}
			if diff := cmp.Diff(tc.wantChildren, g.Children(key(tc.of))); diff != "" {
				t.Errorf("Children (-want +got):\n%s", diff)
			}
			if got := g.HasChild(key(tc.of)); got != tc.wantHasChild {
				t.Errorf("HasChild = %v, want %v", got, tc.wantHasChild)
			}
		})
	}
}

func TestHolder(t *testing.T) {
	claim := func(uid string, built, current bool, created int64) *Claim {
		return &Claim{Built: built, Current: current, Created: created, UID: types.UID(uid)}
	}
	tests := map[string]struct {
		rivals map[string]*Claim
		want   string
	}{
		"the only one":                       {map[string]*Claim{"a": claim("1", false, false, 5)}, "a"},
		"one that has built it":              {map[string]*Claim{"a": claim("1", false, true, 1), "b": claim("2", true, false, 5)}, "b"},
		"else the holder of a current image": {map[string]*Claim{"a": claim("1", false, false, 1), "b": claim("2", false, true, 5)}, "b"},
		"else the oldest":                    {map[string]*Claim{"a": claim("1", true, true, 5), "b": claim("2", true, true, 4)}, "b"},
		"else the lowest UID":                {map[string]*Claim{"a": claim("2", true, true, 5), "b": claim("1", true, true, 5)}, "b"},
		"who only follows it has no claim":   {map[string]*Claim{"a": nil}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &Graph{}
			for name, claim := range tc.rivals {
				g.Put(key(name), Node{Reference: "image", Claim: claim})
			}
			got, held := g.Holder("image")
			if held != (tc.want != "") || got.Name != tc.want {
				t.Errorf("Holder = %v, %v, want %q", got, held, tc.want)
			}
		})
	}
}

// TestForeignClaim: who claims to build what others use must not hold them up.
func TestForeignClaim(t *testing.T) {
	app, thief := Key{Namespace: "shop", Name: "app"}, Key{Namespace: "thief", Name: "debian"}
	g := &Graph{}
	g.Put(app, Node{Reference: "app", From: []Parent{{Image: "debian"}}, Claim: &Claim{}})
	g.Put(thief, Node{Reference: "debian", From: []Parent{{Lineage: app}}, Claim: &Claim{}})
	if got := g.Parents(app); got != nil {
		t.Errorf("Parents = %v before it was built, want none", got)
	}
	if diff := cmp.Diff([]string{"debian"}, g.Roots(app)); diff != "" {
		t.Errorf("Roots (-want +got):\n%s", diff)
	}
	g.Put(thief, Node{Reference: "debian", From: []Parent{{Lineage: app}}, Claim: &Claim{Built: true}})
	if diff := cmp.Diff([]Key{app, thief, app}, g.Cycle(app)); diff != "" {
		t.Errorf("Cycle once it was built (-want +got):\n%s", diff)
	}
}

func TestCycle(t *testing.T) {
	tests := map[string]struct {
		nodes map[string]Node
		of    string
		want  []Key
	}{
		"a chain has none": {
			nodes: map[string]Node{"app": built("app", "mid"), "mid": built("mid", "base"), "base": followed("base")},
			of:    "app",
		},
		"a lineage that names itself": {
			nodes: map[string]Node{"a": built("a", "a")},
			of:    "a",
			want:  keys("a", "a"),
		},
		"a lineage that names its own image": {
			nodes: map[string]Node{"a": on("a", "a")},
			of:    "a",
			want:  keys("a", "a"),
		},
		"two that name each other, seen from either": {
			nodes: map[string]Node{"a": built("a", "b"), "b": built("b", "a")},
			of:    "b",
			want:  keys("b", "a", "b"),
		},
		"hidden behind an image and a lineage that stands for one": {
			nodes: map[string]Node{"a": built("a", "copy"), "copy": followed("b"), "b": on("b", "a")},
			of:    "a",
			want:  keys("a", "copy", "b", "a"),
		},
		"the shortest of two ways": {
			nodes: map[string]Node{"a": built("a", "b", "c"), "b": built("b", "d"), "d": built("d", "a"), "c": built("c", "a")},
			of:    "a",
			want:  keys("a", "c", "a"),
		},
		"below a cycle, but not on it": {
			nodes: map[string]Node{"app": built("app", "a"), "a": built("a", "b"), "b": built("b", "a")},
			of:    "app",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := graph(tc.nodes)
			if diff := cmp.Diff(tc.want, g.Cycle(key(tc.of))); diff != "" {
				t.Errorf("Cycle (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, g.Ancestry(key(tc.of)).Cycle(key(tc.of))); diff != "" {
				t.Errorf("Cycle of the ancestry alone (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsettled(t *testing.T) {
	motions := map[string]Motion{"moving": Moving, "moves": Moving, "held": Held}
	tests := map[string]struct {
		nodes map[string]Node
		want  []Key
	}{
		"every ancestor counts, at any depth, once": {
			nodes: map[string]Node{
				"app": built("app", "moves", "right"), "moves": built("moves", "moving"),
				"right": built("right", "moving"), "moving": followed("moving"),
			},
			want: keys("moves", "moving"),
		},
		"what is held lets nothing through": {
			nodes: map[string]Node{"app": built("app", "held"), "held": built("held", "moving"), "moving": followed("moving")},
		},
		"another way down lets it through": {
			nodes: map[string]Node{
				"app": built("app", "held", "still"), "held": built("held", "moving"),
				"still": built("still", "moving"), "moving": followed("moving"),
			},
			want: keys("moving"),
		},
		"nobody waits for a cycle, nor for what is above it": {
			nodes: map[string]Node{
				"app": built("app", "moves"), "moves": built("moves", "b", "moving"),
				"b": built("b", "moves"), "moving": followed("moving"),
			},
		},
		"beside a cycle things still move": {
			nodes: map[string]Node{
				"app": built("app", "a", "moving"), "a": built("a", "b"),
				"b": built("b", "a"), "moving": followed("moving"),
			},
			want: keys("moving"),
		},
		"a parent that does not exist is not waited for": {
			nodes: map[string]Node{"app": built("app", "moving")},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			motion := func(of Key) Motion { return motions[of.Name] }
			if tc.want == nil {
				tc.want = keys()
			}
			if diff := cmp.Diff(tc.want, graph(tc.nodes).Unsettled(key("app"), motion)); diff != "" {
				t.Errorf("Unsettled (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	tests := map[string]struct {
		nodes map[string]Node
		of    []Key
		want  []Key
	}{
		"a diamond, its arms together": {
			nodes: map[string]Node{
				"app": built("app", "left", "right"), "left": built("left", "base"), "right": built("right", "base"), "base": followed("base"),
			},
			of:   keys("app", "right", "left", "base"),
			want: keys("base", "left", "right", "app"),
		},
		"through one that is not asked for": {
			nodes: map[string]Node{"a": built("a", "m"), "m": built("m", "z"), "z": followed("z")},
			of:    keys("a", "z", "z"),
			want:  keys("z", "a"),
		},
		"a cycle between what is above and below it": {
			nodes: map[string]Node{
				"a": built("a", "c"), "c": built("c", "d"), "d": built("d", "c", "z"), "z": followed("z"),
			},
			of:   keys("a", "d", "c", "z", "nobody"),
			want: keys("z", "c", "d", "a"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, graph(tc.nodes).Order(tc.of)); diff != "" {
				t.Errorf("Order (-want +got):\n%s", diff)
			}
		})
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
