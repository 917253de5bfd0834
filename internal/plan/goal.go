// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// goal is what the parents have to contain before the lineage is built: the roots of the
// ancestry as they were when it fell behind or, where it does so now, as they are. It
// does not change while something is waited for: a base that moves again and again would
// never let anybody be built.
func (d *decision) goal() []v1alpha1.Root {
	fixed := d.Lineage.Status.Goal
	if !slices.EqualFunc(fixed, d.Roots, func(a, b v1alpha1.Root) bool { return a.Reference == b.Reference }) {
		return d.Roots // spec.from was edited, here or above
	}
	return fixed
}

// keepGoal has the goal recorded for as long as it counts. While a run is in flight it is
// that run's, and the next one has a goal of its own. While a person or a window is
// waited for, it is what the roots show by then.
func (d *decision) keepGoal() {
	behind := len(d.plan.Verdicts) > 0 || d.plan.Lineage.UpToDate == False
	if Produced(d.Lineage) && behind && !d.live && d.plan.Hold == nil && d.plan.Problem == nil {
		d.plan.Goal = d.goal()
	}
}

// reaches is whether a parent is as new as a goal, in each root that the parent descends
// from. A root of which nothing is known is older than any.
func reaches(p Parent, goal []v1alpha1.Root) bool {
	for _, want := range goal {
		if !slices.Contains(p.Descends, want.Reference) {
			continue
		}
		has := rootOf(p.Roots, want.Reference)
		if has == nil || has.Digest != want.Digest && has.Accepted.Before(&want.Accepted) {
			return false
		}
	}
	return true
}

func rootOf(roots []v1alpha1.Root, reference string) *v1alpha1.Root {
	for i := range roots {
		if roots[i].Reference == reference {
			return &roots[i]
		}
	}
	return nil
}
