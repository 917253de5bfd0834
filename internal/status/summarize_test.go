// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

var (
	now     = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	one     = v1alpha1.Digest("sha256:" + strings.Repeat("1", 64))
	two     = v1alpha1.Digest("sha256:" + strings.Repeat("2", 64))
	current = plan.Standing{UpToDate: plan.True, Reason: v1alpha1.ReasonUpToDate}
	answers = plan.Resolution{Resolved: plan.True, Reason: v1alpha1.ReasonResolved}
)

func snapshot() plan.Snapshot {
	ref, err := reference.ParseTag("registry.example.com/shop/web:stable")
	if err != nil {
		panic(err)
	}
	l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 3}}
	l.Spec.From = []v1alpha1.Parent{{Name: "base"}}
	l.Spec.Build = &v1alpha1.Build{}
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	r := v1alpha1.Revision{Revision: 1, Digest: one, Origin: v1alpha1.OriginBuilt, Accepted: metav1.NewMicroTime(now.Add(-time.Hour))}
	l.Status.Current = &v1alpha1.CurrentRevision{Revision: r, Short: "111111111111"}
	l.Status.History = []v1alpha1.Revision{r}
	return plan.Snapshot{Now: now, Lineage: l, Reference: ref, Observation: &plan.Observation{Digest: one, Repeats: 3}}
}

