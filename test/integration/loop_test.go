// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// chain makes base → mid → app in a world, with a Deployment on app.
func (w *world) chain() {
	w.t.Helper()
	w.push("base:1", "base one")
	w.create(
		w.followed("base", "base:1"), w.produced("mid", "mid:1", "base"), w.produced("app", "app:1", "mid"),
		w.deployment("app", "app:1"),
	)
}

// waitRolledOut waits until app is built from the present base and rolled out.
func (w *world) waitRolledOut(base v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor("app", "rolled out on "+string(base), func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1" &&
			len(l.Status.Current.Roots) == 1 && l.Status.Current.Roots[0].Digest == base
	})
}

func (w *world) imageOf(deployment string) string {
	return w.readDeployment(deployment).Spec.Template.Spec.Containers[0].Image
}

// generationOf counts the writes of a Deployment's spec.
func (w *world) generationOf(deployment string) int64 {
	return w.readDeployment(deployment).Generation
}

func (w *world) readDeployment(name string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	if err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) runCount() int {
	w.t.Helper()
	runs := pipelineRuns()
	if err := admin.List(w.t.Context(), runs, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	return len(runs.Items)
}

func TestABaseThatMovesReachesThePods(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	first := w.waitRolledOut(w.shows("base:1"))
	if image := w.imageOf("app"); image != w.image("app:1") {
		t.Errorf("the first image runs already under its tag, and the Deployment was moved to %s", image)
	}

	moved := w.push("base:1", "base two")
	w.check("base")
	second := w.waitRolledOut(moved)

	if current(first) == current(second) {
		t.Error("the application was not rebuilt")
	}
	if diff := cmp.Diff(w.image("app:1")+"@"+string(current(second)), w.imageOf("app")); diff != "" {
		t.Errorf("image of the Deployment (-want +got):\n%s", diff)
	}
	if got := w.shows("app:1"); got != current(second) {
		t.Errorf("the tag shows %s, want %s", got, current(second))
	}
	if n := w.runCount(); n != 4 {
		t.Errorf("%d runs for two lineages and two bases, want 4", n)
	}
	roles := map[string]v1alpha1.Role{}
	for _, name := range []string{"base", "mid", "app"} {
		roles[name] = w.lineage(name).Status.Role
	}
	want := map[string]v1alpha1.Role{"base": v1alpha1.RoleBase, "mid": v1alpha1.RoleIntermediary, "app": v1alpha1.RoleApplication}
	if diff := cmp.Diff(want, roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

// TestInstallingItBuildsNothing: images that are there already are taken on.
func TestInstallingItBuildsNothing(t *testing.T) {
	w := newWorld(t)
	base := w.push("base:1", "base one")
	w.push("app:1", "app one")
	proven := w.push("proven:1", "proven one", w.image("base@"+string(base)), string(base))
	w.create(w.followed("base", "base:1"), w.produced("app", "app:1", "base"), w.produced("proven", "proven:1", "base"), w.deployment("app", "app:1"))
	w.start(0)

	w.waitReady("app", v1alpha1.ReasonBuiltFromUnknown)
	l := w.waitReady("proven", v1alpha1.ReasonUpToDate)
	if current(l) != proven || l.Status.Current.BuiltFrom[0].Digest != base {
		t.Errorf("built from is not proven by the annotation: %s", describe(l))
	}

	// When the base moves, nobody knows from which source to build.
	w.push("base:1", "base two")
	w.check("base")
	w.waitReady("app", v1alpha1.ReasonSourceUnknown)
	w.waitReady("proven", v1alpha1.ReasonSourceUnknown)
	if n := w.runCount(); n != 0 {
		t.Errorf("%d runs were created, want none", n)
	}
	if image := w.imageOf("app"); image != w.image("app:1") {
		t.Errorf("the workload was moved to %s", image)
	}

	// A person may say that the template is the source.
	w.edit("app", func(l *v1alpha1.ImageLineage) {
		l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "1"}
	})
	w.waitReady("app", v1alpha1.ReasonUpToDate)
}

func TestAReleaseByHandIsNeverUndone(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	w.waitRolledOut(w.shows("base:1"))

	release := w.push("app:1", "a release by the team's own CI")
	w.check("app")
	w.waitFor("app", "on the release", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == release && ready(l) == v1alpha1.ReasonBuiltFromUnknown && l.Status.Rollout.Summary == "1/1"
	})
	if want := w.image("app:1") + "@" + string(release); w.imageOf("app") != want {
		t.Errorf("the Deployment runs %s, want %s", w.imageOf("app"), want)
	}

	w.push("base:1", "base two")
	w.check("base")
	w.waitReady("mid", v1alpha1.ReasonUpToDate)
	w.waitReady("app", v1alpha1.ReasonSourceUnknown)
	if got := w.shows("app:1"); got != release {
		t.Errorf("the tag shows %s, want the release %s", got, release)
	}
}

func TestATagThatVanishedIsPutBack(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	before := current(w.waitRolledOut(w.shows("base:1")))
	w.untag("app:1")
	w.check("app")
	err := eventually(t.Context(), func(context.Context) (bool, error) { return w.shows("app:1") == before, nil })
	if err != nil {
		t.Fatalf("the tag did not come back: %s", describe(w.lineage("app")))
	}
	if n := w.runCount(); n != 2 {
		t.Errorf("%d runs, want the first 2 only", n)
	}
}

func TestTrackedAndImplicitParents(t *testing.T) {
	w := newWorld(t)
	base, builder := w.push("base:1", "base one"), w.push("builder:1", "builder one")
	w.push("report:1", "report", w.image("base:1"), string(base))
	w.create(w.followed("base", "base:1"), w.tracked("report", "report:1", "base"), w.produced("app", "app:1", "base", "builder:1"))
	w.start(0)
	w.waitReady("report", v1alpha1.ReasonUpToDate)
	l := w.waitReady("app", v1alpha1.ReasonUpToDate)
	if got := l.Status.Current.BuiltFrom[1].Digest; got != builder {
		t.Errorf("built with builder %s, want %s", got, builder)
	}

	builder = w.push("builder:1", "builder two")
	w.check("app")
	w.waitFor("app", "built with the new builder", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && l.Status.Current.BuiltFrom[1].Digest == builder
	})
	w.push("base:1", "base two")
	w.check("base")
	l = w.waitReady("report", v1alpha1.ReasonOutdatedUpstream)
	if l.Status.OutdatedSince == nil {
		t.Error("a tracked image that is behind does not say since when")
	}
}

func TestSuspendedLineagesEndTheirRunUnpublished(t *testing.T) {
	w := newWorld(t)
	w.chain()
	w.start(0)
	before := current(w.waitRolledOut(w.shows("base:1")))
	w.edit("app", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
	w.waitReady("app", v1alpha1.ReasonHeldSuspended)
	moved := w.push("base:1", "base two")
	w.check("base")
	w.waitFor("mid", "rebuilt", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && l.Status.Current.Roots[0].Digest == moved
	})
	w.waitFor("app", "behind, and saying so", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonHeldSuspended && l.Status.OutdatedSince != nil && current(l) == before
	})
	w.edit("app", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
	w.waitRolledOut(moved)
}
