// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func message(l *v1alpha1.ImageLineage) string {
	for _, c := range l.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Message
		}
	}
	return ""
}

func TestAParentAdmitsItsChildren(t *testing.T) {
	w := newWorld(t)
	w.push("base:1", "base one")
	base := w.followed("base", "base:1")
	base.Namespace = w.other
	child := w.produced("app", "app:1", "base")
	child.Spec.From[0].LineageRef.Namespace = v1alpha1.NamespaceName(w.other)
	w.create(child)
	w.start(0)
	w.waitReady("app", v1alpha1.ReasonParentNotFound)

	w.create(base)
	l := w.waitReady("app", v1alpha1.ReasonParentNotAllowed)
	if !strings.Contains(message(l), "spec.from[p0]") || !strings.Contains(message(l), "spec.allowedChildren") {
		t.Errorf("the message names neither the field nor the cure: %s", message(l))
	}

	before := base.DeepCopy()
	base.Spec.AllowedChildren = &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "apps"}},
	}}
	if err := admin.Patch(t.Context(), base, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	w.waitReady("app", v1alpha1.ReasonParentNotAllowed)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	if err := admin.Patch(t.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"tier": "apps"}}}`))); err != nil {
		t.Fatal(err)
	}
	w.waitReady("app", v1alpha1.ReasonUpToDate)
}

func TestACycleMovesNothingOnItAndEverythingBesideIt(t *testing.T) {
	w := newWorld(t)
	w.push("base:1", "base one")
	w.create(
		w.followed("base", "base:1"),
		w.produced("left", "left:1", "base", "right:1"), // by its image
		w.produced("right", "right:1", "left"),
		w.produced("beside", "beside:1", "base"),
	)
	w.start(0)
	w.waitReady("beside", v1alpha1.ReasonUpToDate)
	l := w.waitReady("left", v1alpha1.ReasonCycle)
	w.waitReady("right", v1alpha1.ReasonCycle)
	own := w.namespace + "/left"
	if want := own + " → " + w.namespace + "/right → " + own; !strings.Contains(message(l), want) {
		t.Errorf("the message does not show the way round, %s: %s", want, message(l))
	}
	if n := w.runCount(); n != 1 {
		t.Errorf("%d runs, want the one beside the cycle", n)
	}
	w.edit("left", func(l *v1alpha1.ImageLineage) { l.Spec.From = l.Spec.From[:1] })
	w.waitReady("left", v1alpha1.ReasonUpToDate)
	w.waitReady("right", v1alpha1.ReasonUpToDate)
}

func TestOneReferenceIsBuiltByOneLineage(t *testing.T) {
	w := newWorld(t)
	w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"), w.produced("first", "app:1", "base"))
	w.start(0)
	w.waitReady("first", v1alpha1.ReasonUpToDate)
	w.create(w.produced("second", "app:1", "base"))
	w.waitReady("second", v1alpha1.ReasonReferenceTaken)
	if err := admin.Delete(t.Context(), w.lineage("first")); err != nil {
		t.Fatal(err)
	}
	l := w.waitReady("second", v1alpha1.ReasonUpToDate)
	if got := l.Status.Current.Origin; got != v1alpha1.OriginAdopted {
		t.Errorf("the heir's image is %s, want Adopted: it did not build it", got)
	}
}

func TestTheSameImageEndsTheCascade(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	before := current(w.waitRolledOut(w.shows("base:1")))
	w.edit("mid", func(l *v1alpha1.ImageLineage) {
		l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "1"}
	})
	l := w.waitFor("mid", "built again", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Run.Outcome == v1alpha1.RunConfirmed && ready(l) == v1alpha1.ReasonUpToDate
	})
	if l.Status.Handled.Rebuild != "1" || len(l.Status.History) != 2 || l.Status.History[0].Digest != l.Status.History[1].Digest {
		t.Errorf("a build of the same image should be a second revision with the same digest: %s", describe(l))
	}
	w.check("app")
	l = w.waitFor("app", "checked", func(l *v1alpha1.ImageLineage) bool { return l.Status.Handled != nil && l.Status.Handled.Check == "+" })
	if current(l) != before || w.runCount() != 3 {
		t.Errorf("the cascade went on: %d runs, %s", w.runCount(), describe(l))
	}
}

func TestAContainerThatAPersonSetBackIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	first := current(w.waitRolledOut(w.shows("base:1")))
	w.push("base:1", "base two")
	w.check("base")
	w.waitRolledOut(w.shows("base:1"))

	older := w.image("app:1") + "@" + string(first)
	d := w.readDeployment("app")
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = older
	if err := admin.Patch(t.Context(), d, client.StrategicMergeFrom(before), client.FieldOwner("kubectl-set")); err != nil {
		t.Fatal(err)
	}
	l := w.waitReady("app", v1alpha1.ReasonHeldByUser)
	if l.Status.Rollout.Held != 1 || !strings.Contains(message(l), "kubectl-set") {
		t.Errorf("who holds it is not told: %s", describe(l))
	}

	third := w.push("base:1", "base three")
	w.check("base")
	w.waitFor("app", "rebuilt and still held", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonHeldByUser && l.Status.Current.Roots[0].Digest == third
	})
	if image := w.imageOf("app"); image != older {
		t.Errorf("the Deployment was moved to %s", image)
	}
}

// TestNothingIsWrittenWhenNothingMoves: an idle fleet makes no writes, and a
// restart is no news. The checks that are asked for are the positive control:
// each of them is one status write, and comes after all that a restart does.
func TestNothingIsWrittenWhenNothingMoves(t *testing.T) {
	w := newWorld(t)
	w.chain()
	first := w.start(0)
	w.waitRolledOut(w.shows("base:1"))
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	first.stop()

	second := w.start(0)
	for range 2 {
		for _, name := range []string{"base", "mid", "app"} {
			w.check(name)
			token := w.lineage(name).Annotations[v1alpha1.CheckAnnotation]
			w.waitFor(name, "checked", func(l *v1alpha1.ImageLineage) bool {
				return l.Status.Handled != nil && l.Status.Handled.Check == token
			})
		}
	}
	got := second.life.done()
	slices.Sort(got)
	want := []string{"status app", "status app", "status base", "status base", "status mid", "status mid"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects after a restart (-want +got):\n%s", diff)
	}
}
