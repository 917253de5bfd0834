// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"cmp"
	"maps"
	"slices"
)

// Cycle returns the shortest way from a lineage through its ancestors back to
// itself, the lineage first and last; nil where there is none. Of two that are equally
// short it is the one by the parent that is named first.
func (g *Graph) Cycle(of Key) []Key {
	start := g.lineages[of]
	cameFrom := map[*vertex]*vertex{}
	queue := []*vertex{start}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, parent := range at.parents() {
			if parent == start {
				return wayBack(cameFrom, start, at)
			}
			if _, seen := cameFrom[parent]; !seen {
				cameFrom[parent] = at
				queue = append(queue, parent)
			}
		}
	}
	return nil
}

func wayBack(cameFrom map[*vertex]*vertex, start, last *vertex) []Key {
	way := []Key{start.key}
	for at := last; at != start; at = cameFrom[at] {
		way = append(way, at.key)
	}
	way = append(way, start.key)
	slices.Reverse(way)
	return way
}

// Depth is how many lineages are above one on the longest way up: 0 without parents.
// What is on one cycle has one depth, as if it were one lineage.
func (g *Graph) Depth(of Key) int {
	v := g.lineages[of]
	return depths([]*vertex{v})[v].depth
}

// Order returns lineages so that each comes after those of them that it descends from,
// through whatever lies between: by Depth, then by key. Those of one depth need not
// wait for each other. One that is not in the graph is left out.
func (g *Graph) Order(of []Key) []Key {
	wanted := set{}
	for _, key := range of {
		if v := g.lineages[key]; v != nil && v.there {
			wanted.add(v)
		}
	}
	there := slices.Collect(maps.Keys(wanted))
	places := depths(there)
	slices.SortFunc(there, func(a, b *vertex) int {
		return cmp.Or(cmp.Compare(places[a].depth, places[b].depth), compareKeys(a.key, b.key))
	})
	keys := make([]Key, 0, len(there))
	for _, v := range there {
		keys = append(keys, v.key)
	}
	return keys
}

// place is where a lineage is among its ancestors.
type place struct {
	depth int
	// onCycle is true for one that is its own ancestor.
	onCycle bool
}

// depths finds the places of lineages and of all their ancestors.
func depths(of []*vertex) map[*vertex]place {
	c := climb{places: map[*vertex]place{}, low: map[*vertex]int{}}
	for _, v := range of {
		if _, seen := c.low[v]; !seen {
			c.visit(v)
		}
	}
	return c.places
}

// climb is Tarjan's search for strongly connected components (SIAM Journal on Computing
// 1, 1972). It finds them parents first, so that a component is placed when all above it
// are.
type climb struct {
	places map[*vertex]place
	// low is, for a vertex that was met, the lowest position on the path that it reaches.
	low  map[*vertex]int
	path []*vertex
}

func (c *climb) visit(v *vertex) int {
	position := len(c.low)
	c.low[v] = position
	c.path = append(c.path, v)
	for _, parent := range v.parents() {
		low, seen := c.low[parent]
		if !seen {
			low = c.visit(parent)
		}
		if _, placed := c.places[parent]; !placed {
			c.low[v] = min(c.low[v], low)
		}
	}
	if c.low[v] == position {
		c.place(v)
	}
	return c.low[v]
}

// place places a component: the end of the path, from the vertex that was met first.
func (c *climb) place(first *vertex) {
	begin := len(c.path) - 1
	for c.path[begin] != first {
		begin--
	}
	component := c.path[begin:]
	c.path = c.path[:begin]
	at := place{onCycle: len(component) > 1}
	for _, v := range component {
		for _, parent := range v.parents() {
			if above, placed := c.places[parent]; placed {
				at.depth = max(at.depth, above.depth+1)
			}
			at.onCycle = at.onCycle || parent == v
		}
	}
	for _, v := range component {
		c.places[v] = at
	}
}

// Motion is what can be expected of a lineage.
type Motion int

const (
	// Still is one that has no reason to move while its parents do not.
	Still Motion = iota
	// Moving is one that is going to move by itself: a run is in flight, or it is outdated
	// and nothing keeps it from being built.
	Moving
	// Held is one that does not move, whatever its parents do, until a person or somebody
	// else's CI does something.
	Held
)

// Unsettled returns the ancestors that one has to wait for, sorted: those that are
// going to move, and from which that comes down to it. Nothing comes down through one
// that is held or on a cycle, so nobody waits for it, nor for what is only above it.
func (g *Graph) Unsettled(of Key, motion func(Key) Motion) []Key {
	start := g.lineages[of]
	return unsettled(depths([]*vertex{start}), start.parents(), motion)
}

// Arm returns those of one arm: of a parent and its ancestors, as Unsettled does for whom
// they are above.
func (g *Graph) Arm(parent Key, motion func(Key) Motion) []Key {
	start := g.lineages[parent]
	if start == nil || !start.there {
		return nil
	}
	return unsettled(depths([]*vertex{start}), []*vertex{start}, motion)
}

// unsettled goes up from some lineages, themselves among those that it finds.
func unsettled(places map[*vertex]place, stack []*vertex, motion func(Key) Motion) []Key {
	found, seen := set{}, set{}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, again := seen[at]; again || places[at].onCycle {
			continue
		}
		seen.add(at)
		switch motion(at.key) {
		case Held:
			continue
		case Moving:
			found.add(at)
		case Still:
		}
		stack = append(stack, at.parents()...)
	}
	return sorted(found)
}
