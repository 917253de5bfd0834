// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// defaultRetryLimit is spec.build.retryLimit where it is not given.
	defaultRetryLimit = 3
	// firstBackoff and maxBackoff bound the time between a failure and the next
	// attempt: 1, 2, 4, 8, 16, 32, 32 … minutes (design §4).
	firstBackoff = time.Minute
	maxBackoff   = 32 * time.Minute
)

// retryLimit is how often a failed build is tried again with the same inputs.
func retryLimit(l *v1alpha1.ImageLineage) int64 {
	if l.Spec.Build == nil || l.Spec.Build.RetryLimit == nil {
		return defaultRetryLimit
	}
	return int64(*l.Spec.Build.RetryLimit)
}

// HasFailed is true for the outcomes of runs that made nothing to publish, through no
// one's push and no hold.
func HasFailed(outcome v1alpha1.RunOutcome) bool {
	switch outcome {
	case v1alpha1.RunFailed, v1alpha1.RunInvalid, v1alpha1.RunRefused, v1alpha1.RunLost, v1alpha1.RunCancelled:
		return true
	default:
		return false
	}
}

// FailuresBefore counts the runs in a row that failed with these inputs, by what
// is recorded of the run before.
func FailuresBefore(recorded *v1alpha1.RunStatus, inputs string) int64 {
	if recorded == nil || !sameInputs(recorded.Inputs, inputs) {
		return 0
	}
	return recorded.Failures
}

// ranBefore is true where the last run was made of what a build would be made of
// now. Inputs that were hashed by another version of the operator count as the same: an
// upgrade must build nothing.
func ranBefore(s Subject) bool {
	run := s.Lineage.Status.Run
	if run == nil {
		return false
	}
	return sameInputs(run.Inputs, inputs(s))
}

func sameInputs(a, b string) bool { return a == b || hashVersion(a) != hashVersion(b) }

// exhausted is true where building the same again needs a person: it failed as
// often as it may, or was cancelled. So does what somebody else's push superseded:
// where the tag then shows no release, those who pull see another registry than
// those who push, and building again would not end.
func exhausted(s Subject) bool {
	if !ranBefore(s) {
		return false
	}
	run := s.Lineage.Status.Run
	switch run.Outcome {
	case v1alpha1.RunSuperseded, v1alpha1.RunCancelled, v1alpha1.RunInvalid:
		return true
	default:
		// A failure that was not counted is of an operator that did not try again.
		uncounted := run.Failures == 0 && run.Outcome != v1alpha1.RunLost
		return HasFailed(run.Outcome) && (uncounted || run.Failures > retryLimit(s.Lineage))
	}
}

// giveUp says that the last run is not repeated without a person.
func (d *decision) giveUp(run v1alpha1.RunStatus) {
	times := ""
	if run.Failures > 1 {
		times = fmt.Sprintf(" (%d times in a row)", run.Failures)
	}
	d.stall(FailureReason(run.Outcome), "%s%s; it is tried again when an input changes, or when the annotation %s asks for it", run.Message, times, v1alpha1.RebuildAnnotation)
}

// backOff is true while a failed build waits for its next attempt.
func (d *decision) backOff() bool {
	run := d.Lineage.Status.Run
	if !ranBefore(d.subject) || !HasFailed(run.Outcome) || run.Ended == nil {
		return false
	}
	due := d.past(run.Ended.Time).Add(backoff(*run))
	if !due.After(d.Now) {
		return false
	}
	d.busy(FailureReason(run.Outcome), "%s; attempt %d of %d begins at %s", run.Message, run.Failures+1, retryLimit(d.Lineage)+1, clockTime(due))
	d.again(due.Sub(d.Now))
	return true
}

// backoff is the time between the end of a failed run and the next attempt. A run
// that was lost did not fail by itself: the first one is made again at once.
func backoff(run v1alpha1.RunStatus) time.Duration {
	failures := run.Failures
	if run.Outcome == v1alpha1.RunLost {
		failures--
	}
	if failures < 1 {
		return 0
	}
	wait := firstBackoff
	for ; failures > 1 && wait < maxBackoff; failures-- {
		wait *= 2
	}
	return wait
}

// FailureReason is the reason for a run that is not simply repeated.
func FailureReason(outcome v1alpha1.RunOutcome) string {
	switch outcome {
	case v1alpha1.RunRefused:
		return v1alpha1.ReasonOutputRefused
	case v1alpha1.RunCancelled:
		return v1alpha1.ReasonBuildCancelled
	case v1alpha1.RunInvalid:
		return v1alpha1.ReasonBuildInvalid
	case v1alpha1.RunLost:
		return v1alpha1.ReasonRunLost
	default:
		return v1alpha1.ReasonBuildFailed
	}
}

// clockTime is a time of the day as a message shows it.
func clockTime(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
