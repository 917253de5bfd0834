// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// spreadPart is the part of spec.build.rebuildEvery, a tenth, over which a fleet that
// was built together is spread. A tenth is the poller's jitter, and that of
// controller-runtime's resync (cache.Options.SyncPeriod). With 24h, 500 lineages that
// one base has moved within minutes begin over 2h24m, one in 17 seconds. It is taken
// off and not added, so that no image gets older than was asked for while builds are
// possible.
const spreadPart = 10

// periodic fires where current is as old as spec.build.rebuildEvery allows: what is
// installed into an image gets old although neither parents nor template move. It
// counts from when current was accepted, whatever it was built for, and only for what
// was built here: a release, or what a person went back to, is nobody's to replace.
//
// Where an ancestor is due before current is too old, its turn is waited for: a child
// that went first would be built twice.
func periodic(s Subject) *Verdict {
	due, end := s.period()
	if due.IsZero() || s.Now.Before(due) || s.joins(end) {
		return nil
	}
	return &Verdict{
		Reason: v1alpha1.ReasonPeriodic,
		Message: fmt.Sprintf("the image is of %s, and spec.build.rebuildEvery is %s",
			s.current().Accepted.UTC().Format(time.RFC3339), *s.Lineage.Spec.Build.RebuildEvery),
	}
}

// period is when current is due to be built anew, and when it is as old as it may be;
// zero where it never is.
func (s Subject) period() (due, end time.Time) {
	every, current := rebuildEvery(s.Lineage), s.current()
	if every == 0 || current == nil || current.Origin != v1alpha1.OriginBuilt || s.Now.IsZero() {
		return time.Time{}, time.Time{}
	}
	end = pastBy(s.Now, s.ClockBehind, current.Accepted.Time).Add(every)
	return end.Add(-spread(string(s.Lineage.UID), every)), end
}

// joins is true while an ancestor is waited for that is due before the end of the
// lineage's own period.
func (s Subject) joins(end time.Time) bool {
	return !s.AncestorDue.IsZero() && s.AncestorDue.Before(end) && s.Now.Before(end)
}

// rebuildEvery is spec.build.rebuildEvery; 0 where it is not given.
func rebuildEvery(l *v1alpha1.ImageLineage) time.Duration {
	if !Produced(l) || l.Spec.Build.RebuildEvery == nil {
		return 0
	}
	every, err := time.ParseDuration(string(*l.Spec.Build.RebuildEvery))
	if err != nil || every < 0 {
		return 0
	}
	return every
}

// spread is how long before the end of its period a lineage is due, the same each time:
// less than a tenth of it, in whole seconds.
func spread(uid string, every time.Duration) time.Duration {
	seconds := int64(max(every/spreadPart/time.Second, 1))
	sum := sha256.Sum256([]byte(uid))
	return time.Duration(int64(binary.BigEndian.Uint32(sum[:]))%seconds) * time.Second
}

// epoch tells the builds of one period from those of others that are made of the same:
// when current was accepted. It is empty where no build is due because of the time.
func epoch(s Subject) string {
	if periodic(s) == nil {
		return ""
	}
	return s.current().Accepted.UTC().Format(time.RFC3339Nano)
}

// Due is when a lineage that does nothing now is built anew because of
// spec.build.rebuildEvery; zero where it is not, or not by itself. blocked is as for
// Settled.
func Due(s Subject, blocked bool) time.Time {
	if blocked || !Settled(s, blocked) || s.Lineage.Spec.Suspend || len(Verdicts(s)) > 0 {
		return time.Time{}
	}
	due, _ := s.period()
	return due
}

// Refreshing is true of an unsettled lineage of which nothing is outdated: what is
// being built, or due, is the same again because of spec.build.rebuildEvery, or because
// a person asks for it.
func Refreshing(s Subject) bool {
	why := reasons(Verdicts(s))
	if run := s.Lineage.Status.Run; InFlight(run) {
		why = slices.Concat(why, run.Reasons)
	}
	return !slices.ContainsFunc(why, func(reason string) bool {
		switch reason {
		case v1alpha1.ReasonNeverBuilt, v1alpha1.ReasonParentChanged, v1alpha1.ReasonTemplateChanged:
			return true
		default:
			return false
		}
	})
}

// onlyPeriodic is true where time alone is the reason of a build, whether it has waited
// for its ancestors or not.
func onlyPeriodic(reasons []string) bool {
	return slices.Equal(reasons, []string{v1alpha1.ReasonPeriodic}) ||
		slices.Equal(reasons, []string{v1alpha1.ReasonPeriodic, v1alpha1.ReasonSettleTimeout})
}

// awaitPeriod has the lineage looked at when it is due, or when the ancestor is that is
// waited for.
func (d *decision) awaitPeriod() {
	due, end := d.subject.period()
	switch {
	case due.IsZero():
	case d.Now.Before(due):
		d.again(due.Sub(d.Now))
	case d.subject.joins(end):
		d.again(min(end.Sub(d.Now), max(d.AncestorDue.Sub(d.Now), refreshedAgain)))
	}
}

// refreshedAgain is when a lineage is looked at again whose ancestor is due to be built
// anew: before that one begins it says nothing of it, and wakes nobody.
const refreshedAgain = time.Minute

// unlessSame is the digest that stays under the tag where the output of a run holds the
// same; empty where the output is published whatever it holds.
func (d *decision) unlessSame(run *Run) v1alpha1.Digest {
	current := d.subject.current()
	if current == nil || string(current.Digest) != run.Expected || !onlyPeriodic(run.Reasons) {
		return ""
	}
	return current.Digest
}
