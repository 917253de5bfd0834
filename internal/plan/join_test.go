// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// debian is the root of these tests. Its first, second and third image were accepted an
// hour after each other.
const debian, golang = "docker.io/library/debian:12", "docker.io/library/golang:1.26"

func rootAt(reference string, nth int) v1alpha1.Root {
	return v1alpha1.Root{
		Reference: reference, Digest: digest(string(rune('a' + nth))),
		Accepted: metav1.NewMicroTime(now.Add(time.Duration(nth-10) * time.Hour)),
	}
}

// joins makes the parent a lineage that is not settled, descends from debian and
// contains an image of it; 0 is an unknown one.
func joins(contains int, edits ...func(*Ancestor)) func(*Snapshot) {
	return func(s *Snapshot) {
		parentShows(b)(s)
		s.Parents[0].Descends = []string{debian}
		if contains > 0 {
			s.Parents[0].Roots = []v1alpha1.Root{rootAt(debian, contains)}
		}
		a := Ancestor{Name: "platform/base", On: []v1alpha1.ParentName{"base"}}
		for _, edit := range edits {
			edit(&a)
		}
		s.WaitingFor, s.SettleTimeout = []Ancestor{a}, DefaultSettleTimeout
	}
}

func accepts(roots ...v1alpha1.Root) func(*Snapshot) {
	return func(s *Snapshot) { s.Roots = roots }
}

func wants(roots ...v1alpha1.Root) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.Status.Goal = roots }
}

// waits has the lineage wait for so long already, and its parent's arm without a sign of
// life.
func waits(waited, quiet time.Duration) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Lineage.Status.WaitingSince = new(metav1.NewTime(now.Add(-waited)))
		s.Parents[0].Progress = now.Add(-quiet)
	}
}

func itself(a *Ancestor) { a.Itself = true }

