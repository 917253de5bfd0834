// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// every has the lineage rebuilt.
func every(d v1alpha1.Duration) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.UID, s.Lineage.Spec.Build.RebuildEvery = "web-3", &d }
}

// dueAfter is when a lineage of these tests is due that is rebuilt every 10h: by its
// UID, before the end of its period.
const dueAfter = 10*time.Hour - 54*time.Minute - 54*time.Second

// old is how long ago current was accepted.
func old(d time.Duration) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.Status.Current.Accepted = metav1.NewMicroTime(now.Add(-d)) }
}

func ancestorDue(in time.Duration) func(*Snapshot) {
	return func(s *Snapshot) { s.AncestorDue = now.Add(in) }
}

func waitsFor(ancestors ...Ancestor) func(*Snapshot) {
	return func(s *Snapshot) { s.WaitingFor = ancestors }
}

var (
	refreshedBase = Ancestor{Name: "platform/base", Refreshed: true}
	outdatedBase  = Ancestor{Name: "platform/other", Since: earlier}
)

func TestPeriodic(t *testing.T) {
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
		// wantAgain is when it is looked at again.
		wantAgain    time.Duration
		wantUpToDate Truth
		wantWaiting  []string
	}{
		"without rebuildEvery no image is too old": {
			edits: []func(*Snapshot){old(1000 * time.Hour)}, wantUpToDate: True,
		},
		"a young image is left alone until it is due": {
			edits: []func(*Snapshot){every("10h"), old(time.Hour)}, wantAgain: dueAfter - time.Hour, wantUpToDate: True,
		},
		"one second early is early": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter - time.Second)}, wantAgain: time.Second, wantUpToDate: True,
		},
		"an old image is built anew, and is up to date": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter)},
			want:  "create Periodic", wantUpToDate: True,
		},
		"one that is much too old too": {
			edits: []func(*Snapshot){every("10h"), old(1000 * time.Hour)},
			want:  "create Periodic", wantUpToDate: True,
		},
		"what has changed is the headline": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), parentShows(b)},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"a duration that cannot be read is none": {
			edits: []func(*Snapshot){every("10 hours"), old(1000 * time.Hour)}, wantUpToDate: True,
		},
		"a release is nobody's to replace": {
			edits: []func(*Snapshot){with(adopted(1, x)), every("10h"), old(1000 * time.Hour)}, wantUpToDate: Unknown,
		},
		"what a person went back to stays": {
			edits: []func(*Snapshot){with(rolledBack(3, x, a, 2), built(2, y, a), built(1, x, a)), every("10h"), old(1000 * time.Hour)},
			want:  "hold HeldByUser", wantUpToDate: True,
		},
		"a suspended lineage builds nothing": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), suspended},
			want:  "hold HeldSuspended", wantUpToDate: True,
		},
		"an ancestor that is due before the image is too old comes first": {
			edits:     []func(*Snapshot){every("10h"), old(dueAfter), ancestorDue(30 * time.Minute)},
			wantAgain: 30 * time.Minute, wantUpToDate: True,
		},
		"one that is due at once is looked for a little later": {
			edits:     []func(*Snapshot){every("10h"), old(dueAfter), ancestorDue(time.Second)},
			wantAgain: time.Minute, wantUpToDate: True,
		},
		"nobody waits for one that is due later": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), ancestorDue(time.Hour)},
			want:  "create Periodic", wantUpToDate: True,
		},
		"nor does an image get too old because of it": {
			edits: []func(*Snapshot){every("10h"), old(10 * time.Hour), ancestorDue(-time.Hour)},
			want:  "create Periodic", wantUpToDate: True,
		},
		"what has changed does not wait for it": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), ancestorDue(30 * time.Minute), parentShows(b)},
			want:  "create ParentChanged", wantAgain: 30 * time.Minute, wantUpToDate: False,
		},
		"an ancestor that is being built anew comes first": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), waitsFor(refreshedBase)},
			want:  "busy AncestorOutdated", wantUpToDate: True, wantWaiting: []string{"platform/base"},
		},
		"who has nothing to build does not wait for it": {
			edits: []func(*Snapshot){waitsFor(refreshedBase)}, wantUpToDate: True,
		},
		"and is behind the others only": {
			edits: []func(*Snapshot){waitsFor(refreshedBase, outdatedBase)},
			want:  "busy AncestorOutdated", wantUpToDate: False, wantWaiting: []string{"platform/other"},
		},
		"a run of this period is waited for": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), ran(2, 1, false, false), recorded(2, 1, "v1:in", "")},
			want:  "busy Building", wantUpToDate: True,
		},
		"one that failed as often as it may needs a person": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), failedInPeriod(4)},
			want:  "problem BuildFailed", wantUpToDate: True,
		},
		"one that failed is tried again": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), failedInPeriod(1)},
			want:  "busy BuildFailed", wantAgain: time.Minute, wantUpToDate: True,
		},
		"what failed for another reason begins anew": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), func(s *Snapshot) {
				recorded(2, 4, inputsAt(subjectOf(*s), ""), v1alpha1.RunFailed)(s)
			}, inARow(4)},
			want: "create Periodic", wantUpToDate: True,
		},
		"a tag that vanished is put back before that": {
			edits: []func(*Snapshot){every("10h"), shows("", 2), old(dueAfter)},
			want:  "restore 1", wantUpToDate: True,
		},
		"a clock that was moved back counts from when that was noticed": {
			edits: []func(*Snapshot){every("10h"), old(-1000 * time.Hour), func(s *Snapshot) { s.ClockBehind = now.Add(-dueAfter) }},
			want:  "create Periodic", wantUpToDate: True,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(tc.edits...)
			got := Compute(s)
			if diff := cmp.Diff(tc.want, told(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s\n%+v", diff, got)
			}
			if got.Again != tc.wantAgain || got.Lineage.UpToDate != tc.wantUpToDate {
				t.Errorf("again after %s and UpToDate %s, want %s and %s", got.Again, got.Lineage.UpToDate, tc.wantAgain, tc.wantUpToDate)
			}
			if diff := cmp.Diff(tc.wantWaiting, got.WaitingFor); diff != "" {
				t.Errorf("waiting for (-want +got):\n%s", diff)
			}
		})
	}
}

