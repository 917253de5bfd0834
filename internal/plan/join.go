// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// DefaultSettleTimeout is how long a build waits for ancestors on which nothing gets on,
// where an administrator does not say otherwise (--settle-timeout).
const DefaultSettleTimeout = 30 * time.Minute

// awaited are the ancestors that come first. Who has nothing to build does not wait for
// one that may well make the same again, and is behind the others whatever it would wait
// for.
func (d *decision) awaited() []Ancestor {
	if len(d.plan.Verdicts) == 0 {
		return d.outdatedAncestors()
	}
	var awaited []Ancestor
	for _, a := range d.WaitingFor {
		if d.holdsUp(a) {
			awaited = append(awaited, a)
		}
	}
	return awaited
}

// holdsUp is true where an ancestor that is not settled has to be waited for: a parent
// below it does not reach the goal; or it is built for a reason that no root tells of,
// and what is built before that would be built twice.
func (d *decision) holdsUp(a Ancestor) bool {
	if a.Itself || len(a.On) == 0 {
		return true
	}
	goal := d.goal()
	return slices.ContainsFunc(d.Parents, func(p Parent) bool {
		return slices.Contains(a.On, p.Name) && !reaches(p, goal)
	})
}

// waitForAncestors is true where the build that is due waits for ancestors, so that one
// change of a base builds each descendant once.
func (d *decision) waitForAncestors() bool {
	awaited := d.awaited()
	if len(awaited) == 0 || d.waitedEnough(awaited) {
		return false
	}
	others := ""
	if len(awaited) > 1 {
		others = fmt.Sprintf(", and %d more", len(awaited)-1)
	}
	d.busy(v1alpha1.ReasonAncestorOutdated, "waiting for %s, which is rebuilt first%s", awaited[0].Name, others)
	return true
}

// waitedEnough is true where nothing gets on with any of the ancestors that a build waits
// for, for so long that it is built on what is there; the headline says so.
func (d *decision) waitedEnough(awaited []Ancestor) bool {
	if d.SettleTimeout <= 0 || len(d.plan.Verdicts) == 0 {
		return false
	}
	var over time.Time
	for _, a := range awaited {
		if end := d.progress(a).Add(d.SettleTimeout); end.After(over) {
			over = end
		}
	}
	if over.After(d.Now) {
		d.again(over.Sub(d.Now))
		return false
	}
	d.unsettled = true
	d.plan.Verdicts[0].Message += fmt.Sprintf("; built without waiting longer for %s: nothing happened there for %s (--settle-timeout)", namesOf(awaited), d.SettleTimeout)
	return true
}

// namedAwaited is how many ancestors a message names; status.waitingFor has the rest.
const namedAwaited = 3

// namesOf are the first ancestors by name, and how many more there are.
func namesOf(awaited []Ancestor) string {
	var names []string
	for i, a := range awaited {
		if i == namedAwaited {
			names = append(names, fmt.Sprintf("%d more", len(awaited)-i))
			break
		}
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// progress is when something happened last on an arm that an ancestor is on, and not
// before the wait began.
func (d *decision) progress(a Ancestor) time.Time {
	since := d.Lineage.Status.WaitingSince
	if since == nil {
		return d.Now
	}
	last := d.past(since.Time)
	for _, p := range d.Parents {
		if slices.Contains(a.On, p.Name) && p.Progress.After(last) {
			last = p.Progress
		}
	}
	return last
}

// Progress is when something happened last to a lineage that is built: a run began or
// ended, or it got another image. While a run is in flight within its limit, or without
// one where that is 0, it is now.
func Progress(l *v1alpha1.ImageLineage, limit time.Duration, now time.Time) time.Time {
	var last time.Time
	note := func(t time.Time) {
		if t.After(last) && !t.After(now) {
			last = t
		}
	}
	if l.Status.Current != nil {
		note(l.Status.Current.Accepted.Time)
	}
	run := l.Status.Run
	if run == nil {
		return last
	}
	if run.Started != nil {
		switch end := run.Started.Add(limit); {
		case !InFlight(run):
			note(run.Started.Time)
		case limit == 0 || now.Before(end):
			return now
		default:
			note(end)
		}
	}
	if run.Ended != nil {
		note(run.Ended.Time)
	}
	return last
}

// Itself is true of an unsettled lineage that is built, or going to be, for another
// reason than its parents.
func Itself(s Subject) bool {
	why := reasons(Verdicts(s))
	if run := s.Lineage.Status.Run; InFlight(run) {
		why = slices.Concat(why, run.Reasons)
	}
	return slices.ContainsFunc(why, func(reason string) bool {
		return reason != v1alpha1.ReasonParentChanged && reason != v1alpha1.ReasonSettleTimeout
	})
}

// Barred is true where nothing comes down through a lineage, whatever its parents do,
// before a person acts or a window opens. The image of a run that is in flight does.
// blocked is as for Settled.
func Barred(s Subject, blocked bool) bool {
	if Followed(s.Lineage) {
		return false
	}
	if !Produced(s.Lineage) || s.Lineage.Spec.Suspend || blocked {
		return true
	}
	if InFlight(s.Lineage.Status.Run) {
		return false
	}
	_, unreadable := windowsOf(s.Lineage)
	return unreadable != nil || sourceUnknown(s, Verdicts(s)) || outsideWindows(s) || unapproved(s)
}
