// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Summarize is the status that follows from a snapshot, what was decided on it,
// and what came of that. It returns a value equal to the one before where nothing
// changed, so that an idle fleet makes no writes.
func Summarize(s plan.Snapshot, p plan.Plan, o plan.Outcome) v1alpha1.ImageLineageStatus {
	status := *s.Lineage.Status.DeepCopy()
	status.ObservedGeneration = s.Lineage.Generation
	status.Role = lineage.RoleOf(plan.Followed(s.Lineage), s.HasChild)
	status.Parents = parents(s.Lineage)
	status.Observed = observed(status.Observed, s)
	status.Candidates = p.Candidates
	status.From = p.Parents
	status.WaitingFor, status.WaitingSince = waitingFor(p), waitingSince(status.WaitingSince, p, s.Now)
	status.Goal = goal(p, o)
	observeRun(&status, p.Run, p.Withheld)
	record(&status, s, p, o)
	status.OutdatedSince = outdatedSince(status.OutdatedSince, p.Lineage, s.Now)
	status.Rollout = rollout(p.Rollout)
	status.Handled = handled(status.Handled, s, p, o)
	status.History = keep(status.History, status.Current, s.RevisionsInUse())
	setConditions(&status, s, p, o)
	return status
}

// parents are the names of the parents in one string: a printer column shows only
// the first of a list.
func parents(l *v1alpha1.ImageLineage) string {
	names := make([]string, 0, len(l.Spec.From))
	for _, p := range l.Spec.From {
		names = append(names, string(p.Name))
	}
	return strings.Join(names, ",")
}

func observed(before *v1alpha1.Observed, s plan.Snapshot) *v1alpha1.Observed {
	if !s.Observation.Answered() || s.Stale() {
		return before
	}
	if before != nil && before.Digest == s.Observation.Digest {
		return before
	}
	asked := metav1.NewMicroTime(s.Observation.Started)
	return &v1alpha1.Observed{Digest: s.Observation.Digest, Since: metav1.NewTime(s.Now), Asked: &asked}
}

// maxWaitingFor is how many ancestors the status names (status.waitingFor).
const maxWaitingFor = 64

func waitingFor(p plan.Plan) []string {
	return p.WaitingFor[:min(len(p.WaitingFor), maxWaitingFor)]
}

// waitingSince is when the lineage began to wait.
func waitingSince(before *metav1.Time, p plan.Plan, now time.Time) *metav1.Time {
	if len(p.WaitingFor) == 0 {
		return nil
	}
	if before != nil {
		return before
	}
	since := metav1.NewTime(now)
	return &since
}

// goal is what is waited for, until the run is created that was waited with.
func goal(p plan.Plan, o plan.Outcome) []v1alpha1.Root {
	if _, creates := p.Step.(plan.Create); creates && o.Done {
		return nil
	}
	return p.Goal
}

// observeRun reports the newest run while its end is not recorded. That it
// completed is noted only where its image is withheld: later it tells a run whose
// publishing was held from one whose publishing did not succeed yet.
func observeRun(status *v1alpha1.ImageLineageStatus, run *plan.Run, withheld bool) {
	if run == nil {
		return
	}
	recorded := status.Run
	if recorded != nil && (recorded.Number > run.Number || recorded.Number == run.Number && recorded.Attempt > run.Attempt) {
		return
	}
	if recorded != nil && recorded.Name == run.Name && recorded.Outcome != "" {
		return
	}
	held := recorded != nil && recorded.Name == run.Name && recorded.Finished != nil
	status.Run = runStatus(recorded, *run)
	if !withheld && !held {
		status.Run.Finished = nil
	}
}

// runStatus is what is told of a run, after the one before.
func runStatus(before *v1alpha1.RunStatus, run plan.Run) *v1alpha1.RunStatus {
	status := &v1alpha1.RunStatus{
		Name: run.Name, Number: run.Number, Attempt: run.Attempt,
		Inputs: run.Inputs, Reasons: run.Reasons, Failures: plan.FailuresBefore(before, run.Inputs),
	}
	if !run.Created.IsZero() {
		created := metav1.NewTime(run.Created)
		status.Started = &created
	}
	if run.Done && !run.Finished.IsZero() {
		finished := metav1.NewTime(run.Finished)
		status.Finished = &finished
	}
	return status
}

