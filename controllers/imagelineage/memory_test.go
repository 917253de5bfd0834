// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// TestClockBehind tells a clock that is moved about, look by look: what the status
// tells, what the clock shows, and since when it has been known to be behind.
func TestClockBehind(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 1, 12, minute, 0, 0, time.UTC) }
	name := types.NamespacedName{Namespace: "shop", Name: "web"}
	type look struct{ told, now, want time.Time }
	tests := map[string][]look{
		"a clock that is right": {
			{at(1), at(2), time.Time{}}, {at(1), at(3), time.Time{}},
		},
		"a clock that was moved back is noticed once": {
			{at(30), at(5), at(5)}, {at(30), at(6), at(5)}, {at(30), at(29), at(5)}, {at(30), at(31), time.Time{}},
		},
		"a newer time of the status is noticed anew": {
			{at(30), at(5), at(5)}, {at(40), at(7), at(7)}, {at(40), at(8), at(7)},
		},
		"a clock that is moved back once more": {
			{at(30), at(20), at(20)}, {at(30), at(5), at(5)}, {at(30), at(6), at(5)},
		},
	}
	for title, looks := range tests {
		t.Run(title, func(t *testing.T) {
			var m memory
			for i, l := range looks {
				if diff := cmp.Diff(l.want, m.clockBehind(name, l.told, l.now)); diff != "" {
					t.Errorf("look %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestMemoryForgets(t *testing.T) {
	var m memory
	name, try := types.NamespacedName{Namespace: "shop", Name: "web"}, attempt{of: "web-run"}
	refused := plan.Outcome{Again: time.Minute, Problem: &plan.Problem{Reason: v1alpha1.ReasonPublishForbidden}}
	m.pause(name, try, refused, time.Unix(1, 0))
	if !m.isRefused(name) {
		t.Error("a refusal is not remembered")
	}
	m.pause(name, attempt{}, plan.Outcome{}, time.Unix(2, 0))
	if m.isRefused(name) {
		t.Error("a refusal is remembered although its step is not due any more")
	}
	m.pause(name, try, refused, time.Unix(3, 0))
	m.clockBehind(name, time.Unix(5, 0), time.Unix(4, 0))
	m.forget(name)
	if m.isRefused(name) || len(m.behind) > 0 {
		t.Error("a lineage that is gone is remembered")
	}
}

// TestASilentRegistryIsAskedByOne: whoever asks a registry that does not answer waits for
// it, and there are few who can.
func TestASilentRegistryIsAskedByOne(t *testing.T) {
	at := func(seconds int) time.Time { return time.Date(2026, 11, 1, 12, 0, seconds, 0, time.UTC) }
	var m memory
	story := []struct {
		what string
		do   func() (bool, time.Duration)
		want bool
		wait time.Duration
	}{
		{"at first anybody", func() (bool, time.Duration) { ok, _, again := m.askHost("dead", at(0)); return ok, again }, true, 0},
		{"after a silence nobody", func() (bool, time.Duration) {
			m.hostSilent("dead", "no answer in time", at(0))
			ok, _, again := m.askHost("dead", at(10))
			return ok, again
		}, false, 20 * time.Second},
		{"another one is not concerned", func() (bool, time.Duration) { ok, _, again := m.askHost("alive", at(10)); return ok, again }, true, 0},
		{"when its time has come, one", func() (bool, time.Duration) { ok, _, again := m.askHost("dead", at(30)); return ok, again }, true, 0},
		{"and no second one", func() (bool, time.Duration) { ok, _, again := m.askHost("dead", at(31)); return ok, again }, false, 29 * time.Second},
		{"once it answers, anybody", func() (bool, time.Duration) {
			m.hostSilent("dead", "", at(32))
			ok, _, again := m.askHost("dead", at(32))
			return ok, again
		}, true, 0},
	}
	for _, step := range story {
		if ok, wait := step.do(); ok != step.want || wait != step.wait {
			t.Errorf("%s: asked %v, again in %s; want %v, %s", step.what, ok, wait, step.want, step.wait)
		}
	}
}

// TestPause: what was refused is not asked for again by whatever wakes a lineage, and
// less often each time; a person who edits it, or asks for a check, has it tried at once.
func TestPause(t *testing.T) {
	at := func(minutes int) time.Time {
		return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
	}
	name := types.NamespacedName{Namespace: "shop", Name: "web"}
	try := attempt{of: "web-run", generation: 1}
	refused := plan.Outcome{Again: time.Minute, Problem: &plan.Problem{Reason: v1alpha1.ReasonPublishForbidden}}
	waits := plan.Outcome{Again: time.Minute, Waiting: plan.Busy{Reason: v1alpha1.ReasonRunNotCreated}}

	var m memory
	var pauses []time.Duration
	now := 0
	for range 6 {
		again := m.pause(name, try, refused, at(now)).Again
		pauses = append(pauses, again)
		now += int(again.Minutes())
	}
	want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses of what is refused (-want +got):\n%s", diff)
	}

	for title, tc := range map[string]struct {
		outcome plan.Outcome
		try     attempt
		after   int
		want    time.Duration
	}{
		"at once":                        {waits, try, 0, time.Minute},
		"when it is time":                {waits, try, 1, 0},
		"as long as a registry wants":    {plan.Outcome{Again: time.Hour, Waiting: plan.Busy{Reason: v1alpha1.ReasonRegistryUnreachable}}, try, 20, 40 * time.Minute},
		"another step":                   {waits, attempt{of: "other", generation: 1}, 0, 0},
		"an edited lineage":              {waits, attempt{of: "web-run", generation: 2}, 0, 0},
		"a check that was asked for":     {waits, attempt{of: "web-run", generation: 1, check: "now"}, 0, 0},
		"a clock that was moved back":    {waits, try, -60, 0},
		"what is in the queue":           {plan.Outcome{Again: time.Minute, Waiting: plan.Busy{Reason: v1alpha1.ReasonQueued}}, try, 0, 0},
		"what was done":                  {plan.Outcome{Done: true}, try, 0, 0},
		"an error that says nothing yet": {plan.Outcome{}, try, 0, 0},
	} {
		t.Run(title, func(t *testing.T) {
			var m memory
			m.pause(name, try, tc.outcome, at(0))
			outcome, paused := m.paused(name, tc.try, at(tc.after))
			if paused != (tc.want > 0) || outcome.Again != tc.want {
				t.Errorf("paused %v for %s, want %s", paused, outcome.Again, tc.want)
			}
		})
	}
}

// TestMayWait: some wait together for the runs to be listed, and then nobody for a while.
func TestMayWait(t *testing.T) {
	at := func(seconds int) time.Time {
		return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
	}
	var m memory
	for _, step := range []struct {
		seconds int
		want    bool
	}{{0, true}, {3, true}, {10, false}, {59, false}, {61, true}, {63, true}, {70, false}, {-600, true}} {
		if got := m.mayWait(at(step.seconds)); got != step.want {
			t.Errorf("after %d s: %v, want %v", step.seconds, got, step.want)
		}
	}
}