func subjectOf(s Snapshot) Subject {
	return Subject{Lineage: s.Lineage, Parents: s.Parents, Template: s.Template, Now: s.Now}
}

// failedInPeriod records a run that was made because of the time, and failed.
func failedInPeriod(times int64) func(*Snapshot) {
	return func(s *Snapshot) {
		recorded(2, times, inputs(subjectOf(*s)), v1alpha1.RunFailed)(s)
		inARow(times)(s)
	}
}

// TestAPeriodTellsItsBuildsFromOthers: the same is built again under another name, and
// under none that an older operator would have given.
func TestAPeriodTellsItsBuildsFromOthers(t *testing.T) {
	of := func(edits ...func(*Snapshot)) string { return inputs(subjectOf(snapshot(edits...))) }
	young := of()
	tests := map[string]struct {
		got      string
		wantSame bool
	}{
		"before it is due, it is as without rebuildEvery": {of(every("10h"), old(time.Hour)), true},
		"once it is due, it is another build":             {of(every("10h"), old(11*time.Hour)), false},
		"an old image alone is nothing":                   {of(old(11 * time.Hour)), true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if same := tc.got == young; same != tc.wantSame {
				t.Errorf("inputs %q and %q, want same: %v", tc.got, young, tc.wantSame)
			}
		})
	}
	// An edit of the period itself begins nothing anew.
	if one, two := of(every("10h"), old(11*time.Hour)), of(every("9h"), old(11*time.Hour)); one != two {
		t.Errorf("inputs %q with 10h and %q with 9h", one, two)
	}
	if one, two := of(every("10h"), old(11*time.Hour)), of(every("10h"), old(12*time.Hour)); one == two {
		t.Errorf("two periods have the inputs %q", one)
	}
}