// record writes down what a step did.
func record(status *v1alpha1.ImageLineageStatus, s plan.Snapshot, p plan.Plan, o plan.Outcome) {
	switch step := p.Step.(type) {
	case plan.Accept:
		if o.Done {
			step.Revision.Mirror = o.Copy
			become(status, step.Revision)
			status.Candidates = step.Candidates
		}
	case plan.Mirror:
		if o.Done {
			status.Current.Mirror = o.Copy
			keepCurrent(status)
		}
	case plan.Prove:
		prove(status, step)
	case plan.Identify:
		identify(status, step.Identity)
	case plan.End:
		end(status, step.Run, s.Now, step.Outcome, step.Message)
	case plan.Create:
		if o.Done {
			status.Run = runStatus(status.Run, plan.Run{Build: step.Build, Created: o.At})
		}
	case plan.Publish:
		recordPublish(status, s, step.Run, o)
	}
}

func recordPublish(status *v1alpha1.ImageLineageStatus, s plan.Snapshot, run plan.Run, o plan.Outcome) {
	if !o.Done {
		if o.Problem != nil && status.Run != nil {
			status.Run.Message = short(o.Problem.Message)
		}
		return
	}
	switch {
	case o.Superseded:
		end(status, run, o.At, v1alpha1.RunSuperseded, "somebody else moved the tag during the run: that push wins, and this output is left aside")
	case o.Refused:
		end(status, run, s.Now, v1alpha1.RunRefused, o.Problem.Message)
	case status.Current != nil && status.Current.Digest == o.Digest:
		end(status, run, o.At, v1alpha1.RunConfirmed, "")
		become(status, plan.Published(s.Lineage, s.Reference, run, o.Output, o.At))
	default:
		end(status, run, o.At, v1alpha1.RunPublished, "")
		become(status, plan.Published(s.Lineage, s.Reference, run, o.Output, o.At))
	}
}

func end(status *v1alpha1.ImageLineageStatus, run plan.Run, at time.Time, outcome v1alpha1.RunOutcome, message string) {
	ended := metav1.NewMicroTime(at)
	status.Run = runStatus(status.Run, run)
	if plan.HasFailed(outcome) {
		status.Run.Failures++
	} else {
		status.Run.Failures = 0
	}
	status.Run.Ended, status.Run.Outcome, status.Run.Message = &ended, outcome, short(message)
}

// maxMessage is how long a message of the status may be.
const maxMessage = 1024

func short(message string) string {
	runes := []rune(message)
	if len(runes) <= maxMessage {
		return message
	}
	return string(runes[:maxMessage-1]) + "…"
}

func become(status *v1alpha1.ImageLineageStatus, r v1alpha1.Revision) {
	status.Current = &v1alpha1.CurrentRevision{Revision: r, Short: reference.ShortDigest(string(r.Digest))}
	status.History = append([]v1alpha1.Revision{r}, status.History...)
}

// prove completes the current revision, there and in the history.
func prove(status *v1alpha1.ImageLineageStatus, step plan.Prove) {
	status.Current.BuiltFrom, status.Current.Roots = step.BuiltFrom, step.Roots
	keepCurrent(status)
}

// identify gives the current revision another identity.
func identify(status *v1alpha1.ImageLineageStatus, identity v1alpha1.Identity) {
	status.Current.Identities = plan.WithIdentity(status.Current.Identities, identity)
	keepCurrent(status)
}

// keepCurrent has the history tell what current does.
func keepCurrent(status *v1alpha1.ImageLineageStatus) {
	for i := range status.History {
		if status.History[i].Revision == status.Current.Revision.Revision {
			status.History[i] = status.Current.Revision
		}
	}
}

