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

// The windows of these tests, by now: 12:00 UTC.
var (
	tonight = v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h"}
	atNoon  = v1alpha1.BuildWindow{Schedule: "0 12 * * *", Duration: "1h"}
)

func needsApproval(s *Snapshot) { s.Lineage.Spec.Build.Approval = v1alpha1.ApprovalRequired }

// annotate adds an annotation to others.
func annotate(key, value string) func(*Snapshot) {
	return func(s *Snapshot) { metav1.SetMetaDataAnnotation(&s.Lineage.ObjectMeta, key, value) }
}

// approved approves what the snapshot would build by then.
func approved(s *Snapshot) { annotate(v1alpha1.ApproveAnnotation, approvalKey(s.subjectOf()))(s) }

func urgently(reason string) func(*Snapshot) {
	return annotate(v1alpha1.RebuildAnnotation, "urgent:"+reason)
}

func TestHeldBuilds(t *testing.T) {
	waits := func(s *Snapshot) { s.WaitingFor = []Ancestor{{Name: "platform/base"}} }
	flies := func(s *Snapshot) {
		recorded(2, 1, "v1:in", "")(s)
		s.Lineage.Status.Run.Message = ""
	}
	failed := func(s *Snapshot) {
		recorded(2, 1, wantedInputs(), v1alpha1.RunFailed)(s)
		inARow(1)(s)
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
		// wantAgain is when the lineage looks again by itself.
		wantAgain time.Duration
		// wantReasons are those of the run.
		wantReasons []string
		// wantMoves is true where the lineage's children wait for it.
		wantMoves bool
	}{
		"nothing is held where nothing is due": {
			edits: []func(*Snapshot){windowed(tonight), needsApproval},
		},
		"outside its window a build is held until that opens": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight)},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"within its window a build begins": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight, atNoon)},
			want:  "create ParentChanged", wantAgain: time.Hour, wantReasons: []string{"ParentChanged"}, wantMoves: true,
		},
		"a first image waits as well, and there is nothing to be ready with": {
			edits: []func(*Snapshot){with(), shows("", 2), windowed(tonight)},
			want:  "busy HeldWindow", wantAgain: 10 * time.Hour,
		},
		"the registry need not answer for a build to be held": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight), func(s *Snapshot) { s.Observation = nil }},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"an ancestor that is going to move is said first": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight), needsApproval, waits},
			want:  "busy AncestorOutdated",
		},
		"a failed build whose window has closed waits for the next": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight), failed},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"a failed build within its window waits for its next attempt": {
			edits: []func(*Snapshot){parentShows(b), windowed(atNoon), failed},
			want:  "busy BuildFailed", wantAgain: time.Minute, wantMoves: true,
		},
		"a run goes on when its window closes": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight), needsApproval, ran(2, 1, false, false), flies},
			want:  "busy Building", wantMoves: true,
		},
		"and is published": {
			edits: []func(*Snapshot){parentShows(b), windowed(tonight), needsApproval, ran(2, 1, true, true), flies},
			want:  "publish", wantMoves: true,
		},
		"a release is adopted at any time": {
			edits: []func(*Snapshot){shows(y, 1), windowed(tonight), needsApproval},
			want:  "accept Adopted 2",
		},
		"a tag that vanished is put back where the build that is due is held": {
			edits: []func(*Snapshot){shows("", 2), parentShows(b), windowed(tonight)},
			want:  "restore 1",
		},
		"and where it is not approved": {
			edits: []func(*Snapshot){shows("", 2), parentShows(b), needsApproval},
			want:  "restore 1",
		},
		"a request waits for its window": {
			edits: []func(*Snapshot){annotate(v1alpha1.RebuildAnnotation, "1"), windowed(tonight)},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"an urgent one does not, and its reason is recorded": {
			edits: []func(*Snapshot){parentShows(b), urgently("CVE-2026-1, openssl"), windowed(tonight)},
			want:  "create Requested", wantReasons: []string{"Requested", "ParentChanged", "urgent:CVE-2026-1; openssl"}, wantMoves: true,
		},
		"urgent without a reason is not": {
			edits: []func(*Snapshot){urgently("  "), windowed(tonight)},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"an urgent request that was answered lets nothing else pass": {
			edits: []func(*Snapshot){parentShows(b), urgently("CVE-2026-1"), windowed(tonight), func(s *Snapshot) {
				s.Lineage.Status.Handled = &v1alpha1.Handled{Rebuild: "urgent:CVE-2026-1"}
			}},
			want: "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"an urgent request needs approval all the same": {
			edits: []func(*Snapshot){urgently("CVE-2026-1"), windowed(tonight), needsApproval},
			want:  "hold HeldApproval",
		},
		"a build is held until it is approved": {
			edits: []func(*Snapshot){parentShows(b), needsApproval},
			want:  "hold HeldApproval",
		},
		"what is approved begins": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, approved},
			want:  "create ParentChanged", wantReasons: []string{"ParentChanged"}, wantMoves: true,
		},
		"approval comes before the window, when people are there": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, windowed(tonight)},
			want:  "hold HeldApproval",
		},
		"what is approved waits for its window": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, windowed(tonight), approved},
			want:  "hold HeldWindow", wantAgain: 10 * time.Hour,
		},
		"a retry is approved with the first attempt": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, approved, failed, minutesLater(1)},
			want:  "create ParentChanged", wantReasons: []string{"ParentChanged"}, wantMoves: true,
		},
		"other inputs need another approval": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, approved, parentShows(c)},
			want:  "hold HeldApproval",
		},
		"so does a request": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, approved, annotate(v1alpha1.RebuildAnnotation, "1")},
			want:  "hold HeldApproval",
		},
		"so do the same inputs a second time": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, approved, with(built(3, z, c), built(2, y, b)), shows(z, 5)},
			want:  "hold HeldApproval",
		},
		"a digest is no plan": {
			edits: []func(*Snapshot){parentShows(b), needsApproval, annotate(v1alpha1.ApproveAnnotation, string(b))},
			want:  "hold HeldApproval",
		},
		"what nobody may build by itself is not asked approval for": {
			edits: []func(*Snapshot){with(adopted(1, x)), parentShows(b), baselined(a), needsApproval},
			want:  "problem SourceUnknown",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(tc.edits...)
			got := Compute(s)
			if diff := cmp.Diff(tc.want, told(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s\n%+v", diff, got)
			}
			if got.Again != tc.wantAgain {
				t.Errorf("looks again after %s, want %s", got.Again, tc.wantAgain)
			}
			create, _ := got.Step.(Create)
			if diff := cmp.Diff(tc.wantReasons, create.Build.Reasons); diff != "" {
				t.Errorf("reasons of the run (-want +got):\n%s", diff)
			}
			if moves := !Settled(s.subjectOf(), false); moves != tc.wantMoves {
				t.Errorf("children wait: %t, want %t", moves, tc.wantMoves)
			}
		})
	}
}