func TestJoin(t *testing.T) {
	first, second, third := rootAt(debian, 1), rootAt(debian, 2), rootAt(debian, 3)
	lower := second
	lower.Revision = 9
	tests := map[string]struct {
		edits     []func(*Snapshot)
		want      string
		wantGoal  []v1alpha1.Root
		wantAgain time.Duration
	}{
		"an arm that is older than the goal is waited for, and the goal kept": {
			edits: []func(*Snapshot){joins(1), accepts(second)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second}, wantAgain: DefaultSettleTimeout,
		},
		"an arm that reaches it is not": {
			edits: []func(*Snapshot){joins(2), accepts(second)},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second},
		},
		"what a root shows later lengthens no wait": {
			edits: []func(*Snapshot){joins(2), accepts(third), wants(second)},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second},
		},
		"a newer one is as good": {
			edits: []func(*Snapshot){joins(3), accepts(third), wants(second)},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second},
		},
		"who falls behind now waits for what is shown now": {
			edits: []func(*Snapshot){joins(2), accepts(third)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{third}, wantAgain: DefaultSettleTimeout,
		},
		"an unknown root is older than any": {
			edits: []func(*Snapshot){joins(0), accepts(first)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{first}, wantAgain: DefaultSettleTimeout,
		},
		"a root from which the parent does not descend is no concern of it": {
			edits: []func(*Snapshot){joins(2), accepts(second, rootAt(golang, 3))},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second, rootAt(golang, 3)},
		},
		"roots are ordered by when they were accepted, whatever their numbers": {
			edits: []func(*Snapshot){joins(3), accepts(third), wants(lower)},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{lower},
		},
		"a goal with other roots than there are now is none": {
			edits: []func(*Snapshot){joins(2), accepts(third), wants(rootAt(golang, 1))},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{third}, wantAgain: DefaultSettleTimeout,
		},
		"a build of another reason is waited for, whatever the arm contains": {
			edits: []func(*Snapshot){joins(2, itself), accepts(second)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second}, wantAgain: DefaultSettleTimeout,
		},
		"a settled arm is not waited for, whatever it contains": {
			edits: []func(*Snapshot){joins(1), accepts(second), func(s *Snapshot) { s.WaitingFor = nil }},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second},
		},
		"an arm on which something happens is waited for": {
			edits: []func(*Snapshot){joins(1), accepts(second), waits(5*time.Hour, 10*time.Minute)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second}, wantAgain: 20 * time.Minute,
		},
		"so is one that is quiet, but not for long": {
			edits: []func(*Snapshot){joins(1), accepts(second), waits(29*time.Minute, 5*time.Hour)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second}, wantAgain: time.Minute,
		},
		"one on which nothing happens is not": {
			edits: []func(*Snapshot){joins(1), accepts(second), waits(30*time.Minute, 30*time.Minute)},
			want:  "create ParentChanged", wantGoal: []v1alpha1.Root{second},
		},
		"unless nobody may lose patience": {
			edits: []func(*Snapshot){joins(1), accepts(second), waits(500*time.Hour, 500*time.Hour), func(s *Snapshot) { s.SettleTimeout = 0 }},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second},
		},
		"who is only behind an ancestor has a goal already": {
			edits: []func(*Snapshot){joins(1), accepts(second), parentShows(a)},
			want:  "busy AncestorOutdated", wantGoal: []v1alpha1.Root{second},
		},
		"who is up to date has none": {
			edits: []func(*Snapshot){accepts(second), wants(second)},
		},
		"a run in flight has had its goal": {
			edits: []func(*Snapshot){joins(1), accepts(second), wants(first), ran(2, 1, false, false), recorded(2, 1, "v1:in", "")},
			want:  "busy Building",
		},
		"who is suspended wants what there is by then": {
			edits: []func(*Snapshot){joins(1), accepts(second), wants(first), suspended},
			want:  "hold HeldSuspended",
		},
		"and so does who waits for approval": {
			edits: []func(*Snapshot){joins(1), accepts(second), wants(first), needsApproval},
			want:  "hold HeldApproval",
		},
		"who needs a person": {
			edits: []func(*Snapshot){joins(1), accepts(second), wants(first), func(s *Snapshot) { s.Problem = &Problem{Reason: v1alpha1.ReasonCycle} }},
			want:  "problem Cycle",
		},
		"and who is not built here": {
			edits: []func(*Snapshot){joins(1), accepts(second), tracked},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(snapshot(tc.edits...))
			if diff := cmp.Diff(tc.want, told(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s\n%+v", diff, got)
			}
			if diff := cmp.Diff(tc.wantGoal, got.Goal); diff != "" {
				t.Errorf("goal (-want +got):\n%s", diff)
			}
			if got.Again != tc.wantAgain {
				t.Errorf("again after %s, want %s", got.Again, tc.wantAgain)
			}
		})
	}
}