// TestConditions is the table of design §3: what kubectl and kstatus are told.
func TestConditions(t *testing.T) {
	tests := map[string]struct {
		edit          func(*plan.Snapshot, *plan.Plan, *plan.Outcome)
		wantReady     string
		wantAbnormal  string // Reconciling, Stalled, or nothing
		wantUpToDate  metav1.ConditionStatus
		wantRolledOut string
	}{
		"up to date and rolled out": {
			edit:      func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) { p.Rollout = plan.Count{Total: 2, Current: 2} },
			wantReady: "True UpToDate", wantUpToDate: "True", wantRolledOut: "True RolledOut",
		},
		"nothing runs it": {
			wantReady: "True UpToDate", wantUpToDate: "True", wantRolledOut: "True NoWorkloads",
		},
		"building": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Lineage = plan.Standing{UpToDate: plan.False, Reason: v1alpha1.ReasonParentChanged}
				p.Busy = plan.Busy{Reason: v1alpha1.ReasonBuilding}
			},
			wantReady: "False Building", wantAbnormal: "Reconciling", wantUpToDate: "False", wantRolledOut: "True NoWorkloads",
		},
		"rolling out": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Rollout = plan.Count{Total: 2, Current: 1, Progressing: 1}
			},
			wantReady: "False RollingOut", wantAbnormal: "Reconciling", wantUpToDate: "True", wantRolledOut: "False RollingOut",
		},
		"a workload that the cluster does not let us change": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Rollout = plan.Count{Total: 2, Current: 1, Drifted: 1, Refused: "deployment/web: no"}
			},
			wantReady: "False RolloutRefused", wantAbnormal: "Reconciling", wantUpToDate: "True", wantRolledOut: "False RolloutRefused",
		},
		"a workload missed its deadline": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Rollout = plan.Count{Total: 2, Current: 1, Failed: 1}
			},
			wantReady: "False RolloutFailed", wantAbnormal: "Stalled", wantUpToDate: "True", wantRolledOut: "False RolloutFailed",
		},
		"suspended and outdated": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.Lineage.Spec.Suspend = true
				p.Hold = &plan.Hold{Reason: v1alpha1.ReasonHeldSuspended}
				p.Lineage = plan.Standing{UpToDate: plan.False, Reason: v1alpha1.ReasonParentChanged}
				p.Rollout = plan.Count{Total: 1, Drifted: 1}
			},
			wantReady: "True HeldSuspended", wantUpToDate: "False", wantRolledOut: "False NotRolledOut",
		},
		"a build is due, and the operator only observes": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.ObserveOnly = true
				p.Hold = &plan.Hold{Reason: v1alpha1.ReasonHeldObserveOnly}
				p.Lineage = plan.Standing{UpToDate: plan.False, Reason: v1alpha1.ReasonParentChanged}
			},
			wantReady: "True HeldObserveOnly", wantUpToDate: "False", wantRolledOut: "True NoWorkloads",
		},
		"a workload is due, and the operator only observes": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.ObserveOnly = true
				p.Rollout = plan.Count{Total: 2, Current: 1, Drifted: 1, WouldMove: "deployment/web"}
			},
			wantReady: "True HeldObserveOnly", wantUpToDate: "True", wantRolledOut: "False HeldObserveOnly",
		},
		"a workload fails that somebody else moved, and the operator only observes": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.ObserveOnly = true
				p.Rollout = plan.Count{Total: 2, Current: 1, Failed: 1}
			},
			wantReady: "True RolloutFailed", wantUpToDate: "True", wantRolledOut: "False RolloutFailed",
		},
		"the tag rolled back by a person": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Hold = &plan.Hold{Reason: v1alpha1.ReasonHeldByUser}
			},
			wantReady: "True HeldByUser", wantUpToDate: "True", wantRolledOut: "True NoWorkloads",
		},
		"a container rolled back by a person": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Rollout = plan.Count{Total: 2, Current: 1, Held: 1}
			},
			wantReady: "True HeldByUser", wantUpToDate: "True", wantRolledOut: "False HeldByUser",
		},
		"a problem": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Problem = &plan.Problem{Reason: v1alpha1.ReasonCycle}
				p.Busy = plan.Busy{Reason: v1alpha1.ReasonBuilding}
			},
			wantReady: "False Cycle", wantAbnormal: "Stalled", wantUpToDate: "True", wantRolledOut: "True NoWorkloads",
		},
		"a step that was refused": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, o *plan.Outcome) {
				p.Step = plan.Publish{}
				o.Problem = &plan.Problem{Reason: v1alpha1.ReasonPublishForbidden}
			},
			wantReady: "False PublishForbidden", wantAbnormal: "Stalled", wantUpToDate: "True", wantRolledOut: "True NoWorkloads",
		},
		"a step that has to wait": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, o *plan.Outcome) {
				p.Busy = plan.Busy{Reason: v1alpha1.ReasonBuilding}
				o.Waiting = plan.Busy{Reason: v1alpha1.ReasonQueued}
			},
			wantReady: "False Queued", wantAbnormal: "Reconciling", wantUpToDate: "True", wantRolledOut: "True NoWorkloads",
		},
		"ancestry unknown": {
			edit: func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				p.Lineage = plan.Standing{UpToDate: plan.Unknown, Reason: v1alpha1.ReasonBuiltFromUnknown}
			},
			wantReady: "True BuiltFromUnknown", wantUpToDate: "Unknown", wantRolledOut: "True NoWorkloads",
		},
		"tracked and outdated": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.Lineage.Spec.Build = nil
				p.Lineage = plan.Standing{UpToDate: plan.False, Reason: v1alpha1.ReasonParentChanged}
			},
			wantReady: "True OutdatedUpstream", wantUpToDate: "False", wantRolledOut: "True NoWorkloads",
		},
		"drift that nobody asked to mend": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.Lineage.Spec.Rollout = nil
				p.Rollout = plan.Count{Total: 1, Drifted: 1}
			},
			wantReady: "True NotRolledOut", wantUpToDate: "True", wantRolledOut: "False NotRolledOut",
		},
		"paused workloads": {
			edit:      func(_ *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) { p.Rollout = plan.Count{Total: 1, Pending: 1} },
			wantReady: "True RolloutPending", wantUpToDate: "True", wantRolledOut: "False RolloutPending",
		},
		"no image yet": {
			edit: func(s *plan.Snapshot, p *plan.Plan, _ *plan.Outcome) {
				s.Lineage.Status = v1alpha1.ImageLineageStatus{}
				p.Lineage = plan.Standing{UpToDate: plan.Unknown, Reason: v1alpha1.ReasonResolving}
			},
			wantReady: "False Resolving", wantAbnormal: "Reconciling", wantUpToDate: "Unknown", wantRolledOut: "True NoWorkloads",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, p, o := snapshot(), plan.Plan{Lineage: current, Registry: answers}, plan.Outcome{}
			if tc.edit != nil {
				tc.edit(&s, &p, &o)
			}
			got := Summarize(s, p, o)
			checkKstatus(t, got)
			if diff := cmp.Diff(tc.wantReady, says(got, v1alpha1.ConditionReady)); diff != "" {
				t.Errorf("Ready (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantAbnormal, abnormal(got)); diff != "" {
				t.Errorf("abnormal conditions (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantRolledOut, says(got, v1alpha1.ConditionRolledOut)); diff != "" {
				t.Errorf("RolledOut (-want +got):\n%s", diff)
			}
			if c := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionUpToDate); c.Status != tc.wantUpToDate {
				t.Errorf("UpToDate = %s, want %s", c.Status, tc.wantUpToDate)
			}
			s.Lineage.Status = got
			if _, moves := p.Step.(plan.Publish); !moves {
				if diff := cmp.Diff(got, Summarize(s, p, o)); diff != "" {
					t.Errorf("summarized again, it is another status:\n%s", diff)
				}
			}
		})
	}
}