func TestHoldsTellHowTheyAreLifted(t *testing.T) {
	key := approvalKey(snapshot(parentShows(b)).subjectOf())
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"a window": {
			edits: []func(*Snapshot){windowed(v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "4h", TimeZone: "Europe/Berlin"})},
			want:  "a build begins at 2026-11-01T21:00:00Z (spec.build.windows), or at once with the annotation imagelineage.dev/rebuild: urgent:REASON; why it is due: base: aaaaaaaaaaaa → bbbbbbbbbbbb",
		},
		"an approval": {
			edits: []func(*Snapshot){needsApproval},
			want:  "a build waits for approval (spec.build.approval): kubectl annotate imagelineage web -n shop imagelineage.dev/approve=" + key + " --overwrite; why it is due: base: aaaaaaaaaaaa → bbbbbbbbbbbb",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(snapshot(append(tc.edits, parentShows(b))...))
			if got.Hold == nil {
				t.Fatalf("nothing is held: %q", told(got))
			}
			if diff := cmp.Diff(tc.want, got.Hold.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// TestApprovalKeyIsStable: a key that changes with the operator's version would have people
// approve again what they have approved.
func TestApprovalKeyIsStable(t *testing.T) {
	key := ApprovalKey(2, "v1:in")
	if key != "plan-c652644d514bb565" {
		t.Errorf("ApprovalKey(2, v1:in) is %s", key)
	}
	for name, other := range map[string]string{"number": ApprovalKey(3, "v1:in"), "inputs": ApprovalKey(2, "v1:out")} {
		if other == key || !strings.HasPrefix(other, keyPrefix) {
			t.Errorf("with another %s it is %s", name, other)
		}
	}
}
