// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"maps"
	"slices"
)

// Parents are the lineages that one is built on, however it names them: by their key,
// by the image that they build, or, where it is followed itself, by standing for an
// image that another one builds. They come in the order in which it names them, each
// once; one that is not there is left out.
func (g *Graph) Parents(of Key) []Key {
	var keys []Key
	for _, parent := range g.lineages[of].parents() {
		keys = append(keys, parent.key)
	}
	return keys
}

// Children are the lineages that have one among their Parents, sorted.
func (g *Graph) Children(of Key) []Key {
	return sorted(g.lineages[of].children())
}

// HasChild is true where another lineage names one, or its image, as a parent. Whose
// image it builds does not matter for that: a base is one for whoever uses its image.
func (g *Graph) HasChild(of Key) bool {
	v := g.lineages[of]
	if v == nil || !v.there {
		return false
	}
	named := func(by set) bool {
		_, itself := by[v]
		return len(by) > 1 || len(by) == 1 && !itself
	}
	return named(v.namedBy) || v.image != nil && named(v.image.namedBy)
}

// Dependents are the lineages whose decision may depend on what one says or does,
// sorted: those that name it or its image as a parent, and those that stand for the same
// image: in its namespace, where they may claim the same containers, and everywhere if
// it claims to build the image.
func (g *Graph) Dependents(of Key) []Key {
	v := g.lineages[of]
	if v == nil {
		return nil
	}
	found := maps.Clone(v.namedBy)
	if i := v.image; i != nil {
		found.join(i.namedBy)
		found.join(i.others[v.key.Namespace])
		for rival := range i.builders {
			if v.claim != nil || rival.key.Namespace == v.key.Namespace {
				found.add(rival)
			}
		}
		if v.claim != nil {
			for _, others := range i.others {
				found.join(others)
			}
		}
	}
	delete(found, v)
	return sorted(found)
}

// Ancestors are all lineages above one, sorted, without itself.
func (g *Graph) Ancestors(of Key) []Key {
	return sorted(reach(g.lineages[of], (*vertex).parents))
}

// Descendants are all lineages below one, sorted, without itself.
func (g *Graph) Descendants(of Key) []Key {
	return sorted(reach(g.lineages[of], func(v *vertex) []*vertex {
		return slices.Collect(maps.Keys(v.children()))
	}))
}

// Roots are the references at the top of an ancestry, sorted: of the followed lineages
// that stand for no other one's image, and of the images that no lineage builds.
func (g *Graph) Roots(of Key) []string {
	v := g.lineages[of]
	if v == nil || !v.there {
		return nil
	}
	found := map[string]struct{}{}
	above := reach(v, (*vertex).parents)
	above.add(v)
	for at := range above {
		for _, image := range at.tops() {
			found[image.name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Ancestry is the part of the graph that is a lineage and its ancestors. In it
// lineages are named by their keys, and images only where nobody builds them.
func (g *Graph) Ancestry(of Key) *Graph {
	part := &Graph{}
	v := g.lineages[of]
	if v == nil || !v.there {
		return part
	}
	all := reach(v, (*vertex).parents)
	all.add(v)
	for at := range all {
		node := Node{}
		for _, parent := range at.parents() {
			node.From = append(node.From, Parent{Lineage: parent.key})
		}
		for _, top := range at.tops() {
			if at.followed() {
				node.Reference = top.name
			} else {
				node.From = append(node.From, Parent{Image: top.name})
			}
		}
		part.Put(at.key, node)
	}
	return part
}

// parents of a vertex; a nil one has none.
func (v *vertex) parents() []*vertex {
	if v == nil || !v.there {
		return nil
	}
	var out []*vertex
	add := func(parent *vertex) {
		if parent != nil && parent.there && !slices.Contains(out, parent) {
			out = append(out, parent)
		}
	}
	for _, s := range v.from {
		if s.image != nil {
			add(v.believed(s.image))
		} else {
			add(s.lineage)
		}
	}
	if v.followed() {
		add(v.believed(v.image))
	}
	return out
}

// followed is true for a lineage that descends from nothing that it names, and may
// stand for another one's image.
func (v *vertex) followed() bool {
	return len(v.from) == 0 && v.claim == nil && v.image != nil
}

// believed is the lineage that builds an image, as one has to believe it; nil where
// there is none.
func (v *vertex) believed(of *image) *vertex {
	if holder := of.holder(); holder != nil && v.believes(holder) {
		return holder
	}
	return nil
}

// tops are the images from which a lineage descends without another one between.
func (v *vertex) tops() []*image {
	var out []*image
	for _, s := range v.from {
		if s.image != nil && v.believed(s.image) == nil {
			out = append(out, s.image)
		}
	}
	if v.followed() && v.believed(v.image) == nil {
		out = append(out, v.image)
	}
	return out
}

// children are those that have a vertex among their parents.
func (v *vertex) children() set {
	if v == nil || !v.there {
		return nil
	}
	found := maps.Clone(v.namedBy)
	if v.claim == nil || v.image == nil || v.image.holder() != v {
		return found
	}
	for child := range v.image.namedBy {
		if child.believes(v) {
			found.add(child)
		}
	}
	for _, others := range v.image.others {
		for child := range others {
			if child.followed() && child.believes(v) {
				found.add(child)
			}
		}
	}
	return found
}

// reach is everything that is found by going on from a vertex, without itself.
func reach(from *vertex, next func(*vertex) []*vertex) set {
	if from == nil || !from.there {
		return nil
	}
	found := set{}
	stack := next(from)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, seen := found[at]; seen || at == from {
			continue
		}
		found.add(at)
		stack = append(stack, next(at)...)
	}
	return found
}

func sorted(vertices set) []Key {
	keys := make([]Key, 0, len(vertices))
	for v := range vertices {
		keys = append(keys, v.key)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}
