// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// newestRun is the run with the highest number and attempt. Runs whose
// annotations a person has damaged have no number and do not count.
func (s Snapshot) newestRun() *Run {
	var newest *Run
	for i, r := range s.Runs {
		if r.Number > 0 && (newest == nil || later(r.Number, r.Attempt, newest.Number, newest.Attempt) ||
			r.Number == newest.Number && r.Attempt == newest.Attempt && r.Name < newest.Name) {
			newest = &s.Runs[i]
		}
	}
	return newest
}

func later(number, attempt, thanNumber, thanAttempt int64) bool {
	return number > thanNumber || number == thanNumber && attempt > thanAttempt
}

// finishRun decides about the newest run, and is true where that is the step of
// this pass, or where it has to wait for the run. What ended is finished before
// anything else is decided: its output is ours, and must not be taken for
// somebody else's push.
func (d *decision) finishRun() bool {
	run, recorded := d.plan.Run, d.Lineage.Status.Run
	if d.NoRuns {
		d.live = InFlight(recorded)
		return false
	}
	if run == nil || recorded != nil && !later(run.Number, run.Attempt, recorded.Number, recorded.Attempt) && !sameRun(run, recorded) {
		return d.lostRun(recorded)
	}
	if recorded != nil && sameRun(run, recorded) && recorded.Outcome != "" {
		return false
	}
	d.live = true
	if !run.Done {
		d.inFlight(run)
		return false
	}
	if step := d.ended(run, recorded); step != nil {
		d.plan.Step = step
		return true
	}
	return false
}

// ended is what to do about a run that has ended; nil where nothing can be done about
// it now, because its image is withheld.
func (d *decision) ended(run *Run, recorded *v1alpha1.RunStatus) Step {
	end := func(outcome v1alpha1.RunOutcome, message string) Step {
		return End{Run: *run, Outcome: outcome, Message: message}
	}
	switch {
	case !Produced(d.Lineage):
		return end(v1alpha1.RunDiscarded, "spec.build was removed during the run")
	case !run.Succeeded && run.Invalid:
		return end(v1alpha1.RunInvalid, run.Message)
	case !run.Succeeded && run.Cancelled:
		return end(v1alpha1.RunCancelled, run.Message)
	case !run.Succeeded:
		return end(v1alpha1.RunFailed, run.Message)
	case d.Lineage.Spec.Suspend || d.plan.Problem != nil || wasWithheld(run, recorded) && !d.parentsKnown():
		// It stays unpublished until somebody lifts that, and until it is known what the
		// parents are then.
		d.plan.Withheld = true
		if !d.parentsKnown() {
			d.busy(v1alpha1.ReasonParentNotReady, "run %s succeeded: its image is published when it is known what the parents are", run.Name)
		}
		return nil
	case d.unwanted(run, recorded):
		return end(v1alpha1.RunDiscarded, "the run ended while its image could not be published, and its inputs have moved on")
	default:
		d.busy(v1alpha1.ReasonPublishing, "run %s succeeded: its image is put under the tag", run.Name)
		return Publish{Run: *run, Late: d.Now.Sub(d.past(run.Finished)) >= outputGrace, UnlessSame: d.unlessSame(run)}
	}
}

// outputGrace is how long a registry may take to show what a run has pushed: some
// answer from a replica that lags behind.
const outputGrace = time.Minute

// unseenAgain is when a run is looked at again that no watch tells of.
const unseenAgain = 30 * time.Second

// unstartedAfter is how long Tekton may leave a run alone before it is said.
const unstartedAfter = 2 * time.Minute

// inFlight says that a run is going on, and where Tekton does nothing about it.
func (d *decision) inFlight(run *Run) {
	waiting := d.Now.Sub(run.Created)
	if run.Unseen {
		d.again(unseenAgain)
	}
	switch {
	case run.Started || run.Created.IsZero():
		d.busy(v1alpha1.ReasonBuilding, "run %s is in flight", run.Name)
	case waiting < unstartedAfter:
		d.busy(v1alpha1.ReasonBuilding, "run %s is in flight", run.Name)
		d.again(unstartedAfter - waiting)
	default:
		d.busy(v1alpha1.ReasonBuilding, "run %s was created at %s, and Tekton has not begun it: its controller may be down", run.Name, clockTime(run.Created))
	}
}

