// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package lineage is the graph of images: who descends from whom, who is on a
// cycle, who has to settle before whom, and which role that gives to each.
//
// A Graph holds the whole fleet. It keeps who names whom, by key and by image, in
// both directions, and nothing that follows from it: every answer is found by a walk
// over what it is about. So a change costs what the lineage names, whatever the size
// of the fleet, and no answer can be out of date.
//
// The package is pure. It knows the shape only; whether a lineage is going to move
// is decided by package plan and handed in as a Motion.
package lineage

import (
	"cmp"

	"k8s.io/apimachinery/pkg/types"
)

// Key names a lineage in the cluster: namespace/name.
type Key = types.NamespacedName

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Node is what a lineage says of its place in the graph.
type Node struct {
	// Reference is the image that it stands for, canonical; empty where it cannot be
	// used.
	Reference string
	// From are its parents in the order in which it names them. A lineage without any is
	// followed, and descends from the lineage that builds its Reference, if there is one.
	From []Parent
	// Claim is set where it builds its Reference.
	Claim *Claim
}

// Parent is how a lineage names what it is built on.
type Parent struct {
	// Lineage is the parent's key; zero where an image is named.
	Lineage Key
	// Image is the parent's canonical reference. It is an edge to the lineage that builds
	// it; without one it is the top of an ancestry.
	Image string
}

// Graph is the fleet. The zero value is empty and ready for use. It is not safe for
// concurrent use while it is changed.
type Graph struct {
	lineages map[Key]*vertex
	images   map[string]*image
}

// vertex is a lineage: one that is there, or one that is only named as a parent.
type vertex struct {
	key   Key
	there bool
	claim *Claim
	// image that it stands for; nil without one.
	image *image
	from  []source
	// namedBy are the lineages that name it by its key.
	namedBy set
}

// source is one parent as it is named: exactly one of the two is set.
type source struct {
	lineage *vertex
	image   *image
}

// image is a reference that lineages stand for, or name as a parent.
type image struct {
	name string
	// builders stand for it and claim to build it. There is one, or a few rivals.
	builders set
	// others stand for it and do not build it, by their namespace: a base may have one in
	// each.
	others map[string]set
	// namedBy are the lineages that name it as a parent.
	namedBy set
}

type set map[*vertex]struct{}

func (s *set) add(v *vertex) {
	if *s == nil {
		*s = set{}
	}
	(*s)[v] = struct{}{}
}

func (s *set) join(others set) {
	for v := range others {
		s.add(v)
	}
}

// Put adds a lineage, or replaces what it said before.
func (g *Graph) Put(key Key, node Node) {
	v := g.vertex(key)
	was := v.take()
	v.there, v.claim = true, node.Claim
	if node.Reference != "" {
		v.image = g.image(node.Reference)
		v.image.seat(v)
	}
	for _, parent := range node.From {
		if parent.Image != "" {
			at := g.image(parent.Image)
			at.namedBy.add(v)
			v.from = append(v.from, source{image: at})
		} else {
			at := g.vertex(parent.Lineage)
			at.namedBy.add(v)
			v.from = append(v.from, source{lineage: at})
		}
	}
	g.drop(was)
}

// Delete removes a lineage. Those that name it stay, and name what is not there.
func (g *Graph) Delete(key Key) {
	v := g.lineages[key]
	if v == nil {
		return
	}
	was := v.take()
	v.there, v.claim = false, nil
	g.drop(append(was, source{lineage: v}))
}

func (g *Graph) vertex(key Key) *vertex {
	v := g.lineages[key]
	if v == nil {
		if g.lineages == nil {
			g.lineages = map[Key]*vertex{}
		}
		v = &vertex{key: key}
		g.lineages[key] = v
	}
	return v
}

func (g *Graph) image(name string) *image {
	i := g.images[name]
	if i == nil {
		if g.images == nil {
			g.images = map[string]*image{}
		}
		i = &image{name: name}
		g.images[name] = i
	}
	return i
}

// seat adds a lineage to those that stand for an image.
func (i *image) seat(v *vertex) {
	if v.claim != nil {
		i.builders.add(v)
		return
	}
	if i.others == nil {
		i.others = map[string]set{}
	}
	others := i.others[v.key.Namespace]
	others.add(v)
	i.others[v.key.Namespace] = others
}

// unseat removes a lineage from those that stand for an image.
func (i *image) unseat(v *vertex) {
	if v.claim != nil {
		delete(i.builders, v)
		return
	}
	delete(i.others[v.key.Namespace], v)
	if len(i.others[v.key.Namespace]) == 0 {
		delete(i.others, v.key.Namespace)
	}
}

// take removes a vertex from wherever it is known, and returns where that was.
func (v *vertex) take() []source {
	was := v.from
	for _, s := range was {
		if s.image != nil {
			delete(s.image.namedBy, v)
		} else {
			delete(s.lineage.namedBy, v)
		}
	}
	if v.image != nil {
		v.image.unseat(v)
		was = append(was, source{image: v.image})
	}
	v.image, v.from = nil, nil
	return was
}

// drop forgets those that nobody names any more, and that are not there themselves.
func (g *Graph) drop(were []source) {
	for _, s := range were {
		if i := s.image; i != nil {
			if len(i.builders)+len(i.others)+len(i.namedBy) == 0 {
				delete(g.images, i.name)
			}
		} else if !s.lineage.there && len(s.lineage.namedBy) == 0 {
			delete(g.lineages, s.lineage.key)
		}
	}
}
