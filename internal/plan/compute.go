// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Compute decides what is true of a lineage and what to do next. At most one
// step is decided at a time: when it is recorded, the next pass decides the next
// one from what is then true. So a crash between two steps costs nothing.
func Compute(s Snapshot) Plan {
	d := decision{Snapshot: s, subject: Subject{
		Lineage: s.Lineage, Parents: s.Parents, Template: s.Template,
		Absent: s.absent(),
		Now:    s.Now, ClockBehind: s.ClockBehind, AncestorDue: s.AncestorDue,
	}}
	d.plan.Run, d.plan.Problem = s.newestRun(), s.problem()
	if s.Lineage.Spec.Suspend {
		d.hold(v1alpha1.ReasonHeldSuspended, "spec.suspend is set: nothing is built, published or rolled out until it is removed")
	}
	d.plan.Check = CheckToken(s.Lineage) != handled(s.Lineage).Check
	d.plan.Registry = d.resolve()
	d.again(d.plan.Registry.Again)
	d.plan.Candidates = s.Lineage.Status.Candidates
	if MinAge(s.Lineage) == 0 {
		d.plan.Candidates = nil
	}
	stepped := d.finishRun() || d.believeTag()
	d.judgeTemplate()
	d.judge()
	if !stepped {
		d.build()
	}
	d.observe()
	d.keepGoal()
	d.plan.Parents = d.parents()
	d.plan.Rollout = Tally(s.Lineage, s.Workloads, s.Claimants)
	d.observeRollout()
	d.lookForRelease()
	d.lookForMissing()
	d.prune()
	d.observeTidying()
	return d.plan
}

// lookForRelease has the registry asked where a workload runs an image that is no
// revision, and appeared after the last check: it may be a release.
func (d *decision) lookForRelease() {
	unseen := d.plan.Rollout.Unseen
	if o := d.Observation; o.Answered() && o.Failure == nil && !unseen.IsZero() && unseen.After(o.Started) && !unseen.After(d.Now) {
		d.plan.Check = true
	}
}

// decision is a plan in the making.
type decision struct {
	Snapshot
	subject Subject
	plan    Plan
	// live is true while a run exists whose end is not recorded.
	live bool
	// unsettled is true where a build does not wait any longer.
	unsettled bool
}

// refusedAgain is when what was refused is looked at again: a policy may have been
// relaxed, or a Task that a template names been installed.
const refusedAgain = 10 * time.Minute

// tektonAgain is when a cluster is looked at again that does not show its runs.
const tektonAgain = time.Minute

// again asks for another look after a time; the shortest wins.
func (d *decision) again(after time.Duration) {
	if after > 0 && (d.plan.Again == 0 || after < d.plan.Again) {
		d.plan.Again = after
	}
}

