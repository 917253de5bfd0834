// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// reachesOut is true for a step that does something outside of the status. A step of
// which nothing is known here does.
func reachesOut(step Step) bool {
	switch step := step.(type) {
	case nil, Prove, Identify, End:
		return false
	case Accept:
		return step.Mirror
	default:
		return true
	}
}

// observe takes back the step that reaches outside of the status, where the operator
// only observes, and says what it would have been. What the registry tells is accepted
// all the same, and how runs ended is recorded: both are what is, and no doing of ours.
func (d *decision) observe() {
	if !d.ObserveOnly {
		return
	}
	if _, publishes := d.plan.Step.(Publish); publishes {
		// As under suspend: it is published later, unless its inputs have moved on by then.
		d.plan.Withheld = true
	}
	waits := d.plan.Step == nil && d.plan.Busy.Reason == v1alpha1.ReasonAncestorOutdated
	if !waits && !reachesOut(d.plan.Step) {
		return
	}
	would := d.wouldDo()
	d.plan.Step, d.plan.Busy = nil, Busy{}
	d.holdBuild(v1alpha1.ReasonHeldObserveOnly, "the operator only observes (--observe-only): %s", would)
}

// observeTidying takes back a step that only tidies up, of which nothing has to be said.
func (d *decision) observeTidying() {
	if d.ObserveOnly && reachesOut(d.plan.Step) {
		d.plan.Step = nil
	}
}

// wouldDo is what the plan comes to outside of the status.
func (d *decision) wouldDo() string {
	switch step := d.plan.Step.(type) {
	case nil:
		return "it would build " + namesOf(d.awaited()) + " first"
	case Create:
		return "it would build: " + d.plan.Verdicts[0].Message
	case Publish:
		return fmt.Sprintf("it would put the image of run %s under the tag", step.Run.Name)
	case Restore:
		return fmt.Sprintf("it would put %s back under %s, which has vanished", reference.ShortDigest(string(step.Digest)), d.Watched().Name())
	case Mirror:
		return d.wouldCopy(step.Revision)
	case Accept:
		return d.wouldCopy(step.Revision) + ", and then take it"
	default:
		return "it would go on: " + d.plan.Busy.Message
	}
}

func (d *decision) wouldCopy(r v1alpha1.Revision) string {
	return fmt.Sprintf("it would copy %s to %s", reference.ShortDigest(string(r.Digest)), MirrorOf(d.Lineage).Repository)
}

// observeRollout says which workloads would be moved, where the operator only observes.
func (d *decision) observeRollout() {
	if !d.ObserveOnly {
		return
	}
	var due []string
	for _, w := range d.Workloads {
		for _, change := range Roll(w, d.Claimants) {
			if change.Memory.Lineage == d.Lineage.Name {
				due = append(due, fmt.Sprintf("%s, container %s, to revision %d (%s)", w, change.Container.Name, change.Memory.Revision, reference.ShortDigest(string(d.subject.current().Digest))))
			}
		}
	}
	for _, would := range due {
		d.plan.Rollout.note("would be moved: %s", would)
	}
	if len(due) > 0 {
		d.plan.Rollout.WouldMove = due[0]
	}
	if more := len(due) - 1; more > 0 {
		d.plan.Rollout.WouldMove += fmt.Sprintf(", and %d more", more)
	}
}