// TestBuiltWithoutWaiting: that nobody was waited for is said, and recorded, beside the
// reason of the build.
func TestBuiltWithoutWaiting(t *testing.T) {
	got := Compute(snapshot(joins(1), accepts(rootAt(debian, 2)), waits(time.Hour, time.Hour)))
	create, ok := got.Step.(Create)
	if !ok {
		t.Fatalf("plan %s, want a build", told(got))
	}
	if diff := cmp.Diff([]string{v1alpha1.ReasonParentChanged, v1alpha1.ReasonSettleTimeout}, create.Build.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	for _, words := range []string{"without waiting longer for platform/base", "30m0s", "--settle-timeout"} {
		if !strings.Contains(got.Busy.Message, words) {
			t.Errorf("%q does not say %q", got.Busy.Message, words)
		}
	}
	if diff := cmp.Diff([]string{"platform/base"}, got.WaitingFor); diff != "" {
		t.Errorf("it is still not settled (-want +got):\n%s", diff)
	}
}

// TestStatusesWithoutGoal: a status of an operator that knew no goals asks for nothing.
func TestStatusesWithoutGoal(t *testing.T) {
	got := Compute(snapshot(accepts(rootAt(debian, 2))))
	if told(got) != "" || got.Goal != nil || got.WaitingFor != nil {
		t.Errorf("plan %q, goal %v, waits for %v; want nothing", told(got), got.Goal, got.WaitingFor)
	}
}

func TestProgress(t *testing.T) {
	at := func(ago time.Duration) *metav1.Time { return new(metav1.NewTime(now.Add(-ago))) }
	ended := new(metav1.NewMicroTime(now.Add(-10 * time.Minute)))
	tests := map[string]struct {
		run   *v1alpha1.RunStatus
		limit time.Duration
		want  time.Duration // ago
	}{
		"without a run, when it got its image":                {want: time.Hour},
		"a run that has ended, when it did":                   {run: &v1alpha1.RunStatus{Started: at(20 * time.Minute), Ended: ended, Outcome: v1alpha1.RunFailed}, limit: time.Hour, want: 10 * time.Minute},
		"a run in flight within its limit, now":               {run: &v1alpha1.RunStatus{Started: at(59 * time.Minute)}, limit: time.Hour},
		"a run without a limit, now":                          {run: &v1alpha1.RunStatus{Started: at(500 * time.Hour)}},
		"a run beyond its limit, when that was":               {run: &v1alpha1.RunStatus{Started: at(70 * time.Minute)}, limit: time.Hour, want: 10 * time.Minute},
		"what lies ahead was before the clock was moved back": {run: &v1alpha1.RunStatus{Started: at(-time.Hour), Outcome: v1alpha1.RunFailed}, want: time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := snapshot().Lineage
			l.Status.Run = tc.run
			if got := now.Sub(Progress(l, tc.limit, now)); got != tc.want {
				t.Errorf("progress %s ago, want %s", got, tc.want)
			}
		})
	}
}

func TestWhatComesDown(t *testing.T) {
	inFlight := func(reasons ...string) func(*Snapshot) {
		return func(s *Snapshot) {
			s.Lineage.Status.Run = &v1alpha1.RunStatus{Name: "web-run", Number: 2, Attempt: 1, Inputs: "v1:in", Reasons: reasons}
		}
	}
	tests := map[string]struct {
		edits                             []func(*Snapshot)
		blocked                           bool
		wantBarred, wantItself, wantFresh bool
	}{
		"what is up to date lets through what comes":                 {wantFresh: true},
		"so does what a parent has moved":                            {edits: []func(*Snapshot){parentShows(b)}},
		"a run for a parent":                                         {edits: []func(*Snapshot){inFlight(v1alpha1.ReasonParentChanged)}},
		"one that did not wait":                                      {edits: []func(*Snapshot){inFlight(v1alpha1.ReasonParentChanged, v1alpha1.ReasonSettleTimeout)}},
		"a run for a parent, and a template":                         {edits: []func(*Snapshot){inFlight(v1alpha1.ReasonParentChanged, v1alpha1.ReasonTemplateChanged)}, wantItself: true},
		"a template that was edited during a run":                    {edits: []func(*Snapshot){inFlight(v1alpha1.ReasonParentChanged), func(s *Snapshot) { s.Template = "v1:other" }}, wantItself: true},
		"a request leaves nobody behind":                             {edits: []func(*Snapshot){annotated(v1alpha1.RebuildAnnotation, "1")}, wantItself: true, wantFresh: true},
		"nor does a run for one":                                     {edits: []func(*Snapshot){inFlight(v1alpha1.ReasonRequested, "urgent:now")}, wantItself: true, wantFresh: true},
		"what is suspended bars the way, run or no run":              {edits: []func(*Snapshot){suspended, inFlight(v1alpha1.ReasonParentChanged)}, wantBarred: true},
		"what needs a person":                                        {blocked: true, wantBarred: true, wantFresh: true},
		"what is built elsewhere":                                    {edits: []func(*Snapshot){tracked}, wantBarred: true, wantFresh: true},
		"a closed window, before anything has come":                  {edits: []func(*Snapshot){windowed(tonight)}, wantBarred: true, wantFresh: true},
		"a window that cannot be read":                               {edits: []func(*Snapshot){windowed(v1alpha1.BuildWindow{Schedule: "never"})}, wantBarred: true, wantFresh: true},
		"an open window does not":                                    {edits: []func(*Snapshot){windowed(atNoon)}, wantFresh: true},
		"an approval that is missing":                                {edits: []func(*Snapshot){needsApproval}, wantBarred: true, wantFresh: true},
		"a run that has begun comes down when the window has closed": {edits: []func(*Snapshot){windowed(tonight), inFlight(v1alpha1.ReasonParentChanged)}},
		"a release of unknown source is not built over":              {edits: []func(*Snapshot){with(adopted(1, x))}, wantBarred: true, wantFresh: true},
		"unless a person asks for it":                                {edits: []func(*Snapshot){with(adopted(1, x)), annotated(v1alpha1.RebuildAnnotation, "1")}, wantItself: true, wantFresh: true},
		"what failed for good is tried again when a parent moves":    {edits: []func(*Snapshot){parentShows(b), failedFor(v1alpha1.RunFailed, 4)}},
		"and so is what Tekton could not carry out":                  {edits: []func(*Snapshot){parentShows(b), failedFor(v1alpha1.RunInvalid, 1)}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			of := subjectOf(snapshot(tc.edits...))
			if got := Barred(of, tc.blocked); got != tc.wantBarred {
				t.Errorf("Barred = %v, want %v", got, tc.wantBarred)
			}
			if got := Itself(of); got != tc.wantItself {
				t.Errorf("Itself = %v, want %v", got, tc.wantItself)
			}
			if got := Refreshing(of); got != tc.wantFresh {
				t.Errorf("Refreshing = %v, want %v", got, tc.wantFresh)
			}
		})
	}
}

