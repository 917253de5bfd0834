// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func observing(s *Snapshot) { s.ObserveOnly = true }

func mirrored(s *Snapshot) {
	s.Lineage.Spec.Mirror = &v1alpha1.Mirror{Image: "registry.example.com/mirror/web"}
}

// copied has the current image in that mirror.
func copied(s *Snapshot) {
	s.Lineage.Status.Current.Mirror = "registry.example.com/mirror/web:stable@" + string(s.Lineage.Status.Current.Digest)
}

// TestObserveOnly: what would be done outside of the status is a hold that says so, and
// what is only told in the status is done.
func TestObserveOnly(t *testing.T) {
	tests := map[string]struct {
		edits []func(*Snapshot)
		// wantStep is the step without the flag, and what is left of it with it.
		wantStep, wantObserved string
		// wantSaid is what Ready says: the hold, or what goes on.
		wantSaid string
	}{
		"a base moved": {
			edits: []func(*Snapshot){parentShows(b)}, wantStep: "Create",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would build: base: aaaaaaaaaaaa → bbbbbbbbbbbb",
		},
		"an ancestor comes first": {
			edits:    []func(*Snapshot){waitsFor(outdatedBase)},
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would build platform/other first",
		},
		"there is no image yet": {
			edits: []func(*Snapshot){with(), shows("", 2)}, wantStep: "Create",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would build: " + webRef.Name() + " does not exist yet",
		},
		"a run succeeded": {
			edits: []func(*Snapshot){ran(2, 1, true, true)}, wantStep: "Publish",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would put the image of run web-run under the tag",
		},
		"a run failed": {
			edits: []func(*Snapshot){ran(2, 1, true, false)}, wantStep: "End", wantObserved: "End",
		},
		"a run goes on": {
			edits:    []func(*Snapshot){ran(2, 1, false, false), parentShows(b)},
			wantSaid: "Building: run web-run is in flight",
		},
		"the tag vanished": {
			edits: []func(*Snapshot){shows("", 2)}, wantStep: "Restore",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would put 111111111111 back under " + webRef.Name() + ", which has vanished",
		},
		"a release was pushed": {
			edits: []func(*Snapshot){shows(y, 1)}, wantStep: "Accept", wantObserved: "Accept",
			wantSaid: "Adopted: " + webRef.Name() + " is 222222222222 now",
		},
		"a followed tag moved": {
			edits: []func(*Snapshot){followed, shows(y, 1)}, wantStep: "Accept", wantObserved: "Accept",
		},
		"a followed tag moved that has a mirror": {
			edits: []func(*Snapshot){followed, mirrored, copied, shows(y, 1)}, wantStep: "Accept",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would copy 222222222222 to registry.example.com/mirror/web, and then take it",
		},
		"a mirror was added": {
			edits: []func(*Snapshot){followed, mirrored}, wantStep: "Mirror",
			wantSaid: "HeldObserveOnly: the operator only observes (--observe-only): it would copy 111111111111 to registry.example.com/mirror/web",
		},
		"a hold of its own says more": {
			edits:    []func(*Snapshot){parentShows(b), suspended},
			wantSaid: "HeldSuspended: spec.suspend is set",
		},
		"nothing is due": {},
		"ended runs are more than are kept": {
			edits: []func(*Snapshot){endedRuns(7)}, wantStep: "Prune",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := stepName(Compute(snapshot(tt.edits...)).Step); got != tt.wantStep {
				t.Fatalf("without the flag the step is %q, want %q: the case is none", got, tt.wantStep)
			}
			p := Compute(snapshot(append(tt.edits, observing)...))
			if got := stepName(p.Step); got != tt.wantObserved {
				t.Errorf("step %q, want %q", got, tt.wantObserved)
			}
			if got := said(p); !strings.HasPrefix(got, tt.wantSaid) || tt.wantSaid == "" && got != "" && tt.wantObserved == "" {
				t.Errorf("it says %q, want %q", got, tt.wantSaid)
			}
		})
	}
}

