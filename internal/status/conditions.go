// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// summary is the one answer to "is it up to date, and if not, who has to act?".
type summary struct {
	ready, reconciling, stalled bool
	reason, message             string
}

// setConditions writes all conditions of a status.
func setConditions(status *v1alpha1.ImageLineageStatus, s plan.Snapshot, p plan.Plan, o plan.Outcome) {
	set := func(kind string, truth plan.Truth, reason, message string) {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionStatus(truth), Reason: reason, Message: short(message),
			ObservedGeneration: s.Lineage.Generation, LastTransitionTime: metav1.NewTime(s.Now),
		})
	}
	setResolved(status, p, set)
	set(v1alpha1.ConditionUpToDate, p.Lineage.UpToDate, p.Lineage.Reason, p.Lineage.Message)
	rolledOut := rolledOutOf(s.Lineage, s.ObserveOnly, p.Rollout)
	set(v1alpha1.ConditionRolledOut, rolledOut.truth, rolledOut.reason, rolledOut.message)

	switch {
	case p.Missing != "":
		set(v1alpha1.ConditionImageMissing, plan.True, v1alpha1.ReasonDigestGone, p.Missing)
	case !p.Unsure:
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionImageMissing)
	}

	is := summarize(status.Current != nil, p, o, rolledOut)
	set(v1alpha1.ConditionReady, truth(is.ready), is.reason, is.message)
	for kind, present := range map[string]bool{
		v1alpha1.ConditionReconciling: is.reconciling, v1alpha1.ConditionStalled: is.stalled,
	} {
		if present {
			set(kind, plan.True, is.reason, is.message)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, kind)
		}
	}
}

func truth(b bool) plan.Truth {
	if b {
		return plan.True
	}
	return plan.False
}

// setResolved leaves the condition as it was where there is no news, so that a
// restart of the operator, or a short outage of the registry, is none.
func setResolved(status *v1alpha1.ImageLineageStatus, p plan.Plan, set func(string, plan.Truth, string, string)) {
	known := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionResolved)
	switch {
	case p.Registry.Resolved != plan.Unknown:
		set(v1alpha1.ConditionResolved, p.Registry.Resolved, p.Registry.Reason, p.Registry.Message)
	case known == nil:
		set(v1alpha1.ConditionResolved, plan.Unknown, v1alpha1.ReasonResolving, "the registry has not answered yet")
	default:
		set(v1alpha1.ConditionResolved, plan.Truth(known.Status), known.Reason, known.Message)
	}
}

// summarize is the table of design §3, first match first.
func summarize(hasImage bool, p plan.Plan, o plan.Outcome, rolledOut rolledOut) summary {
	busy := busyWith(p, o)
	switch {
	case o.Problem != nil && !o.Refused:
		return stalled(o.Problem.Reason, o.Problem.Message)
	case p.Problem != nil:
		return stalled(p.Problem.Reason, p.Problem.Message)
	case p.Hold != nil && p.Hold.Reason == v1alpha1.ReasonHeldSuspended:
		return ready(p.Hold.Reason, p.Hold.Message)
	case busy.Reason != "":
		return reconciling(busy.Reason, busy.Message)
	case !hasImage:
		return reconciling(v1alpha1.ReasonResolving, "waiting for the first image")
	case rolledOut.failed:
		return stalled(rolledOut.reason, rolledOut.message)
	case rolledOut.busy:
		return reconciling(rolledOut.reason, rolledOut.message)
	case p.Hold != nil:
		return ready(p.Hold.Reason, p.Hold.Message)
	case p.Lineage.UpToDate == plan.Unknown:
		return ready(v1alpha1.ReasonBuiltFromUnknown, p.Lineage.Message)
	case p.Lineage.UpToDate == plan.False:
		return ready(v1alpha1.ReasonOutdatedUpstream, p.Lineage.Message)
	case rolledOut.truth != plan.True:
		return ready(rolledOut.reason, rolledOut.message)
	default:
		return ready(v1alpha1.ReasonUpToDate, "the image is what it should be, and so are the workloads")
	}
}

// busyWith is what goes on: why a step could not be done, or else what was decided.
func busyWith(p plan.Plan, o plan.Outcome) plan.Busy {
	if o.Waiting.Reason != "" {
		return o.Waiting
	}
	return p.Busy
}

func ready(reason, message string) summary {
	return summary{ready: true, reason: reason, message: message}
}

func reconciling(reason, message string) summary {
	return summary{reconciling: true, reason: reason, message: message}
}

func stalled(reason, message string) summary {
	return summary{stalled: true, reason: reason, message: message}
}

// rolledOut is the RolledOut condition, and what it means for Ready.
type rolledOut struct {
	truth           plan.Truth
	reason, message string
	busy, failed    bool
}

func rolledOutOf(l *v1alpha1.ImageLineage, observeOnly bool, c plan.Count) rolledOut {
	acts := !observeOnly && moves(l)
	of := fmt.Sprintf("%d of %d workloads", c.Current, c.Total)
	note, trouble := "", ""
	if len(c.Notes) > 0 {
		note = ": " + c.Notes[0]
	}
	if c.Trouble != "" {
		trouble = ": " + c.Trouble
	}
	switch {
	case c.Total == 0:
		return rolledOut{truth: plan.True, reason: v1alpha1.ReasonNoWorkloads, message: "nothing in the namespace runs the image"}
	case c.Failed > 0:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonRolloutFailed, message: of + " run the current image" + note, failed: acts}
	case c.WouldMove != "":
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonHeldObserveOnly, message: of + " run the current image; the operator only observes (--observe-only): it would move " + c.WouldMove}
	case c.Drifted > 0 && !acts:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonNotRolledOut, message: of + " run the current image; spec.rollout does not ask to move the others"}
	case c.Refused != "":
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonRolloutRefused, message: of + " run the current image; the cluster refuses to change " + c.Refused + "; it is tried again", busy: acts}
	case c.Drifted > 0 || c.Progressing > 0:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonRollingOut, message: of + " run the current image" + trouble, busy: acts}
	case c.Held > 0:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonHeldByUser, message: of + " run the current image" + note}
	case c.Unknown > 0:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonWorkloadsUnknown, message: of + " run the current image" + note}
	case c.Pending > 0:
		return rolledOut{truth: plan.False, reason: v1alpha1.ReasonRolloutPending, message: of + " run the current image" + note}
	default:
		return rolledOut{truth: plan.True, reason: v1alpha1.ReasonRolledOut, message: of + " run the current image"}
	}
}

// moves is true for a lineage that asks for its workloads to be moved.
func moves(l *v1alpha1.ImageLineage) bool {
	return l.Spec.Rollout != nil && l.Spec.Rollout.Mode == v1alpha1.RolloutPatch && !l.Spec.Suspend
}
