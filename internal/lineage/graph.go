// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package lineage is the graph of images: who descends from whom, who is on a
// cycle, who has to settle before whom, and which role that gives to each.
//
// The package is pure. It knows the shape only; whether a lineage is outdated is
// decided by package plan and handed in as Node.Unsettled.
package lineage

import (
	"cmp"
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Key names a lineage in the cluster.
type Key struct {
	Namespace, Name string
}

// String is namespace/name.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Node is one lineage in the graph.
type Node struct {
	// Parents are the lineages that this one is built on, however it names them.
	Parents []Key
	// Unsettled is true where the lineage is going to move by itself: a run is in
	// flight, or it is outdated and nothing keeps it from being built.
	Unsettled bool
}

// Graph holds a lineage and its ancestors. Parents that are not in the graph do
// not exist.
type Graph map[Key]Node

// Cycle returns the shortest way from a lineage through its ancestors back to
// itself, the lineage first and last; nil where there is none.
func (g Graph) Cycle(of Key) []Key {
	cameFrom := map[Key]Key{}
	queue := []Key{of}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, parent := range g[at].Parents {
			if parent == of {
				return wayBack(cameFrom, of, at)
			}
			if _, seen := cameFrom[parent]; !seen {
				cameFrom[parent] = at
				queue = append(queue, parent)
			}
		}
	}
	return nil
}

func wayBack(cameFrom map[Key]Key, of, last Key) []Key {
	way := []Key{of}
	for at := last; at != of; at = cameFrom[at] {
		way = append(way, at)
	}
	way = append(way, of)
	slices.Reverse(way)
	return way
}

// Unsettled returns the ancestors of a lineage that are going to move, sorted.
// An ancestor on a cycle cannot move, so nobody waits for it.
func (g Graph) Unsettled(of Key) []Key {
	var unsettled []Key
	for ancestor := range g.ancestors(of) {
		if g[ancestor].Unsettled && g.Cycle(ancestor) == nil {
			unsettled = append(unsettled, ancestor)
		}
	}
	slices.SortFunc(unsettled, compareKeys)
	return unsettled
}

func (g Graph) ancestors(of Key) map[Key]bool {
	found := map[Key]bool{}
	stack := slices.Clone(g[of].Parents)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, exists := g[at]; !exists || found[at] || at == of {
			continue
		}
		found[at] = true
		stack = append(stack, g[at].Parents...)
	}
	return found
}

// RoleOf derives a lineage's role from its position (design: roles are never
// declared). followed is true where the lineage has no parents.
func RoleOf(followed, hasChild bool) v1alpha1.Role {
	switch {
	case followed && hasChild:
		return v1alpha1.RoleBase
	case followed:
		return v1alpha1.RoleService
	case hasChild:
		return v1alpha1.RoleIntermediary
	default:
		return v1alpha1.RoleApplication
	}
}
