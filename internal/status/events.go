// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"

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

// Events tells what happened between two statuses.
func Events(before, after v1alpha1.ImageLineageStatus, p plan.Plan, o plan.Outcome) []Event {
	var events []Event
	if e := stepEvent(p, o); e != nil {
		events = append(events, *e)
	}
	was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionStalled)
	is := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionStalled)
	if is != nil && (was == nil || was.Reason != is.Reason) {
		events = append(events, Event{Warning: true, Reason: is.Reason, Message: is.Message})
	}
	return events
}

func stepEvent(p plan.Plan, o plan.Outcome) *Event {
	switch step := p.Step.(type) {
	case plan.Accept:
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
	case !o.Done || o.Refused:
		return nil
	case o.Superseded:
		return &Event{Reason: v1alpha1.ReasonSuperseded, Message: fmt.Sprintf("run %s: somebody else moved the tag meanwhile; its output is left aside", step.Run.Name)}
	default:
		return &Event{Reason: v1alpha1.ReasonPublished, Message: fmt.Sprintf("run %s: %s", step.Run.Name, reference.ShortDigest(string(o.Digest)))}
	}
}