func (d *decision) hold(reason, format string, args ...any) {
	if d.plan.Hold == nil {
		d.plan.Hold = &Hold{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
}

// holdBuild holds a build. Without an image there is nothing to be ready with.
func (d *decision) holdBuild(reason, format string, args ...any) {
	if d.subject.current() == nil {
		d.busy(reason, format, args...)
		return
	}
	d.hold(reason, format, args...)
}

func (d *decision) busy(reason, format string, args ...any) {
	if d.plan.Busy.Reason == "" {
		d.plan.Busy = Busy{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
}

func (d *decision) stall(reason, format string, args ...any) {
	if d.plan.Problem == nil {
		d.plan.Problem = &Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
}

// judgeTemplate tells of a template that cannot be used, whatever else is going on. It
// comes after the runs: one that was made from an earlier template is finished all the
// same.
func (d *decision) judgeTemplate() {
	if Produced(d.Lineage) && d.TemplateProblem != nil && d.plan.Problem == nil {
		d.plan.Problem = d.TemplateProblem
		d.again(refusedAgain)
		if d.NoRuns {
			d.again(tektonAgain)
		}
	}
}

// judge says how current relates to its parents.
func (d *decision) judge() {
	d.plan.Verdicts = Verdicts(d.subject)
	d.plan.Lineage = d.standing()
	for _, a := range d.awaited() {
		d.plan.WaitingFor = append(d.plan.WaitingFor, a.Name)
	}
	if d.Lineage.Spec.Suspend && Produced(d.Lineage) && len(d.plan.Verdicts) > 0 {
		d.plan.Hold.Message += "; a build is due then: " + d.plan.Verdicts[0].Message
	}
	d.awaitPeriod()
}

// outdatedAncestors are the ancestors that lack something.
func (d *decision) outdatedAncestors() []Ancestor {
	var outdated []Ancestor
	for _, a := range d.WaitingFor {
		if !a.Refreshed {
			outdated = append(outdated, a)
		}
	}
	return outdated
}

func (d *decision) standing() Standing {
	current := d.subject.current()
	if accepting, accepts := d.plan.Step.(Accept); accepts && current == nil && Followed(d.Lineage) {
		current = &accepting.Revision // there is nothing to compare it with
	}
	if current == nil {
		return Standing{UpToDate: Unknown, Reason: v1alpha1.ReasonResolving, Message: "there is no current image yet"}
	}
	for _, v := range d.plan.Verdicts {
		if v.Reason == v1alpha1.ReasonParentChanged || v.Reason == v1alpha1.ReasonTemplateChanged {
			reason, message := parentStanding(d.subject, v)
			return Standing{
				UpToDate: False, Reason: reason, Message: message,
				Since: since(current.BuiltFrom, current.Roots, d.Parents),
			}
		}
	}
	if outdated := d.outdatedAncestors(); len(outdated) > 0 {
		return behindAncestor(outdated)
	}
	for _, p := range d.Parents {
		if lookup(current.BuiltFrom, p.Name) == nil {
			return Standing{
				UpToDate: Unknown, Reason: v1alpha1.ReasonBuiltFromUnknown,
				Message: fmt.Sprintf("it cannot be proven on which %s the image was built: nothing is built until that parent moves, or the annotation %s asks for it", p.Name, v1alpha1.RebuildAnnotation),
			}
		}
	}
	return Standing{UpToDate: True, Reason: v1alpha1.ReasonUpToDate, Message: "built from the parents' current images" + d.untilWhen()}
}

// untilWhen says by when current is built anew, where it is.
func (d *decision) untilWhen() string {
	_, end := d.subject.period()
	if end.IsZero() {
		return ""
	}
	return fmt.Sprintf("; it is built anew by %s (spec.build.rebuildEvery)", end.UTC().Format(time.RFC3339))
}

func behindAncestor(outdated []Ancestor) Standing {
	standing := Standing{
		UpToDate: False, Reason: v1alpha1.ReasonAncestorOutdated,
		Message: outdated[0].Name + " is behind and comes first",
	}
	for _, a := range outdated {
		if !a.Since.IsZero() && (standing.Since.IsZero() || a.Since.Before(standing.Since)) {
			standing.Since = a.Since
		}
	}
	return standing
}

// build decides what comes of the verdicts: a run, a wait, a hold, or a person.
func (d *decision) build() {
	if !Produced(d.Lineage) {
		return
	}
	if len(d.plan.Verdicts) > 0 && !d.Lineage.Spec.Suspend && d.plan.Problem == nil {
		d.answer(d.plan.Verdicts[0])
	} else {
		d.waitForAncestors()
	}
	if current := d.subject.current(); current != nil && current.Origin == v1alpha1.OriginRolledBack && d.plan.Step == nil {
		d.holdRollback()
	}
}

// answer builds what the verdicts ask for, unless something comes first.
func (d *decision) answer(headline Verdict) {
	switch {
	case d.live:
		// One run at a time; what it lacks is built when it has ended.
	case sourceUnknown(d.subject, d.plan.Verdicts):
		d.stall(v1alpha1.ReasonSourceUnknown, "a rebuild is due (%s), and the current image was pushed by somebody else from a source that is not known: push a new release, or set the annotation %s to build from the template's source", headline.Message, v1alpha1.RebuildAnnotation)
	case heldByRollback(d.subject, d.plan.Verdicts):
		// Held below, as long as the rollback is current.
	case d.superseded():
		d.busy(v1alpha1.ReasonResolving, "waiting for the registry to tell what somebody else pushed to %s", d.Reference.Name())
	case exhausted(d.subject):
		d.giveUp(*d.Lineage.Status.Run)
	case d.waitForAncestors(), d.waitForParents():
	case d.holdUnapproved(headline), d.holdOutsideWindows(headline):
		// After the ancestors, since what is approved is what they come to; and before the
		// window opens, since nobody may be there then.
	case d.backOff():
	case !d.fresh():
		d.plan.Check = d.plan.Check || d.Observation.Answered() && d.Observation.Failure == nil
		d.busy(v1alpha1.ReasonResolving, "waiting for the registry to tell what %s shows", d.Reference.Name())
	default:
		d.create()
	}
}

func (d *decision) holdRollback() {
	d.hold(v1alpha1.ReasonHeldByUser, "the tag was put back to an older image (from revision %d): nothing is built until the tag moves again, a parent moves, or the annotation %s asks for it",
		d.subject.current().RolledBackFrom, v1alpha1.RebuildAnnotation)
}

// superseded is true until the registry was asked again after somebody else's push
// was found under the tag.
func (d *decision) superseded() bool {
	run := d.Lineage.Status.Run
	return run != nil && run.Outcome == v1alpha1.RunSuperseded && run.Ended != nil &&
		d.Observation.Answered() && !d.Observation.Started.After(d.past(run.Ended.Time))
}

func (d *decision) waitForParents() bool {
	for _, p := range d.Parents {
		if p.Current == nil {
			d.busy(v1alpha1.ReasonParentNotReady, "spec.from[%s] has no current image yet", p.Name)
			return true
		}
	}
	return false
}

func (d *decision) create() {
	number, attempt := nextRun(d.Lineage)
	b := Build{
		Number:    number,
		Attempt:   attempt,
		Inputs:    inputs(d.subject),
		Expected:  string(d.Observation.Digest),
		Template:  d.Template,
		Request:   rebuildToken(d.Lineage),
		Reasons:   append(reasons(d.plan.Verdicts), urgency(d.subject)...),
		BuiltFrom: builtFrom(d.Parents),
		Roots:     roots(d.Parents),
	}
	if d.unsettled {
		b.Reasons = append(b.Reasons, v1alpha1.ReasonSettleTimeout)
	}
	if d.Observation.Absent {
		b.Expected = v1alpha1.ExpectedAbsent
	}
	b.Name = RunName(d.Lineage.Name, d.Lineage.UID, b.Number, b.Inputs, b.Attempt)
	b.Output = d.Reference.WithTag(OutputTag(d.Reference.Tag, b.Name)).Name()
	d.plan.Step = Create{Build: b}
	d.busy(v1alpha1.ReasonBuilding, "%s", d.plan.Verdicts[0].Message)
}

// nextRun is the number of the revision that the next run makes, and which attempt at
// it that is.
func nextRun(l *v1alpha1.ImageLineage) (number, attempt int64) {
	number, attempt = lastRevision(l)+1, 1
	if run := l.Status.Run; run != nil && run.Number >= number {
		number, attempt = run.Number, run.Attempt+1
	}
	return number, attempt
}