// said is what Ready is told of.
func said(p Plan) string {
	switch {
	case p.Busy.Reason != "":
		return p.Busy.Reason + ": " + p.Busy.Message
	case p.Hold != nil:
		return p.Hold.Reason + ": " + p.Hold.Message
	default:
		return ""
	}
}

func stepName(step Step) string {
	switch step.(type) {
	case Accept:
		return "Accept"
	case Mirror:
		return "Mirror"
	case Create:
		return "Create"
	case Publish:
		return "Publish"
	case Restore:
		return "Restore"
	case End:
		return "End"
	case Prune:
		return "Prune"
	default:
		return ""
	}
}

// endedRuns adds so many recorded runs.
func endedRuns(n int64) func(*Snapshot) {
	return func(s *Snapshot) {
		for i := range n {
			ran(1, i+1, true, false)(s)
			s.Runs[i].Name = RunName("web", "uid", 1, "v1:in", i+1)
		}
		recorded(1, n, "v1:in", v1alpha1.RunFailed)(s)
		s.Lineage.Status.Run.Name = s.Runs[n-1].Name
	}
}

// TestObserveOnlyWithholdsWhatARunMade: after a week with the flag, a run whose inputs
// have moved on is left aside, and another one is published.
func TestObserveOnlyWithholdsWhatARunMade(t *testing.T) {
	if p := Compute(snapshot(ran(2, 1, true, true), observing)); !p.Withheld {
		t.Error("the end of the run is not noted, so that nobody can tell later that it waited")
	}
	finished := func(s *Snapshot) {
		s.Runs[0].Inputs = inputs(Subject{Lineage: s.Lineage, Parents: []Parent{parentShowing(a)}, Template: s.Template})
		recorded(2, 1, s.Runs[0].Inputs, "")(s)
		ended := metav1.NewTime(earlier)
		s.Lineage.Status.Run.Finished = &ended
	}
	if got := stepName(Compute(snapshot(ran(2, 1, true, true), finished)).Step); got != "Publish" {
		t.Errorf("with the same inputs the step is %q afterwards, want Publish", got)
	}
	if got := stepName(Compute(snapshot(ran(2, 1, true, true), finished, parentShows(b))).Step); got != "End" {
		t.Errorf("with other inputs the step is %q afterwards, want End", got)
	}
}

func TestObserveOnlySaysWhatWouldBeMoved(t *testing.T) {
	runsOld := func(s *Snapshot) {
		with(built(2, y, b), built(1, x, a))(s)
		s.Lineage.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
		s.Observation.Digest = y
		parentShows(b)(s)
		for _, name := range []string{"api", "web"} {
			s.Workloads = append(s.Workloads, Workload{Kind: "Deployment", Namespace: "shop", Name: name, Health: Healthy, Containers: []Container{
				{Name: "app", Image: webRef.TaggedPinned(string(x)), SetBy: v1alpha1.RolloutFieldManager},
			}})
		}
		s.Claimants = []Claimant{{Name: "web", Reference: webRef, Acts: true, Current: &s.Lineage.Status.Current.Revision, History: s.Lineage.Status.History}}
	}
	p := Compute(snapshot(runsOld, observing))
	if diff := cmp.Diff("deployment/api, container app, to revision 2 (222222222222), and 1 more", p.Rollout.WouldMove); diff != "" {
		t.Errorf("what would be moved (-want +got):\n%s", diff)
	}
	want := []string{
		"would be moved: deployment/api, container app, to revision 2 (222222222222)",
		"would be moved: deployment/web, container app, to revision 2 (222222222222)",
	}
	if diff := cmp.Diff(want, p.Rollout.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if p := Compute(snapshot(runsOld)); p.Rollout.WouldMove != "" {
		t.Errorf("without the flag it says what would be moved: %s", p.Rollout.WouldMove)
	}
}
