// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// DefaultInterval is the time between two checks of a tag where spec.poll does
	// not say otherwise. It is OpenShift's, whose users know it.
	DefaultInterval = 15 * time.Minute
	// unresolvedFailures and unresolvedIntervals are how long an unreachable
	// registry is no news: registries have short outages every day.
	unresolvedFailures  = 3
	unresolvedIntervals = 2
	// unreadyAfter is how long a registry may be unreachable before the lineage
	// itself cannot be called ready any more.
	unreadyAfter = 24 * time.Hour
)

// Interval is the time between two checks of a lineage's tag.
func Interval(l *v1alpha1.ImageLineage) time.Duration {
	if l.Spec.Poll == nil || l.Spec.Poll.Interval == nil {
		return DefaultInterval
	}
	interval, err := time.ParseDuration(string(*l.Spec.Poll.Interval))
	if err != nil || interval <= 0 {
		return DefaultInterval
	}
	return interval
}

// Resolution is whether the registry tells what the tag shows.
type Resolution struct {
	// Resolved is Unknown until the first answer or failure.
	Resolved Truth
	// Reason is one of the API's reasons.
	Reason string
	// Message says it in a sentence.
	Message string
	// Again is when to look at it again without any news; zero where not.
	Again time.Duration
}

// resolve judges the registry's answers, and is patient with an image that is
// there already.
func (d *decision) resolve() Resolution {
	o := d.Observation
	if o == nil {
		return Resolution{Resolved: Unknown}
	}
	if o.Failure != nil {
		return d.unresolved(*o.Failure)
	}
	if d.Stale() {
		d.plan.Check = true
		return Resolution{Resolved: Unknown}
	}
	if o.Absent {
		return Resolution{Resolved: False, Reason: v1alpha1.ReasonTagAbsent, Message: d.Reference.Name() + " does not exist at its registry"}
	}
	return Resolution{Resolved: True, Reason: v1alpha1.ReasonResolved, Message: "the registry answers"}
}

func (d *decision) unresolved(f Failure) Resolution {
	failing := d.Now.Sub(f.Since)
	patience := unresolvedIntervals * Interval(d.Lineage)
	if f.Reason == v1alpha1.ReasonUnauthorized {
		f.Message += "; spec.pullSecrets or spec.serviceAccountName has to name a Secret that may read it"
	}
	is := Resolution{Resolved: False, Reason: f.Reason, Message: f.Message, Again: unreadyAfter - failing}
	switch {
	case d.subject.current() == nil:
		d.busy(f.Reason, "%s", f.Message)
	case failing < patience || f.Count < unresolvedFailures:
		is = Resolution{Resolved: Unknown, Again: max(patience-failing, 0)}
	case failing >= unreadyAfter:
		is.Again = 0
		d.busy(f.Reason, "for more than %s: %s", unreadyAfter, f.Message)
	}
	return is
}
