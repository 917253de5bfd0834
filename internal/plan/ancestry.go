// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Ancestry is what is above a lineage.
type Ancestry map[types.NamespacedName]Member

// Member is one of the ancestors.
type Member struct {
	// Lineage as read.
	Lineage *v1alpha1.ImageLineage
	// Parents of it. A followed lineage has one only where it stands for an image that
	// another lineage builds.
	Parents []Parent
	// Held is true where nothing comes down through it.
	Held bool
}

// RootsOf are the roots of a lineage's revision with a digest; none where it has none.
func RootsOf(l *v1alpha1.ImageLineage, digest v1alpha1.Digest) []v1alpha1.Root {
	if kept := findDigest(l.Status.History, digest); kept != nil {
		return kept.Roots
	}
	return nil
}

// Contained are the roots up to which an ancestor's image is.
//
// That is not always what the image's revision tells, which is what it contains at least.
// Where a parent's run made the very same image again, nobody below is built, and their
// revisions tell of the roots before. And where an arm is held, what has joined it tells
// of that arm's roots for as long as it is. Whoever waited for such a revision to tell of
// a newer root would wait for ever. So the roots are looked up in the revisions that the
// image was built from, as far as these are kept, and held arms are left out.
func (a Ancestry) Contained(of types.NamespacedName, digest v1alpha1.Digest) []v1alpha1.Root {
	m, known := a[of]
	if !known {
		return nil
	}
	kept := findDigest(m.Lineage.Status.History, digest)
	if kept == nil {
		return nil
	}
	return search{a, map[visit][]v1alpha1.Root{}}.roots(of, *kept)
}

// search remembers what it has found: where diamonds follow each other, there are many
// ways up.
type search struct {
	above Ancestry
	found map[visit][]v1alpha1.Root
}

type visit struct {
	of       types.NamespacedName
	revision int64
}

func (s search) roots(of types.NamespacedName, r v1alpha1.Revision) []v1alpha1.Root {
	at := visit{of, r.Revision}
	if found, known := s.found[at]; known {
		return found
	}
	m := s.above[of]
	s.found[at] = r.Roots // where it is on its own way up
	if len(m.Parents) > 0 {
		var arms []arm
		for _, p := range m.Parents {
			if !s.above[p.Lineage].Held {
				arms = append(arms, arm{roots: s.arm(m, r, p), descends: p.Descends})
			}
		}
		s.found[at] = oldest(arms)
	}
	return s.found[at]
}

// arm are the roots that a revision has through one parent.
func (s search) arm(m Member, r v1alpha1.Revision, p Parent) []v1alpha1.Root {
	above, declared := s.above[p.Lineage]
	digest := r.Digest // of one that stands for its parent's image
	if !Followed(m.Lineage) {
		built := lookup(r.BuiltFrom, p.Name)
		switch {
		case built == nil:
			return nil
		case !declared && p.Current != nil && contains(*built, p):
			return p.Current.Roots
		case declared && p.Current != nil && contains(*built, p):
			return s.roots(p.Lineage, above.Lineage.Status.Current.Revision)
		}
		digest = built.Digest
	}
	if declared {
		if kept := findDigest(above.Lineage.Status.History, digest); kept != nil {
			return s.roots(p.Lineage, *kept)
		}
	}
	return r.Roots
}

// arm is what is known of one parent's roots, and which it has.
type arm struct {
	roots    []v1alpha1.Root
	descends []string
}

// oldest merges roots. Where two arms contain different digests of one root, the image is
// as old as the older one; and where an arm has a root of which nothing is known, nothing
// is known of the image.
func oldest(arms []arm) []v1alpha1.Root {
	merged, unknown := map[string]v1alpha1.Root{}, map[string]bool{}
	for _, a := range arms {
		for _, reference := range a.descends {
			unknown[reference] = unknown[reference] || rootOf(a.roots, reference) == nil
		}
		for _, r := range a.roots {
			if known, ok := merged[r.Reference]; !ok || r.Accepted.Before(&known.Accepted) {
				merged[r.Reference] = r
			}
		}
	}
	maps.DeleteFunc(merged, func(reference string, _ v1alpha1.Root) bool { return unknown[reference] })
	return sortedRoots(merged)
}

// Newest merges roots as they were accepted: of each reference the one that was accepted
// last.
func Newest(accepted []v1alpha1.Root) []v1alpha1.Root {
	merged := map[string]v1alpha1.Root{}
	for _, r := range accepted {
		if known, ok := merged[r.Reference]; !ok || known.Accepted.Before(&r.Accepted) {
			merged[r.Reference] = r
		}
	}
	return sortedRoots(merged)
}

func sortedRoots(by map[string]v1alpha1.Root) []v1alpha1.Root {
	var out []v1alpha1.Root
	for _, r := range by {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b v1alpha1.Root) int { return strings.Compare(a.Reference, b.Reference) })
	return out
}
