// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// inARow says how often the recorded run's inputs failed, and that it ended now.
func inARow(failures int64) func(*Snapshot) {
	return func(s *Snapshot) {
		ended := metav1.NewMicroTime(now)
		s.Lineage.Status.Run.Failures, s.Lineage.Status.Run.Ended = failures, &ended
	}
}

func minutesLater(minutes float64) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Now = now.Add(time.Duration(minutes * float64(time.Minute)))
		s.Observation.Started = s.Now
	}
}

func retries(n int32) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.Spec.Build.RetryLimit = &n }
}

// wantedInputs are the inputs of a build on b.
func wantedInputs() string {
	return inputs(Subject{Lineage: snapshot().Lineage, Parents: []Parent{parentShowing(b)}, Template: "v1:t"})
}

// TestAFailedBuildIsTriedAgain tells the whole story of a build that always fails:
// when each attempt begins, and when nothing is tried any more.
func TestAFailedBuildIsTriedAgain(t *testing.T) {
	tests := map[string]struct {
		limit   []func(*Snapshot)
		outcome v1alpha1.RunOutcome
		want    []string
	}{
		"three times by default": {
			outcome: v1alpha1.RunFailed,
			want:    []string{"1m0s", "2m0s", "4m0s", "problem BuildFailed"},
		},
		"as often as the limit says, with half an hour between them in the end": {
			limit: []func(*Snapshot){retries(10)}, outcome: v1alpha1.RunFailed,
			want: []string{"1m0s", "2m0s", "4m0s", "8m0s", "16m0s", "32m0s", "32m0s", "32m0s", "32m0s", "32m0s", "problem BuildFailed"},
		},
		"not at all": {
			limit: []func(*Snapshot){retries(0)}, outcome: v1alpha1.RunFailed,
			want: []string{"problem BuildFailed"},
		},
		"an output that was refused, like a failure": {
			outcome: v1alpha1.RunRefused,
			want:    []string{"1m0s", "2m0s", "4m0s", "problem OutputRefused"},
		},
		"a run that was lost, at first at once": {
			outcome: v1alpha1.RunLost,
			want:    []string{"at once", "1m0s", "2m0s", "problem RunLost"},
		},
		"what a person cancelled is not": {
			outcome: v1alpha1.RunCancelled,
			want:    []string{"problem BuildCancelled"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var story []string
			for attempt := int64(1); attempt < 20; attempt++ {
				edits := append([]func(*Snapshot){parentShows(b), minutesLater(0), recorded(2, attempt, wantedInputs(), tc.outcome), inARow(attempt)}, tc.limit...)
				p := Compute(snapshot(edits...))
				create, creates := p.Step.(Create)
				if p.Problem != nil {
					story = append(story, told(p))
					break
				}
				if creates {
					story = append(story, "at once")
				} else {
					story = append(story, p.Again.String())
					p = Compute(snapshot(append(edits, minutesLater(p.Again.Minutes()))...))
					create, creates = p.Step.(Create)
				}
				if !creates || create.Build.Number != 2 || create.Build.Attempt != attempt+1 {
					t.Fatalf("attempt %d is not made when it is due: %s", attempt+1, told(p))
				}
			}
			if diff := cmp.Diff(tc.want, story); diff != "" {
				t.Errorf("story (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnUpgradeTriesNothingAgain: what an operator recorded that did not count failures
// needs a person, as it did then.
func TestAnUpgradeTriesNothingAgain(t *testing.T) {
	for _, outcome := range []v1alpha1.RunOutcome{v1alpha1.RunFailed, v1alpha1.RunRefused} {
		p := Compute(snapshot(parentShows(b), recorded(2, 1, wantedInputs(), outcome), inARow(0)))
		if p.Step != nil || p.Problem == nil {
			t.Errorf("%s: %s", outcome, told(p))
		}
	}
	if got := FailuresBefore(&v1alpha1.RunStatus{Inputs: "v1:x", Failures: 2}, "v2:x"); got != 2 {
		t.Errorf("another way of hashing makes other inputs of the same: %d failures before, want 2", got)
	}
}

func TestWhatIsSaidOfAFailedBuild(t *testing.T) {
	edits := []func(*Snapshot){parentShows(b), recorded(2, 2, wantedInputs(), v1alpha1.RunFailed), inARow(2)}
	p := Compute(snapshot(edits...))
	if want := "it broke; attempt 3 of 4 begins at 12:02:00 UTC"; p.Busy.Message != want || p.Busy.Reason != v1alpha1.ReasonBuildFailed {
		t.Errorf("%s %q, want %q", p.Busy.Reason, p.Busy.Message, want)
	}
	if Settled(Subject{Lineage: snapshot(edits...).Lineage, Parents: []Parent{parentShowing(b)}, Template: "v1:t"}, false) {
		t.Error("a build that is tried again by itself is waited for")
	}
	edits = append(edits, inARow(4))
	p = Compute(snapshot(edits...))
	if p.Problem == nil || !strings.Contains(p.Problem.Message, "4 times in a row") || !strings.Contains(p.Problem.Message, v1alpha1.RebuildAnnotation) {
		t.Errorf("the problem tells neither how often nor the cure: %+v", p.Problem)
	}
	if !Settled(Subject{Lineage: snapshot(edits...).Lineage, Parents: []Parent{parentShowing(b)}, Template: "v1:t"}, false) {
		t.Error("nobody waits for what needs a person")
	}
}

// TestARequestThatFailedStands: a person who asked for a build is told, and it is
// tried again as any other.
func TestARequestThatFailedStands(t *testing.T) {
	asked := func(number int64, outcome v1alpha1.RunOutcome, failures int64) []func(*Snapshot) {
		return []func(*Snapshot){annotated(v1alpha1.RebuildAnnotation, "1"), func(s *Snapshot) {
			s.Lineage.Status.Handled = &v1alpha1.Handled{Rebuild: "1"}
			recorded(number, 1, inputs(Subject{Lineage: s.Lineage, Parents: s.Parents, Template: s.Template}), outcome)(s)
			s.Lineage.Status.Run.Reasons = []string{v1alpha1.ReasonRequested}
			inARow(failures)(s)
		}}
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"it waits for its next attempt": {asked(2, v1alpha1.RunFailed, 1), "busy BuildFailed"},
		"it is tried again":             {append(asked(2, v1alpha1.RunFailed, 1), minutesLater(1)), "create Requested"},
		"in the end a person is told":   {asked(2, v1alpha1.RunFailed, 4), "problem BuildFailed"},
		"a new request begins anew":     {append(asked(2, v1alpha1.RunFailed, 4), annotated(v1alpha1.RebuildAnnotation, "2")), "create Requested"},
		"what was published is answered": {
			asked(1, v1alpha1.RunPublished, 0), "",
		},
		"a release since then ends it": {
			append(asked(2, v1alpha1.RunFailed, 1), with(built(2, x, a), built(1, y, a))), "",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(Compute(snapshot(tc.edits...)))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAClockThatWasMovedBack: the status tells of a time that is still to come.
// Nothing waits until then.
func TestAClockThatWasMovedBack(t *testing.T) {
	behind := func(s *Snapshot) {
		s.Now = now.Add(-24 * time.Hour)
		s.ClockBehind = s.Now.Add(-time.Minute)
	}
	answered := func(d v1alpha1.Digest, after time.Duration) func(*Snapshot) {
		return func(s *Snapshot) {
			s.Observation = &Observation{Digest: d, Started: s.ClockBehind.Add(after), Repeats: 1}
		}
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"a release is adopted that was seen since then":   {[]func(*Snapshot){behind, answered(y, time.Second)}, "accept Adopted 2"},
		"an answer of before then may be of before":       {[]func(*Snapshot){behind, answered(y, -time.Second)}, "check"},
		"a parent that moved is a reason to build":        {[]func(*Snapshot){parentShows(b), behind, answered(x, time.Second)}, "create ParentChanged"},
		"a failure a minute ago by today's clock is over": {[]func(*Snapshot){parentShows(b), recorded(2, 1, wantedInputs(), v1alpha1.RunFailed), inARow(1), behind, answered(x, time.Second)}, "create ParentChanged"},
		"a failure of just now is not":                    {[]func(*Snapshot){parentShows(b), recorded(2, 1, wantedInputs(), v1alpha1.RunFailed), inARow(2), behind, answered(x, time.Second)}, "busy BuildFailed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(Compute(snapshot(tc.edits...)))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARunThatTektonLeavesAlone(t *testing.T) {
	created := func(ago time.Duration, started bool) func(*Snapshot) {
		return func(s *Snapshot) {
			ran(2, 1, false, false)(s)
			s.Runs[0].Created, s.Runs[0].Started = now.Add(-ago), started
		}
	}
	tests := map[string]struct {
		edit      func(*Snapshot)
		wantSaid  bool
		wantAgain time.Duration
	}{
		"at first it is patient":    {created(30*time.Second, false), false, 90 * time.Second},
		"then it says so":           {created(3*time.Minute, false), true, 0},
		"a run that began may last": {created(3*time.Hour, true), false, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := Compute(snapshot(tc.edit))
			if got := strings.Contains(p.Busy.Message, "Tekton has not begun it"); got != tc.wantSaid || p.Again != tc.wantAgain || p.Busy.Reason != v1alpha1.ReasonBuilding {
				t.Errorf("%s %q, again in %s; want said %v, again in %s", p.Busy.Reason, p.Busy.Message, p.Again, tc.wantSaid, tc.wantAgain)
			}
		})
	}
}

// TestARunThatSomebodyEdited: nothing of it is used, and no second one is made
// beside it.
func TestARunThatSomebodyEdited(t *testing.T) {
	damaged := func(done bool) []func(*Snapshot) {
		return []func(*Snapshot){parentShows(b), recorded(2, 1, wantedInputs(), ""), func(s *Snapshot) {
			s.Runs = []Run{{Build: Build{Name: "web-run"}, Done: done, Succeeded: true}}
		}}
	}
	for done, want := range map[bool]string{false: "busy Building", true: "end Refused"} {
		if diff := cmp.Diff(want, told(Compute(snapshot(damaged(done)...)))); diff != "" {
			t.Errorf("done %v (-want +got):\n%s", done, diff)
		}
	}
}

func TestARunIsWithheld(t *testing.T) {
	refuses := func(s *Snapshot) { s.Parents[0].Problem = &Problem{Reason: v1alpha1.ReasonParentNotAllowed} }
	succeeded := ran(2, 1, true, true)
	ended := func(inputs string) []func(*Snapshot) {
		return []func(*Snapshot){parentShows(b), succeeded, recorded(2, 1, inputs, ""), func(s *Snapshot) { s.Runs[0].Inputs = inputs }}
	}
	tests := map[string]struct {
		edits        []func(*Snapshot)
		want         string
		wantWithheld bool
	}{
		"while the lineage is suspended":          {append(ended(wantedInputs()), suspended), "hold HeldSuspended", true},
		"while a parent does not allow it":        {append(ended(wantedInputs()), refuses), "problem ParentNotAllowed", true},
		"and published when that is over":         {ended(wantedInputs()), "publish", false},
		"unless its inputs have moved since then": {append(ended("v1:old"), finishedWhileSuspended("v1:old")), "end Discarded", false},
		"and until the parents are known again":   {append(ended(wantedInputs()), finishedWhileSuspended(wantedInputs()), func(s *Snapshot) { s.Parents[0].Current = nil }), "busy ParentNotReady", true},
		"without Tekton nothing is known of it": {[]func(*Snapshot){parentShows(b), recorded(2, 1, wantedInputs(), ""), func(s *Snapshot) {
			s.NoRuns, s.TemplateProblem = true, &Problem{Reason: v1alpha1.ReasonTektonMissing}
		}}, "problem TektonMissing", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := Compute(snapshot(tc.edits...))
			if diff := cmp.Diff(tc.want, told(p)); diff != "" || p.Withheld != tc.wantWithheld {
				t.Errorf("withheld %v, plan (-want +got):\n%s", p.Withheld, diff)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	runs := func(n int) func(*Snapshot) {
		return func(s *Snapshot) {
			for i := 1; i <= n; i++ {
				s.Runs = append(s.Runs, Run{Build: Build{Name: fmt.Sprintf("r%d", i), Number: int64(i), Attempt: 1}, Done: true, Succeeded: true})
			}
			recorded(int64(n), 1, "v1:in", v1alpha1.RunPublished)(s)
			s.Lineage.Status.Run.Name = fmt.Sprintf("r%d", n)
		}
	}
	history := func(n int32) func(*Snapshot) {
		return func(s *Snapshot) { s.Lineage.Spec.Build.RunHistory = &n }
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"five are kept":                          {[]func(*Snapshot){runs(5)}, ""},
		"the oldest go":                          {[]func(*Snapshot){runs(7)}, "prune r1,r2"},
		"as many are kept as is asked":           {[]func(*Snapshot){runs(7), history(6)}, "prune r1"},
		"the newest two always":                  {[]func(*Snapshot){runs(4), history(0)}, "prune r1,r2"},
		"a run that goes on is not deleted":      {[]func(*Snapshot){runs(7), func(s *Snapshot) { s.Runs[0].Done = false }}, "prune r2"},
		"nor one whose end is not recorded":      {[]func(*Snapshot){runs(7), func(s *Snapshot) { s.Lineage.Status.Run.Outcome = "" }}, "publish"},
		"something else that is due comes first": {[]func(*Snapshot){runs(7), shows(y, 1)}, "accept Adopted 2"},
		"a suspended lineage is tidied too":      {[]func(*Snapshot){runs(6), suspended}, "prune r1 hold HeldSuspended"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(Compute(snapshot(tc.edits...)))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
