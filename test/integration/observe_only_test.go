// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
)

// TestObserveOnlySaysAndDoesNothing: with --observe-only a base moves, and every status
// says what would be done of which nothing is; without the flag it is done.
func TestObserveOnlySaysAndDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.chain()
	acting := w.start(0)
	before := current(w.waitRolledOut(w.shows("base:1")))
	tags := map[string]v1alpha1.Digest{"mid:1": w.shows("mid:1"), "app:1": before}
	acting.stop()

	observes := func(o *operator.Options) { o.ObserveOnly = true }
	w.flags = append(w.flags, observes)
	observing := w.start(0)
	moved := w.moveBase("base two")
	says := func(name, condition, status string, words ...string) {
		t.Helper()
		w.waitFor(name, strings.Join(words, " … "), func(l *v1alpha1.ImageLineage) bool {
			is := meta.FindStatusCondition(l.Status.Conditions, condition)
			missing := func(word string) bool { return !strings.Contains(is.Message, word) }
			return is != nil && string(is.Status) == status && is.Reason == v1alpha1.ReasonHeldObserveOnly && !slices.ContainsFunc(words, missing)
		})
	}
	says("mid", v1alpha1.ConditionReady, "True", "it would build", "p0: ", " → ")
	says("app", v1alpha1.ConditionReady, "True", "it would build "+w.namespace+"/mid first")
	if l := w.lineage("base"); current(l) != moved {
		t.Errorf("what the tag shows is not taken: %s", describe(l))
	}
	for _, name := range []string{"mid", "app"} {
		if l := w.lineage(name); !meta.IsStatusConditionFalse(l.Status.Conditions, v1alpha1.ConditionUpToDate) || l.Status.OutdatedSince == nil {
			t.Errorf("the truth is not told: %s", describe(l))
		}
	}

	// A release is taken, and its workload is not moved to it; a tag that vanished is not
	// put back.
	release := w.push("app:1", "a release by the team's own CI")
	w.check("app")
	says("app", v1alpha1.ConditionRolledOut, "False", "0 of 1", "it would move deployment/app, container app, to revision 2")
	w.untag("mid:1")
	w.check("mid")
	w.waitFor("mid", "told of the check", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Handled != nil && l.Status.Handled.Check == l.Annotations[v1alpha1.CheckAnnotation] && strings.Contains(message(l), "it would build")
	})

	w.wantRuns("mid", 1)
	w.wantRuns("app", 1)
	if got := w.shows("mid:1"); got != "" {
		t.Errorf("the tag of mid was put back to %s", got)
	}
	if n := w.generationOf("app"); n != 1 {
		t.Errorf("the Deployment was changed: it is of generation %d", n)
	}
	for _, effect := range observing.life.done() {
		if !strings.HasPrefix(effect, "status ") {
			t.Errorf("the operator did: %s", effect)
		}
	}
	observing.stop()

	// Without the flag it goes on from there.
	w.retag("mid:1", tags["mid:1"])
	w.flags = nil
	w.start(0)
	w.waitFor("app", "on the release", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == release && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1"
	})
	w.waitFor("mid", "built on the base that moved", func(l *v1alpha1.ImageLineage) bool {
		return len(l.Status.Current.Roots) == 1 && l.Status.Current.Roots[0].Digest == moved && ready(l) == v1alpha1.ReasonUpToDate
	})
	w.wantRuns("mid", 2)
	w.wantRuns("app", 1)
}
