// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// TestEvents: whatever goes wrong is told when it begins, once.
func TestEvents(t *testing.T) {
	run := plan.Run{Build: plan.Build{Name: "web-2", Number: 2, Attempt: 1, Inputs: "v1:i"}}
	busy := func(reason string) plan.Plan {
		return plan.Plan{Lineage: current, Registry: answers, Busy: plan.Busy{Reason: reason, Message: "why"}}
	}
	unresolved := plan.Plan{Lineage: current, Registry: plan.Resolution{Resolved: plan.False, Reason: v1alpha1.ReasonRegistryUnreachable}}
	troubled := plan.Plan{Lineage: current, Registry: answers, Rollout: plan.Count{Total: 1, Progressing: 1, Trouble: "crash", Notes: []string{"crash"}}}
	tests := map[string]struct {
		before, now plan.Plan
		outcome     plan.Outcome
		none        bool // there is no image yet
		want        []string
	}{
		"nothing happened": {
			before: plan.Plan{Lineage: current, Registry: answers}, now: plan.Plan{Lineage: current, Registry: answers},
		},
		"work is no trouble": {
			now: busy(v1alpha1.ReasonBuilding),
		},
		"trouble that begins": {
			now: busy(v1alpha1.ReasonRegistryUnreachable), want: []string{"Warning RegistryUnreachable"},
		},
		"trouble that goes on": {
			before: busy(v1alpha1.ReasonRegistryUnreachable), now: busy(v1alpha1.ReasonRegistryUnreachable),
		},
		"a step that has to wait because of trouble": {
			now: plan.Plan{Lineage: current, Registry: answers}, outcome: plan.Outcome{Waiting: plan.Busy{Reason: v1alpha1.ReasonRunNotCreated}},
			want: []string{"Warning RunNotCreated"},
		},
		"a registry that is not reached, while the lineage is ready": {
			before: plan.Plan{Lineage: current, Registry: answers}, now: unresolved, want: []string{"Warning RegistryUnreachable"},
		},
		"a tag that is about to be built for the first time": {
			now:  plan.Plan{Lineage: current, Registry: plan.Resolution{Resolved: plan.False, Reason: v1alpha1.ReasonTagAbsent}, Busy: plan.Busy{Reason: v1alpha1.ReasonResolving}},
			none: true,
		},
		"a problem": {
			now: plan.Plan{Lineage: current, Registry: answers, Problem: &plan.Problem{Reason: v1alpha1.ReasonCycle}}, want: []string{"Warning Cycle"},
		},
		"another problem": {
			before: plan.Plan{Lineage: current, Registry: answers, Problem: &plan.Problem{Reason: v1alpha1.ReasonCycle}},
			now:    plan.Plan{Lineage: current, Registry: answers, Problem: &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec}}, want: []string{"Warning InvalidSpec"},
		},
		"a run that failed": {
			now:     plan.Plan{Lineage: current, Registry: answers, Step: plan.End{Run: run, Outcome: v1alpha1.RunFailed}},
			outcome: plan.Outcome{Done: true}, want: []string{"Warning BuildFailed"},
		},
		"a run that was cancelled": {
			now:     plan.Plan{Lineage: current, Registry: answers, Step: plan.End{Run: run, Outcome: v1alpha1.RunCancelled}},
			outcome: plan.Outcome{Done: true}, want: []string{"Warning BuildCancelled"},
		},
		"an output that was refused": {
			now:     plan.Plan{Lineage: current, Registry: answers, Step: plan.Publish{Run: run}},
			outcome: plan.Outcome{Done: true, Refused: true, Problem: &plan.Problem{Reason: v1alpha1.ReasonOutputRefused}}, want: []string{"Warning OutputRefused"},
		},
		"an image that was published": {
			now:     plan.Plan{Lineage: current, Registry: answers, Step: plan.Publish{Run: run, UnlessSame: one}},
			outcome: plan.Outcome{Done: true, Output: plan.Output{Digest: two}}, want: []string{"Normal Published"},
		},
		"an image that is there already": {
			now:     plan.Plan{Lineage: current, Registry: answers, Step: plan.Publish{Run: run, UnlessSame: one}},
			outcome: plan.Outcome{Done: true, Output: plan.Output{Digest: one}}, want: []string{"Normal UpToDate"},
		},
		"a container that does not come up": {
			now: troubled, want: []string{"Warning RollingOut"},
		},
		"a container that still does not": {
			before: troubled, now: troubled,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			if tc.none {
				s.Lineage.Status = v1alpha1.ImageLineageStatus{}
			}
			if tc.before.Lineage.UpToDate != "" {
				s.Lineage.Status = Summarize(s, tc.before, plan.Outcome{})
			}
			var got []string
			for _, e := range Events(s.Lineage.Status, Summarize(s, tc.now, tc.outcome), tc.now, tc.outcome) {
				kind := "Normal"
				if e.Warning {
					kind = "Warning"
				}
				got = append(got, kind+" "+e.Reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
