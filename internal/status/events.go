// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Event is something to tell. It is told only after the status that it speaks of
// was stored.
type Event struct {
	// Warning is true where a person may have to act.
	Warning bool
	// Reason is one of the API's reasons.
	Reason string
	// Message says it in a sentence.
	Message string
}

// troubles are the reasons of Ready by which a lineage that nobody has to mend still
// does not get on: worth an Event when one begins.
var troubles = map[string]bool{
	v1alpha1.ReasonRegistryUnreachable: true,
	v1alpha1.ReasonUnauthorized:        true,
	v1alpha1.ReasonTagAbsent:           true,
	v1alpha1.ReasonRunNotCreated:       true,
	v1alpha1.ReasonRolloutRefused:      true,
}

// Events tells what happened between two statuses.
func Events(before, after v1alpha1.ImageLineageStatus, p plan.Plan, o plan.Outcome) []Event {
	var events []Event
	if e := stepEvent(p, o); e != nil {
		events = append(events, *e)
	}
	warn := func(reason, message string) {
		if !slices.ContainsFunc(events, func(e Event) bool { return e.Reason == reason }) {
			events = append(events, Event{Warning: true, Reason: reason, Message: message})
		}
	}
	if is := began(before, after, v1alpha1.ConditionStalled); is != nil {
		warn(is.Reason, is.Message)
	}
	if is := began(before, after, v1alpha1.ConditionReconciling); is != nil && troubles[is.Reason] {
		warn(is.Reason, is.Message)
	}
	// Without an image, Ready says what there is to say: a tag that does not exist yet is
	// no trouble where it is about to be built.
	if is := began(before, after, v1alpha1.ConditionResolved); is != nil && is.Status == metav1.ConditionFalse && after.Current != nil {
		warn(is.Reason, is.Message)
	}
	if is := began(before, after, v1alpha1.ConditionImageMissing); is != nil {
		warn(is.Reason, is.Message)
	}
	if trouble := p.Rollout.Trouble; trouble != "" && (before.Rollout == nil || !slices.Contains(before.Rollout.Notes, trouble)) {
		warn(v1alpha1.ReasonRollingOut, trouble)
	}
	return events
}

// began is a condition that was not there, or had another reason; nil where it was,
// or is not there.
func began(before, after v1alpha1.ImageLineageStatus, kind string) *metav1.Condition {
	was, is := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
	if is == nil || was != nil && was.Reason == is.Reason {
		return nil
	}
	return is
}

func stepEvent(p plan.Plan, o plan.Outcome) *Event {
	switch step := p.Step.(type) {
	case plan.Accept:
		if !o.Done {
			return nil
		}
		return &Event{Reason: step.Reason, Message: fmt.Sprintf("revision %d is %s", step.Revision.Revision, step.Revision.Reference)}
	case plan.Create:
		if o.Done {
			return &Event{Reason: v1alpha1.ReasonBuildStarted, Message: fmt.Sprintf("run %s: %s", step.Build.Name, p.Verdicts[0].Message)}
		}
	case plan.Restore:
		if o.Done {
			return &Event{Warning: true, Reason: v1alpha1.ReasonRestored, Message: fmt.Sprintf("the tag had vanished; it shows %s again", reference.ShortDigest(string(step.Digest)))}
		}
	case plan.End:
		return endEvent(step)
	case plan.Publish:
		return publishEvent(step, o)
	}
	return nil
}

func endEvent(step plan.End) *Event {
	reason := plan.FailureReason(step.Outcome)
	if step.Outcome == v1alpha1.RunDiscarded {
		reason = v1alpha1.ReasonSuperseded
	}
	return &Event{Warning: true, Reason: reason, Message: fmt.Sprintf("run %s: %s", step.Run.Name, step.Message)}
}

func publishEvent(step plan.Publish, o plan.Outcome) *Event {
	switch {
	case !o.Done:
		return nil
	case o.Refused:
		return &Event{Warning: true, Reason: v1alpha1.ReasonOutputRefused, Message: o.Problem.Message}
	case o.Superseded:
		return &Event{Reason: v1alpha1.ReasonSuperseded, Message: fmt.Sprintf("run %s: somebody else moved the tag meanwhile; its output is left aside", step.Run.Name)}
	case step.UnlessSame != "" && o.Digest == step.UnlessSame:
		return &Event{Reason: v1alpha1.ReasonUpToDate, Message: fmt.Sprintf("run %s: it made what is current already, and nothing is published", step.Run.Name)}
	default:
		return &Event{Reason: v1alpha1.ReasonPublished, Message: fmt.Sprintf("run %s: %s", step.Run.Name, reference.ShortDigest(string(o.Digest)))}
	}
}
