// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"net/http"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// heldBack makes a followed subject whose Deployment a person has set back to the first
// of two images.
func (w *world) heldBack() {
	w.t.Helper()
	first := w.push("app:1", "app one")
	w.create(w.rolledOut(subject, "app:1"), w.deployment(subject, "app:1"))
	w.start(0)
	w.waitAllCurrent(subject, first)
	second := w.push("app:1", "app two")
	w.check(subject)
	w.waitAllCurrent(subject, second)
	d := w.readDeployment(subject)
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = w.image("app:1@" + string(first))
	if err := admin.Patch(w.t.Context(), d, client.StrategicMergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	w.waitReady(subject, v1alpha1.ReasonHeldByUser)
}

// rolledOut makes a followed lineage that moves its workloads.
func (w *world) rolledOut(name, image string) *v1alpha1.ImageLineage {
	l := w.followed(name, image)
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	return l
}

// leftBehind makes a followed, suspended subject, whose tag has moved on.
func (w *world) leftBehind() {
	w.t.Helper()
	first := w.push("app:1", "app one")
	w.create(w.rolledOut(subject, "app:1"), w.deployment(subject, "app:1"))
	w.start(0)
	w.waitAllCurrent(subject, first)
	w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
	w.waitReady(subject, v1alpha1.ReasonHeldSuspended)
	second := w.push("app:1", "app two")
	w.check(subject)
	w.waitFor(subject, "seen to be behind its tag", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Observed != nil && l.Status.Observed.Digest == second && current(l) == first
	})
}

// collectFirst deletes the subject's first image, as a registry that cleans up does, and
// has the operator ask.
func (w *world) collectFirst() {
	w.t.Helper()
	w.untag("app@" + string(w.firstDigest()))
	w.move(checkedAgain)
}

// firstDigest is that of the subject's first revision.
func (w *world) firstDigest() v1alpha1.Digest {
	w.t.Helper()
	history := w.lineage(subject).Status.History
	return history[len(history)-1].Digest
}

// missing waits until the subject's first image is said to be gone, and checks that the
// registry was asked twice, and that it is told once.
func (w *world) missing(words ...string) {
	w.t.Helper()
	l := w.waitFor(subject, "missing its image", func(l *v1alpha1.ImageLineage) bool {
		return meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionImageMissing)
	})
	is := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionImageMissing)
	for _, word := range words {
		if !strings.Contains(is.Message, word) {
			w.t.Errorf("it says %q, want %q", is.Message, word)
		}
	}
	if is.Reason != v1alpha1.ReasonDigestGone {
		w.t.Errorf("reason %s, want %s", is.Reason, v1alpha1.ReasonDigestGone)
	}
	asked := func() int { return w.faults.requests(http.MethodHead, "/app/manifests/"+string(w.firstDigest())) }
	if n := asked(); n < 2 {
		w.t.Errorf("the registry was asked %d times, want two answers", n)
	}
	// More answers of the same are no news.
	for range 2 {
		before := asked()
		w.move(checkedAgain)
		w.waitFor(subject, "asked for again", func(*v1alpha1.ImageLineage) bool { return asked() > before })
	}
	if n := w.warningsOf(v1alpha1.ReasonDigestGone); n != 1 {
		w.t.Errorf("told %d times, want once", n)
	}
}

// warningsOf counts the Warnings that tell of the subject for a reason.
func (w *world) warningsOf(reason string) int {
	w.t.Helper()
	found := &eventsv1.EventList{}
	if err := admin.List(w.t.Context(), found, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, e := range found.Items {
		if e.Regarding.Name == subject && e.Reason == reason && e.Type == "Warning" {
			n++
			if e.Series != nil {
				n += int(e.Series.Count) - 1
			}
		}
	}
	return n
}

// pushedAgain puts the first image back, and waits until nobody misses it.
func (w *world) pushedAgain() {
	w.t.Helper()
	if got := w.push("app:kept", "app one"); got != w.firstDigest() {
		w.t.Fatalf("pushed %s, want the first image, %s", got, w.firstDigest())
	}
	w.move(checkedAgain)
	w.waitFor(subject, "said to be complete", func(l *v1alpha1.ImageLineage) bool {
		return meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionImageMissing) == nil
	})
}

var _ = register(map[string]driver{
	"an image that a person went back to is deleted": {
		arrange: (*world).heldBack,
		cause:   (*world).collectFirst,
		lasts: func(w *world) {
			w.missing("(revision 1)", "which deployment/app uses", "Push it again")
			if got := w.imageOf(subject); !strings.HasSuffix(got, "@"+string(w.firstDigest())) {
				w.t.Errorf("the Deployment was moved to %s", got)
			}
		},
		cure: (*world).pushedAgain,
		ends: func(w *world) { w.waitResolved(metav1.ConditionTrue, v1alpha1.ReasonResolved) },
	},
	"the current image of a suspended lineage is deleted": {
		arrange: (*world).leftBehind,
		cause:   (*world).collectFirst,
		lasts:   func(w *world) { w.missing("(revision 1)", "Push it again") },
		cure:    (*world).pushedAgain,
		ends: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
			w.waitAllCurrent(subject, w.shows("app:1"))
		},
	},
})

// TestAnImageThatAChildIsBuiltFromIsMissed: a build that is repeated would need it.
func TestAnImageThatAChildIsBuiltFromIsMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"), w.produced("app", "app:1", "base"))
	w.start(0)
	w.waitKnown("app", first)
	w.edit("app", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
	w.waitReady("app", v1alpha1.ReasonHeldSuspended)
	second := w.moveBase("base two")
	w.waitFor("base", "moved", func(l *v1alpha1.ImageLineage) bool { return current(l) == second })
	w.untag("base@" + string(first))
	w.move(checkedAgain)
	missed := func(l *v1alpha1.ImageLineage) string {
		if is := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionImageMissing); is != nil {
			return is.Message
		}
		return ""
	}
	l := w.waitFor("base", "missing what its child has", func(l *v1alpha1.ImageLineage) bool { return missed(l) != "" })
	if !strings.Contains(missed(l), "which children are built from") || ready(l) != v1alpha1.ReasonUpToDate {
		t.Errorf("want who uses it, and a lineage that is ready: %s", describe(l))
	}
	// When the child has moved on, nobody needs it any more.
	w.edit("app", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
	w.waitKnown("app", second)
	w.waitFor("base", "missing nothing", func(l *v1alpha1.ImageLineage) bool { return missed(l) == "" })
}
