// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// soaking makes a followed lineage whose digests have to be a day old.
func (w *world) soaking(name, image string) *v1alpha1.ImageLineage {
	l := w.followed(name, image)
	l.Spec.Poll.MinAge = new(v1alpha1.Duration("24h"))
	return l
}

// waitCandidates waits until a lineage knows of exactly these digests that are too young.
func (w *world) waitCandidates(name string, want ...v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, "waiting for its candidates to age", func(l *v1alpha1.ImageLineage) bool {
		var digests []v1alpha1.Digest
		for _, c := range l.Status.Candidates {
			digests = append(digests, c.Digest)
		}
		return cmp.Equal(want, digests) && ready(l) == v1alpha1.ReasonHeldSoaking
	})
}

// waitTaken waits until a digest is current, and nothing else is waited for.
func (w *world) waitTaken(name string, digest v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, "on "+string(digest)+", at rest", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == digest && len(l.Status.Candidates) == 0 && ready(l) == v1alpha1.ReasonUpToDate
	})
}

func TestDigestsAgeBeforeTheyAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.push("base:1", "base one")
	w.create(w.soaking("base", "base:1"), w.produced("app", "app:1", "base"))
	before := w.start(0)
	l := w.waitCandidates("base", first)
	if !meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReconciling) || l.Status.Current != nil {
		t.Errorf("without an image there is nothing to be ready with: %s", describe(l))
	}
	w.waitReady("app", v1alpha1.ReasonParentNotReady)
	w.move(25 * time.Hour)
	w.waitTaken("base", first)
	w.waitKnown("app", first)

	second := w.moveBase("base two")
	l = w.waitCandidates("base", second)
	if !meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReady) || current(l) != first ||
		!strings.Contains(message(l), v1alpha1.ApproveAnnotation) || !strings.Contains(message(l), "spec.poll.minAge") {
		t.Errorf("want the first image until then, and how to shorten that: %s", describe(l))
	}
	seen := l.Status.Candidates[0].FirstSeen

	// A restart begins no age anew.
	before.stop()
	w.start(0)
	w.move(12 * time.Hour)
	third := w.moveBase("base three")
	l = w.waitCandidates("base", second, third)
	if got := l.Status.Candidates[0].FirstSeen; !got.Equal(&seen) || current(l) != first {
		t.Errorf("the second was first seen at %s, and is said to be at %s after a restart", seen, got)
	}

	// A tag that moves all the time moves who follows it: each digest by its own age.
	w.move(13 * time.Hour)
	w.waitFor("base", "on the second image", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == second && len(l.Status.Candidates) == 1 && ready(l) == v1alpha1.ReasonHeldSoaking
	})
	w.waitKnown("app", second)
	w.move(12 * time.Hour)
	w.waitTaken("base", third)
	w.waitKnown("app", third)
	w.wantRuns("app", 3)
}

func TestAPersonTakesADigestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	approve := func(digest v1alpha1.Digest) {
		w.edit("base", func(l *v1alpha1.ImageLineage) {
			l.Annotations = map[string]string{v1alpha1.ApproveAnnotation: string(digest)}
		})
	}
	first := w.push("base:1", "base one")
	w.create(w.soaking("base", "base:1"))
	w.start(0)
	w.waitCandidates("base", first)
	approve(first)
	l := w.waitTaken("base", first)
	if l.Status.Handled == nil || l.Status.Handled.Approve != string(first) {
		t.Errorf("it is not said which digest was approved: %+v", l.Status.Handled)
	}
	second := w.push("base:1", "base two")
	w.check("base")
	w.waitCandidates("base", second)
	third := w.push("base:1", "base three")
	w.check("base")
	w.waitCandidates("base", second, third)
	// One that was overtaken, while the newest goes on to age.
	approve(second)
	w.waitFor("base", "on what was approved", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == second && l.Status.Handled.Approve == string(second) && len(l.Status.Candidates) == 1
	})
	w.waitCandidates("base", third)
}

func TestADigestThatIsTakenBackIsNotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"))
	w.start(0)
	w.waitTaken("base", first)
	w.edit("base", func(l *v1alpha1.ImageLineage) { l.Spec.Poll.MinAge = new(v1alpha1.Duration("24h")) })
	second := w.moveBase("base two")
	w.waitCandidates("base", second)
	third := w.moveBase("base three")
	w.waitCandidates("base", second, third)
	// Back to one that still ages: what came after it was a mistake.
	w.retag("base:1", second)
	w.check("base")
	w.waitCandidates("base", second)
	// Back to what is current: nothing is left to wait for.
	w.retag("base:1", first)
	w.check("base")
	l := w.waitTaken("base", first)
	w.move(48 * time.Hour)
	w.push("beside:1", "beside")
	w.create(w.followed("beside", "beside:1"))
	w.waitReady("beside", v1alpha1.ReasonUpToDate)
	if after := w.waitTaken("base", first); after.Status.Current.Revision.Revision != l.Status.Current.Revision.Revision {
		t.Errorf("something was taken: %s", describe(after))
	}
	// A candidate that is gone when it is old enough is passed over.
	gone := w.moveBase("base four")
	w.waitCandidates("base", gone)
	last := w.moveBase("base five")
	w.waitCandidates("base", gone, last)
	w.untag("base@" + string(gone))
	w.move(25 * time.Hour)
	w.waitTaken("base", last)
	if n := len(w.lineage("base").Status.History); n != 2 {
		t.Errorf("%d revisions, want two: %s", n, describe(w.lineage("base")))
	}
}