// What is recorded in runs and revisions of lineages without rebuildEvery has to be
// found again, and with it by later versions.
func TestInputsGolden(t *testing.T) {
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"without rebuildEvery":    {nil, "v1:3a3fdef1711c33de3957f16b218956ed"},
		"because of rebuildEvery": {[]func(*Snapshot){every("10h"), old(11 * time.Hour)}, "v1:75ba3d64a522b93ccd61e61d239a7d09"},
		"without it, on request":  {[]func(*Snapshot){annotated(v1alpha1.RebuildAnnotation, "1")}, "v1:4a1eeedce83f4ab205d6948b01667fe5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := inputs(subjectOf(snapshot(tc.edits...))); got != tc.want {
				t.Errorf("inputs = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	const fleet, parts = 1000, 10
	day := 24 * time.Hour
	var counted [parts]int
	for i := range fleet {
		offset := spread("uid-"+strconv.Itoa(i), day)
		if offset < 0 || offset >= day/spreadPart {
			t.Fatalf("lineage %d is due %s early, want less than a tenth of %s", i, offset, day)
		}
		counted[int(offset*parts/(day/spreadPart))]++
	}
	// Fair shares are 100; this is seven standard deviations off.
	for part, n := range counted {
		if n < 40 || n > 170 {
			t.Errorf("%d of %d lineages are due in part %d of %d", n, fleet, part, parts)
		}
	}
	// Another offset after an upgrade would move builds about.
	if got, want := spread(testUID, day), time.Hour+3*time.Minute+25*time.Second; got != want {
		t.Errorf("spread = %s, want %s", got, want)
	}
}

func TestWhatAnAncestorDoesBecauseOfTheTime(t *testing.T) {
	inFlight := func(reasons ...string) func(*Snapshot) {
		return func(s *Snapshot) {
			recorded(2, 1, "v1:in", "")(s)
			s.Lineage.Status.Run.Message, s.Lineage.Status.Run.Reasons = "", reasons
		}
	}
	tests := map[string]struct {
		edits                       []func(*Snapshot)
		blocked                     bool
		wantSettled, wantRefreshing bool
		wantDue                     time.Duration
	}{
		"without rebuildEvery nothing": {wantSettled: true, wantRefreshing: true},
		"it is due later": {
			edits:       []func(*Snapshot){every("10h"), old(time.Hour)},
			wantSettled: true, wantRefreshing: true, wantDue: dueAfter - time.Hour,
		},
		"it is due now": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter)}, wantRefreshing: true,
		},
		"it is being built anew": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), inFlight(v1alpha1.ReasonPeriodic)}, wantRefreshing: true,
		},
		"it is being built anew, and its parent moved": {
			edits: []func(*Snapshot){every("10h"), old(dueAfter), inFlight(v1alpha1.ReasonPeriodic), parentShows(b)},
		},
		"it is being built for another reason": {
			edits: []func(*Snapshot){every("10h"), old(time.Hour), inFlight(v1alpha1.ReasonParentChanged)},
		},
		"its parent moved": {
			edits: []func(*Snapshot){every("10h"), old(time.Hour), parentShows(b)},
		},
		"it is suspended": {
			edits:       []func(*Snapshot){every("10h"), old(time.Hour), suspended},
			wantSettled: true, wantRefreshing: true,
		},
		"a person has to mend something first": {
			edits: []func(*Snapshot){every("10h"), old(time.Hour)}, blocked: true,
			wantSettled: true, wantRefreshing: true,
		},
		"it failed as often as it may": {
			edits:       []func(*Snapshot){every("10h"), old(dueAfter), failedInPeriod(4)},
			wantSettled: true, wantRefreshing: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := subjectOf(snapshot(tc.edits...))
			if settled, refreshing := Settled(s, tc.blocked), Refreshing(s); settled != tc.wantSettled || refreshing != tc.wantRefreshing {
				t.Errorf("settled %v and refreshing %v, want %v and %v", settled, refreshing, tc.wantSettled, tc.wantRefreshing)
			}
			var want time.Time
			if tc.wantDue > 0 {
				want = now.Add(tc.wantDue)
			}
			if got := Due(s, tc.blocked); !got.Equal(want) {
				t.Errorf("due at %s, want %s", got, want)
			}
		})
	}
}

func TestWhatAPeriodMayConfirm(t *testing.T) {
	ended := func(expected v1alpha1.Digest, reasons ...string) func(*Snapshot) {
		return func(s *Snapshot) {
			ran(2, 1, true, true)(s)
			s.Runs[0].Expected, s.Runs[0].Reasons = string(expected), reasons
		}
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  v1alpha1.Digest
	}{
		"a build because of the time may make the same again": {
			[]func(*Snapshot){ended(x, v1alpha1.ReasonPeriodic)}, x,
		},
		"one with another reason is published": {
			[]func(*Snapshot){ended(x, v1alpha1.ReasonTemplateChanged, v1alpha1.ReasonPeriodic)}, "",
		},
		"so is one that a person asked for": {
			[]func(*Snapshot){ended(x, v1alpha1.ReasonRequested)}, "",
		},
		"what was there when it was decided is not there any more": {
			[]func(*Snapshot){ended(y, v1alpha1.ReasonPeriodic)}, "",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			step, publishes := Compute(snapshot(tc.edits...)).Step.(Publish)
			if !publishes || step.UnlessSame != tc.want {
				t.Errorf("step %+v, want a publish unless it is %q", step, tc.want)
			}
		})
	}
}

// TestAWithheldRunIsPublishedAlthoughTimeHasPassed: a run that was made for another
// reason is as good as one that is made because of the time.
func TestAWithheldRunIsPublishedAlthoughTimeHasPassed(t *testing.T) {
	s := snapshot(every("10h"), old(time.Hour), parentShows(b))
	made := inputs(subjectOf(s))
	s = snapshot(every("10h"), old(11*time.Hour), parentShows(b), ran(2, 1, true, true), recorded(2, 1, made, ""), finishedWhileSuspended(made))
	if got := told(Compute(s)); got != "publish" {
		t.Errorf("plan %q, want publish", got)
	}
}

func TestWhatIsDueIsSaid(t *testing.T) {
	held := Compute(snapshot(every("10h"), old(11*time.Hour), suspended)).Hold
	for _, want := range []string{"spec.suspend is set", "a build is due then", "2026-11-01T01:00:00Z", "spec.build.rebuildEvery is 10h"} {
		if !strings.Contains(held.Message, want) {
			t.Errorf("the hold says %q, want it to say %q", held.Message, want)
		}
	}
	if got := Compute(snapshot(every("10h"), old(time.Hour))).Lineage.Message; !strings.Contains(got, "by 2026-11-01T21:00:00Z") {
		t.Errorf("what is up to date says %q, want until when", got)
	}
}
