// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
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
	if listed := d.resolveListing(); listed.Reason != "" {
		return listed
	}
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
		return Resolution{Resolved: False, Reason: v1alpha1.ReasonTagAbsent, Message: d.Watched().Name() + " does not exist at its registry"}
	}
	return Resolution{Resolved: True, Reason: v1alpha1.ReasonResolved, Message: "the registry answers"}
}

// resolveListing judges the list of tags, where spec.tags chooses from it; it has no
// reason where there is nothing to say of it.
func (d *decision) resolveListing() Resolution {
	l := d.Listing
	switch {
	case d.Tags == nil || l == nil:
		return Resolution{}
	case l.Failure != nil:
		return d.unresolved(*l.Failure)
	case d.Tag == "":
		message := fmt.Sprintf("none of the %d tags of %s is one of spec.tags: correct spec.tags, or push one", len(l.Tags), d.Reference.Repository)
		d.busy(v1alpha1.ReasonTagAbsent, "%s", message)
		return Resolution{Resolved: False, Reason: v1alpha1.ReasonTagAbsent, Message: message}
	case !slices.Contains(l.Tags, d.Tag) && l.Repeats < settledRepeats:
		d.plan.Check = true
		return Resolution{}
	case !slices.Contains(l.Tags, d.Tag):
		return Resolution{Resolved: False, Reason: v1alpha1.ReasonTagAbsent, Message: d.Watched().Name() + " is not among the tags of its repository any more; a lower one is never taken"}
	default:
		return Resolution{}
	}
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