// failedFor records a run of what a build would be made of now, that failed so many
// times.
func failedFor(outcome v1alpha1.RunOutcome, times int64) func(*Snapshot) {
	return func(s *Snapshot) {
		recorded(2, 1, inputs(subjectOf(*s)), outcome)(s)
		s.Lineage.Status.Run.Failures = times
	}
}

// TestFailuresAndDescendants: whether who is below waits for a failed build.
func TestFailuresAndDescendants(t *testing.T) {
	tests := map[string]struct {
		edits       []func(*Snapshot)
		wantSettled bool
		want        string
	}{
		"backing off is not settled": {
			edits: []func(*Snapshot){failedFor(v1alpha1.RunFailed, 1)}, want: "create ParentChanged",
		},
		"failed for good is": {
			edits: []func(*Snapshot){failedFor(v1alpha1.RunFailed, 4)}, wantSettled: true, want: "problem BuildFailed",
		},
		"what Tekton cannot carry out is, the first time": {
			edits: []func(*Snapshot){failedFor(v1alpha1.RunInvalid, 1)}, wantSettled: true, want: "problem BuildInvalid",
		},
		"lost is not": {
			edits: []func(*Snapshot){failedFor(v1alpha1.RunLost, 1)}, want: "create ParentChanged",
		},
		"other inputs begin anew": {
			edits: []func(*Snapshot){failedFor(v1alpha1.RunInvalid, 1), parentShows(c)}, want: "create ParentChanged",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(append([]func(*Snapshot){parentShows(b)}, tc.edits...)...)
			if got := Settled(subjectOf(s), false); got != tc.wantSettled {
				t.Errorf("Settled = %v, want %v", got, tc.wantSettled)
			}
			got := Compute(s)
			if diff := cmp.Diff(tc.want, told(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if got.Lineage.UpToDate != False || got.Lineage.Since.IsZero() {
				t.Errorf("it is behind all the same: %+v", got.Lineage)
			}
		})
	}
}