// TestTroubleIsTold: the person on call sees which workload does not come up, and why,
// before its deadline.
func TestTroubleIsTold(t *testing.T) {
	p := plan.Plan{Lineage: current, Registry: answers, Rollout: plan.Count{
		Total: 1, Progressing: 1, Trouble: "deployment/web: container app exits with code 1",
	}}
	got := Summarize(snapshot(), p, plan.Outcome{})
	ready := meta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
	if want := "0 of 1 workloads run the current image: deployment/web: container app exits with code 1"; ready.Message != want {
		t.Errorf("message %q, want %q", ready.Message, want)
	}
}

func says(s v1alpha1.ImageLineageStatus, kind string) string {
	c := meta.FindStatusCondition(s.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func abnormal(s v1alpha1.ImageLineageStatus) string {
	var found []string
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if meta.IsStatusConditionTrue(s.Conditions, kind) {
			found = append(found, kind)
		}
	}
	return strings.Join(found, " ")
}

// checkKstatus checks the contract that tools build on.
func checkKstatus(t *testing.T, s v1alpha1.ImageLineageStatus) {
	t.Helper()
	for _, c := range s.Conditions {
		if c.ObservedGeneration != s.ObservedGeneration || c.Reason == "" || c.LastTransitionTime.IsZero() {
			t.Errorf("condition %s is incomplete: %+v", c.Type, c)
		}
		if (c.Type == v1alpha1.ConditionReconciling || c.Type == v1alpha1.ConditionStalled) && c.Status != metav1.ConditionTrue {
			t.Errorf("condition %s is there and not true", c.Type)
		}
	}
	ready := meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady)
	if n := len(strings.Fields(abnormal(s))); ready && n > 0 || !ready && n != 1 {
		t.Errorf("Ready %v with abnormal conditions %q", ready, abnormal(s))
	}
}