func outdatedSince(before *metav1.Time, standing plan.Standing, now time.Time) *metav1.Time {
	switch {
	case standing.UpToDate != plan.False:
		return nil
	case before != nil:
		return before
	case standing.Since.IsZero():
		since := metav1.NewTime(now)
		return &since
	default:
		since := metav1.NewTime(standing.Since)
		return &since
	}
}

func rollout(c plan.Count) *v1alpha1.RolloutStatus {
	if c.Total == 0 {
		return nil
	}
	return &v1alpha1.RolloutStatus{
		Summary: fmt.Sprintf("%d/%d", c.Current, c.Total),
		Total:   c.Total, Current: c.Current, Progressing: c.Progressing, Pending: c.Pending,
		Drifted: c.Drifted, Failed: c.Failed, Held: c.Held, Unknown: c.Unknown, Notes: c.Notes,
	}
}

// handled echoes the tokens that were answered: a check when the registry was
// asked, a rebuild and an approval when the run exists.
func handled(before *v1alpha1.Handled, s plan.Snapshot, p plan.Plan, o plan.Outcome) *v1alpha1.Handled {
	after := v1alpha1.Handled{}
	if before != nil {
		after = *before
	}
	after.Check = plan.CheckToken(s.Lineage)
	if p.Run != nil && p.Run.Request != "" {
		after.Rebuild = p.Run.Request
	}
	if create, ok := p.Step.(plan.Create); ok && o.Done && create.Build.Request != "" {
		after.Rebuild = create.Build.Request
	}
	if token := plan.ApproveToken(s.Lineage); token != "" && answered(token, p, o) {
		after.Approve = token
	}
	if after == (v1alpha1.Handled{}) {
		return nil
	}
	return &after
}

// answered is true where what a person approved is done: a digest taken, or a build begun.
func answered(token string, p plan.Plan, o plan.Outcome) bool {
	begins := func(b plan.Build) bool { return token == plan.ApprovalKey(b.Number, b.Inputs) }
	if p.Run != nil && begins(p.Run.Build) {
		return true
	}
	switch step := p.Step.(type) {
	case plan.Create:
		return o.Done && begins(step.Build)
	case plan.Accept:
		return o.Done && token == string(step.Revision.Digest)
	default:
		return false
	}
}

const (
	// HistoryLength is how many revisions are kept, in use or not.
	HistoryLength = 10
	// historyMax is how many are kept at most (status.history).
	historyMax = 50
)

// keep bounds the history: the newest revisions, and older ones that a workload
// or a child still uses or that a rollback has left behind.
func keep(history []v1alpha1.Revision, current *v1alpha1.CurrentRevision, inUse map[v1alpha1.Digest]bool) []v1alpha1.Revision {
	if len(history) <= HistoryLength {
		return history
	}
	left := func(r v1alpha1.Revision) bool { return current != nil && current.RolledBackFrom == r.Revision }
	history = unconfirmed(history, left)
	kept := append([]v1alpha1.Revision(nil), history[:min(len(history), HistoryLength)]...)
	for _, r := range history[len(kept):] {
		if len(kept) < historyMax && (inUse[r.Digest] || left(r)) {
			kept = append(kept, r)
		}
	}
	return kept
}

// unconfirmed leaves out the oldest of those revisions whose very image a newer one has
// confirmed, until the history is short enough: an image that is built anew every day
// and stays the same would have the others forgotten, and what is forgotten is taken
// for a release when somebody goes back to it.
func unconfirmed(history []v1alpha1.Revision, needed func(v1alpha1.Revision) bool) []v1alpha1.Revision {
	newest := map[v1alpha1.Digest]int64{}
	for _, r := range history {
		newest[r.Digest] = max(newest[r.Digest], r.Revision)
	}
	out := slices.Clone(history)
	for i := len(out) - 1; i >= 0 && len(out) > HistoryLength; i-- {
		if newest[out[i].Digest] > out[i].Revision && !needed(out[i]) {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}
