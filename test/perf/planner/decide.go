// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/fleet"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// decide decides on one lineage as a reconcile does, without what it reads elsewhere:
// runs, workloads, and the registry, which shows what is current.
func decide(f *fleet.Fleet, key lineage.Key) plan.Plan {
	l := f.Get(key)
	ref, err := plan.ReferenceOf(l)
	if err != nil {
		panic(err) // we made it
	}
	s := plan.Snapshot{
		Now: accepted.Add(time.Hour), Lineage: l, Reference: ref, HasChild: f.HasChild(key), Parents: parents(f, l),
		Observation: &plan.Observation{Digest: l.Status.Current.Digest, Started: accepted.Add(59 * time.Minute), Repeats: 2},
	}
	if plan.Produced(l) {
		s.Template = template
	}
	graph, lineages := f.Ancestry(key)
	if graph.Cycle(key) != nil {
		panic("a cycle")
	}
	for _, ancestor := range graph.Unsettled(key, func(of lineage.Key) lineage.Motion { return motion(f, lineages[of]) }) {
		s.WaitingFor = append(s.WaitingFor, plan.Ancestor{Name: ancestor.String()})
	}
	return plan.Compute(s)
}

func motion(f *fleet.Fleet, l *v1alpha1.ImageLineage) lineage.Motion {
	if plan.Followed(l) || plan.Settled(plan.Subject{Lineage: l, Parents: parents(f, l), Template: template}, false) {
		return lineage.Still
	}
	return lineage.Moving
}

// parents resolves spec.from, of which each lineage here has one entry at most.
func parents(f *fleet.Fleet, l *v1alpha1.ImageLineage) []plan.Parent {
	var out []plan.Parent
	for _, at := range f.Parents(keyOf(l)) {
		ref, err := plan.ReferenceOf(at)
		if err != nil {
			panic(err) // we made it
		}
		from := l.Spec.From[0]
		out = append(out, plan.Parent{Name: from.Name, Use: from.As, Reference: ref, Kept: at.Status.History, Current: plan.CurrentOf(at)})
	}
	return out
}

func keyOf(l *v1alpha1.ImageLineage) lineage.Key {
	return lineage.Key{Namespace: l.Namespace, Name: l.Name}
}