func TestRecord(t *testing.T) {
	run := plan.Run{Build: plan.Build{Name: "web-2", Number: 2, Attempt: 1, Inputs: "v1:i"}, Done: true, Succeeded: true, Finished: now}
	tests := map[string]struct {
		step         plan.Step
		outcome      plan.Outcome
		wantRun      v1alpha1.RunOutcome
		wantRevision int64
		wantDigest   v1alpha1.Digest
	}{
		"a published run is the new revision": {
			plan.Publish{Run: run}, plan.Outcome{Done: true, Output: plan.Output{Digest: two}, At: now}, v1alpha1.RunPublished, 2, two,
		},
		"a run that made the same image confirms it, as a new revision": {
			plan.Publish{Run: run}, plan.Outcome{Done: true, Output: plan.Output{Digest: one}, At: now}, v1alpha1.RunConfirmed, 2, one,
		},
		"a superseded run leaves current alone": {
			plan.Publish{Run: run}, plan.Outcome{Done: true, Output: plan.Output{Digest: two}, At: now, Superseded: true}, v1alpha1.RunSuperseded, 1, one,
		},
		"a refused output leaves current alone": {
			plan.Publish{Run: run}, plan.Outcome{Done: true, Refused: true, Problem: &plan.Problem{Reason: v1alpha1.ReasonOutputRefused}}, v1alpha1.RunRefused, 1, one,
		},
		"a publish that did not happen leaves the run in flight": {
			plan.Publish{Run: run}, plan.Outcome{}, "", 1, one,
		},
		"a publish that has to wait leaves the run in flight": {
			plan.Publish{Run: run}, plan.Outcome{Waiting: plan.Busy{Reason: v1alpha1.ReasonRegistryUnreachable}}, "", 1, one,
		},
		"a failed run is remembered": {
			plan.End{Run: run, Outcome: v1alpha1.RunFailed}, plan.Outcome{Done: true}, v1alpha1.RunFailed, 1, one,
		},
		"an accepted digest is the new revision": {
			plan.Accept{Revision: v1alpha1.Revision{Revision: 2, Digest: two, Origin: v1alpha1.OriginAdopted}}, plan.Outcome{Done: true}, "", 2, two,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Summarize(snapshot(), plan.Plan{Lineage: current, Registry: answers, Step: tc.step, Run: &run}, tc.outcome)
			if got.Run.Outcome != tc.wantRun {
				t.Errorf("outcome %q, want %q", got.Run.Outcome, tc.wantRun)
			}
			if got.Current.Revision.Revision != tc.wantRevision || got.Current.Digest != tc.wantDigest {
				t.Errorf("current is revision %d %s, want %d %s", got.Current.Revision.Revision, got.Current.Digest, tc.wantRevision, tc.wantDigest)
			}
			if int64(len(got.History)) != tc.wantRevision || got.History[0].Revision != tc.wantRevision {
				t.Errorf("history %+v, want revision %d first", got.History, tc.wantRevision)
			}
		})
	}
}

