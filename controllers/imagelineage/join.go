// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// ancestry is a lineage and what is above it, as it was at one moment.
type ancestry struct {
	graph     *lineage.Graph
	lineages  map[lineage.Key]*v1alpha1.ImageLineage
	ancestors map[lineage.Key]member
}

func (a ancestry) motion(of lineage.Key) lineage.Motion { return a.ancestors[of].motion }

// place tells of the parents of a lineage which lineages they are, and from what they
// descend.
func (a ancestry) place(of lineage.Key, parents []plan.Parent) {
	for i := range parents {
		p := &parents[i]
		named := p.Lineage
		p.Lineage = a.keyOf(of, *p)
		switch {
		case p.Lineage == lineage.Key{}:
			if !p.Reference.IsZero() {
				p.Descends = []string{p.Reference.Name()}
			}
			continue
		case named == lineage.Key{} && p.Current != nil:
			// An image that a lineage builds is no root.
			p.Current.Roots = plan.RootsOf(a.lineages[p.Lineage], p.Current.Digest)
		}
		p.Descends = a.graph.Roots(p.Lineage)
	}
}

// keyOf is the lineage that a parent is, or that builds its image.
func (a ancestry) keyOf(of lineage.Key, p plan.Parent) lineage.Key {
	for _, key := range a.graph.Parents(of) {
		at := a.lineages[key]
		if p.Lineage == key {
			return key
		}
		if ref, err := plan.ReferenceOf(at); p.Lineage == (lineage.Key{}) && plan.Produced(at) && err == nil && ref == p.Reference {
			return key
		}
	}
	return lineage.Key{}
}

// gatherJoin tells who has to settle, on which arms, and how far the arms are.
func (a ancestry) gatherJoin(s *plan.Snapshot) {
	own := ownerOf(s.Lineage)
	a.place(own, s.Parents)
	at := map[lineage.Key]int{}
	for i, key := range a.graph.Unsettled(own, a.motion) {
		at[key] = i
		s.WaitingFor = append(s.WaitingFor, a.ancestors[key].Ancestor)
	}
	s.Roots = a.accepted(s.Parents)
	if len(s.WaitingFor) == 0 {
		return
	}
	above := a.members()
	for i := range s.Parents {
		p := &s.Parents[i]
		if p.Lineage == (lineage.Key{}) {
			continue
		}
		for _, key := range a.graph.Arm(p.Lineage, a.motion) {
			on := &s.WaitingFor[at[key]].On
			*on = append(*on, p.Name)
		}
		p.Progress = a.progress(p.Lineage, s.Now)
		if p.Current != nil {
			p.Roots = above.Contained(p.Lineage, p.Current.Digest)
		}
	}
}

// accepted are the roots as they are accepted now: by the lineages that follow them, and
// by those that name an image which has none.
func (a ancestry) accepted(parents []plan.Parent) []v1alpha1.Root {
	var all []v1alpha1.Root
	note := func(parents []plan.Parent) {
		for _, p := range parents {
			if p.Lineage == (lineage.Key{}) && p.Current != nil {
				all = append(all, p.Current.Roots...)
			}
		}
	}
	note(parents)
	for key, m := range a.ancestors {
		note(m.parents)
		if l := a.lineages[key]; plan.Followed(l) && l.Status.Current != nil && len(a.graph.Parents(key)) == 0 {
			all = append(all, l.Status.Current.Roots...)
		}
	}
	return plan.Newest(all)
}

// members are the ancestors as the join looks at them.
func (a ancestry) members() plan.Ancestry {
	all := plan.Ancestry{}
	for key, m := range a.ancestors {
		parents := m.parents
		if plan.Followed(a.lineages[key]) {
			for _, above := range a.graph.Parents(key) {
				parents = append(parents, plan.Parent{Lineage: above, Descends: a.graph.Roots(above)})
			}
		}
		held := m.motion == lineage.Held || a.graph.Cycle(key) != nil
		all[key] = plan.Member{Lineage: a.lineages[key], Parents: parents, Held: held}
	}
	return all
}

// progress is when something happened last to what is built on an arm.
func (a ancestry) progress(parent lineage.Key, now time.Time) time.Time {
	var last time.Time
	for _, key := range append(a.graph.Ancestors(parent), parent) {
		l := a.lineages[key]
		if !plan.Produced(l) {
			continue
		}
		if at := plan.Progress(l, tekton.Limit(l.Spec.Build), now); at.After(last) {
			last = at
		}
	}
	return last
}