// Unrecorded is true for a run whose end the status does not tell yet.
func Unrecorded(run Run, recorded *v1alpha1.RunStatus) bool {
	return recorded == nil || later(run.Number, run.Attempt, recorded.Number, recorded.Attempt) ||
		sameRun(&run, recorded) && recorded.Outcome == ""
}

func sameRun(run *Run, recorded *v1alpha1.RunStatus) bool {
	return run.Number == recorded.Number && run.Attempt == recorded.Attempt
}

// lostRun ends a run that is recorded as in flight and does not exist. The
// snapshot was read past the cache where it lacked the run, so it is gone; or it
// is there, and somebody has damaged what the operator wrote on it.
func (d *decision) lostRun(recorded *v1alpha1.RunStatus) bool {
	if !InFlight(recorded) {
		return false
	}
	run := Run{Build: Build{Name: recorded.Name, Number: recorded.Number, Attempt: recorded.Attempt, Inputs: recorded.Inputs, Reasons: recorded.Reasons}}
	if recorded.Started != nil {
		run.Created = recorded.Started.Time
	}
	damaged := slices.IndexFunc(d.Runs, func(r Run) bool { return r.Name == recorded.Name })
	switch {
	case damaged < 0:
		d.plan.Step = End{Run: run, Outcome: v1alpha1.RunLost, Message: fmt.Sprintf("run %s disappeared before its end was seen", run.Name)}
	case !d.Runs[damaged].Done:
		d.live = true
		d.busy(v1alpha1.ReasonBuilding, "the annotations of run %s were edited, so nothing of it will be used: waiting for its end", run.Name)
		return false
	default:
		d.plan.Step = End{Run: run, Outcome: v1alpha1.RunRefused, Message: fmt.Sprintf("the annotations of run %s were edited, so its image is not used", run.Name)}
	}
	return true
}

// unwanted is true for a run that ended while its image was withheld (its end was
// recorded, but no outcome) and whose inputs are not today's. That a build is due
// because of the time, too, takes nothing from one that was made for another reason.
func (d *decision) unwanted(run *Run, recorded *v1alpha1.RunStatus) bool {
	return wasWithheld(run, recorded) && run.Inputs != inputs(d.subject) && run.Inputs != inputsAt(d.subject, "")
}

func wasWithheld(run *Run, recorded *v1alpha1.RunStatus) bool {
	return recorded != nil && sameRun(run, recorded) && recorded.Finished != nil
}

// parentsKnown is false while a parent has no current image: one that was made anew
// has to hear from its registry first.
func (d *decision) parentsKnown() bool {
	return !slices.ContainsFunc(d.Parents, func(p Parent) bool { return p.Current == nil })
}

// inputs is the hash of what a build would be made of now.
func inputs(s Subject) string { return inputsAt(s, epoch(s)) }

// inputsAt is the same in another epoch.
func inputsAt(s Subject, epoch string) string {
	return InputsHash(string(s.Lineage.Spec.Image), builtFrom(s.Parents), s.Template, rebuildToken(s.Lineage), epoch)
}

// builtFrom pins the parents' current images.
func builtFrom(parents []Parent) []v1alpha1.BuiltFrom {
	var out []v1alpha1.BuiltFrom
	for _, p := range parents {
		if p.Current == nil {
			continue
		}
		out = append(out, v1alpha1.BuiltFrom{
			Name: p.Name, Reference: p.Reference.Name(),
			Digest: p.Current.Digest, Identities: []v1alpha1.Identity{p.Current.Identity},
			Mirror: p.Current.Mirror,
		})
	}
	return out
}

// roots are those of an image that is built of the parents' current ones.
func roots(parents []Parent) []v1alpha1.Root {
	var arms []arm
	for _, p := range parents {
		if p.Current != nil {
			arms = append(arms, arm{roots: p.Current.Roots, descends: p.Descends})
		}
	}
	return oldest(arms)
}