// TestWaiting: what is waited for, and since when, is told for as long as it is so.
func TestWaiting(t *testing.T) {
	root := v1alpha1.Root{Reference: "docker.io/library/debian:12", Digest: one, Accepted: metav1.NewMicroTime(now)}
	before, later := metav1.NewTime(now.Add(-time.Hour)), metav1.NewTime(now)
	build := plan.Create{Build: plan.Build{Name: "web-run", Number: 2, Attempt: 1}}
	tests := map[string]struct {
		since     *metav1.Time
		plan      plan.Plan
		outcome   plan.Outcome
		wantSince *metav1.Time
		wantGoal  []v1alpha1.Root
	}{
		"a wait begins":         {plan: plan.Plan{WaitingFor: []string{"shop/base"}, Goal: []v1alpha1.Root{root}}, wantSince: &later, wantGoal: []v1alpha1.Root{root}},
		"it goes on":            {since: &before, plan: plan.Plan{WaitingFor: []string{"shop/base"}, Goal: []v1alpha1.Root{root}}, wantSince: &before, wantGoal: []v1alpha1.Root{root}},
		"it is over":            {since: &before},
		"a place is waited for": {since: &before, plan: plan.Plan{Goal: []v1alpha1.Root{root}, Step: build}, wantGoal: []v1alpha1.Root{root}},
		"the run is created":    {since: &before, plan: plan.Plan{Goal: []v1alpha1.Root{root}, Step: build}, outcome: plan.Outcome{Done: true, At: now}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			s.Lineage.Status.WaitingSince = tc.since
			tc.plan.Lineage, tc.plan.Registry = current, answers
			tc.plan.Verdicts = []plan.Verdict{{Reason: v1alpha1.ReasonParentChanged}}
			got := Summarize(s, tc.plan, tc.outcome)
			if diff := cmp.Diff(tc.wantSince, got.WaitingSince); diff != "" {
				t.Errorf("waiting since (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantGoal, got.Goal); diff != "" {
				t.Errorf("goal (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOutdatedSinceIsKept: a failure, or a build on what was new before, does not make an
// image less old.
func TestOutdatedSinceIsKept(t *testing.T) {
	since := metav1.NewTime(now.Add(-time.Hour))
	behind := plan.Standing{UpToDate: plan.False, Reason: v1alpha1.ReasonParentChanged, Since: now.Add(-time.Minute)}
	run := plan.Run{Build: plan.Build{Name: "web-run", Number: 2, Attempt: 1}, Done: true}
	tests := map[string]struct {
		step    plan.Step
		outcome plan.Outcome
	}{
		"a failure":          {plan.End{Run: run, Outcome: v1alpha1.RunFailed}, plan.Outcome{Done: true}},
		"a lost run":         {plan.End{Run: run, Outcome: v1alpha1.RunLost}, plan.Outcome{Done: true}},
		"a superseded build": {plan.Publish{Run: run}, plan.Outcome{Done: true, Superseded: true, At: now}},
		"a follow-up":        {plan.Publish{Run: run}, plan.Outcome{Done: true, Output: plan.Output{Digest: two}, At: now}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			s.Lineage.Status.OutdatedSince = &since
			got := Summarize(s, plan.Plan{Lineage: behind, Registry: answers, Step: tc.step, Run: &run}, tc.outcome)
			if got.OutdatedSince == nil || !got.OutdatedSince.Equal(&since) {
				t.Errorf("outdated since %v, want %v", got.OutdatedSince, since)
			}
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	digestOf := func(i int) v1alpha1.Digest {
		return v1alpha1.Digest(fmt.Sprintf("sha256:%064d", i))
	}
	var history []v1alpha1.Revision
	for i := range 60 {
		history = append(history, v1alpha1.Revision{Revision: int64(60 - i), Digest: digestOf(60 - i)})
	}
	used := plan.Snapshot{
		Workloads:   []plan.Workload{{Containers: []plan.Container{{Image: "registry.example.com/shop/web:stable", Running: []v1alpha1.Digest{digestOf(7)}}}}},
		ChildrenUse: []v1alpha1.Digest{digestOf(5)},
	}
	left := &v1alpha1.CurrentRevision{Revision: v1alpha1.Revision{RolledBackFrom: 9}}

	var got []int64
	for _, r := range keep(history, left, used.RevisionsInUse()) {
		got = append(got, r.Revision)
	}
	want := []int64{60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 9, 7, 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// TestConfirmedRevisionsForgetNoOthers: an image that is built anew all the time and
// stays the same leaves the one before it known.
func TestConfirmedRevisionsForgetNoOthers(t *testing.T) {
	var history []v1alpha1.Revision
	for n := int64(1); n <= 60; n++ {
		digest := two
		if n == 1 {
			digest = one
		}
		history = keep(append([]v1alpha1.Revision{{Revision: n, Digest: digest}}, history...), nil, map[v1alpha1.Digest]bool{two: true})
	}
	var got []int64
	for _, r := range history {
		got = append(got, r.Revision)
	}
	want := []int64{60, 59, 58, 57, 56, 55, 54, 53, 52, 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// TestFailuresAreCounted: the count goes on with equal inputs, from one run to the
// next, and only over failures.
func TestFailuresAreCounted(t *testing.T) {
	failedBefore := func(s *plan.Snapshot) {
		s.Lineage.Status.Run = &v1alpha1.RunStatus{Name: "web-1", Number: 2, Attempt: 1, Inputs: "v1:i", Outcome: v1alpha1.RunFailed, Failures: 2}
	}
	run := func(inputs string) plan.Run {
		return plan.Run{Build: plan.Build{Name: "web-2", Number: 2, Attempt: 2, Inputs: inputs}}
	}
	tests := map[string]struct {
		step    plan.Step
		outcome plan.Outcome
		run     *plan.Run
		want    int64
	}{
		"a run in flight carries the failures before it":        {run: new(run("v1:i")), want: 2},
		"a run with other inputs begins anew":                   {run: new(run("v1:other")), want: 0},
		"so does a run that was just created":                   {step: plan.Create{Build: run("v1:i").Build}, outcome: plan.Outcome{Done: true}, want: 2},
		"another failure counts":                                {step: plan.End{Run: run("v1:i"), Outcome: v1alpha1.RunFailed}, run: new(run("v1:i")), want: 3},
		"a run that was lost counts":                            {step: plan.End{Run: run("v1:i"), Outcome: v1alpha1.RunLost}, want: 3},
		"a first failure with other inputs is the first":        {step: plan.End{Run: run("v1:other"), Outcome: v1alpha1.RunFailed}, want: 1},
		"what was discarded did not fail":                       {step: plan.End{Run: run("v1:i"), Outcome: v1alpha1.RunDiscarded}, want: 0},
		"an image that was published ends the row":              {step: plan.Publish{Run: run("v1:i")}, outcome: plan.Outcome{Done: true, Output: plan.Output{Digest: two}, At: now}, want: 0},
		"an output that was refused is a failure of the inputs": {step: plan.Publish{Run: run("v1:i")}, outcome: plan.Outcome{Done: true, Refused: true, Problem: &plan.Problem{}}, want: 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			failedBefore(&s)
			p := plan.Plan{Lineage: current, Registry: answers, Step: tc.step, Run: tc.run, Verdicts: []plan.Verdict{{}}}
			if got := Summarize(s, p, tc.outcome).Run.Failures; got != tc.want {
				t.Errorf("failures %d, want %d", got, tc.want)
			}
		})
	}
}

// TestAStaleAnswerIsNotTold: of two operators, or right after a publish, one may still
// hold an answer of before. Telling it would be taken back, and told again, without end.
func TestAStaleAnswerIsNotTold(t *testing.T) {
	s := snapshot()
	s.Lineage.Status.Observed = &v1alpha1.Observed{Digest: one, Asked: new(metav1.NewMicroTime(now))}
	for after, want := range map[time.Duration]v1alpha1.Digest{-time.Second: one, time.Second: two} {
		s.Observation = &plan.Observation{Digest: two, Started: now.Add(after), Repeats: 1}
		if got := Summarize(s, plan.Plan{Lineage: current}, plan.Outcome{}).Observed.Digest; got != want {
			t.Errorf("asked %s after what is told: observed %s, want %s", after, got, want)
		}
	}
}

// TestImageMissing: it is taken back when the registry has told of all images in use, so
// that a restart is no news.
func TestImageMissing(t *testing.T) {
	tests := map[string]struct {
		before, after plan.Plan
		want          bool
	}{
		"it is missing":                        {after: plan.Plan{Missing: "gone"}, want: true},
		"nobody knows yet, and none was":       {after: plan.Plan{Unsure: true}},
		"nobody knows yet whether it still is": {before: plan.Plan{Missing: "gone"}, after: plan.Plan{Unsure: true}, want: true},
		"it is back":                           {before: plan.Plan{Missing: "gone"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			s.Lineage.Status = Summarize(s, tt.before, plan.Outcome{})
			got := Summarize(s, tt.after, plan.Outcome{})
			if is := meta.IsStatusConditionTrue(got.Conditions, v1alpha1.ConditionImageMissing); is != tt.want {
				t.Errorf("missing %t, want %t", is, tt.want)
			}
		})
	}
}

// TestAnApprovalIsEchoed once its run exists, whether this pass made it or one before
// that could not say so.
func TestAnApprovalIsEchoed(t *testing.T) {
	build := plan.Build{Name: "web-2", Number: 2, Attempt: 1, Inputs: "v1:i", Reasons: []string{v1alpha1.ReasonParentChanged}}
	creates := plan.Plan{Step: plan.Create{Build: build}, Verdicts: []plan.Verdict{{Reason: v1alpha1.ReasonParentChanged}}}
	key := plan.ApprovalKey(2, "v1:i")
	tests := map[string]struct {
		annotation string
		plan       plan.Plan
		outcome    plan.Outcome
		want       string
	}{
		"the run is created":               {annotation: key, plan: creates, outcome: plan.Outcome{Done: true, At: now}, want: key},
		"the run is waited with":           {annotation: key, plan: creates},
		"the run is there":                 {annotation: key, plan: plan.Plan{Run: &plan.Run{Build: build}}, want: key},
		"another build was approved":       {annotation: plan.ApprovalKey(2, "v1:j"), plan: creates, outcome: plan.Outcome{Done: true, At: now}},
		"a digest was approved":            {annotation: string(one), plan: creates, outcome: plan.Outcome{Done: true, At: now}},
		"nothing was approved, and needed": {plan: creates, outcome: plan.Outcome{Done: true, At: now}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			s.Lineage.Annotations = map[string]string{v1alpha1.ApproveAnnotation: tc.annotation}
			got := ""
			if handled := Summarize(s, tc.plan, tc.outcome).Handled; handled != nil {
				got = handled.Approve
			}
			if got != tc.want {
				t.Errorf("echoed is %q, want %q", got, tc.want)
			}
		})
	}
}
