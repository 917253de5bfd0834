// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// builtDaily makes a produced lineage that is built anew every day.
func (w *world) builtDaily(name, image, parent string) *v1alpha1.ImageLineage {
	l := w.produced(name, image, parent)
	l.Spec.Build.RebuildEvery = new(v1alpha1.Duration("24h"))
	l.Spec.Build.PipelineRun.Spec = runtime.RawExtension{Raw: []byte(
		`{"pipelineRef": {"name": "build"}, "params": [
			{"name": "BASE", "value": "$(lineage.from.p0.reference)"},
			{"name": "IMAGE", "value": "$(lineage.output)"},
			{"name": "NO_CACHE", "value": "$(lineage.noCache)"}]}`,
	)}
	return l
}

// whyBuilt tells of a lineage's runs why each was made, and whether without a cache.
func (w *world) whyBuilt(lineage string) map[string]int {
	w.t.Helper()
	runs := pipelineRuns()
	if err := admin.List(w.t.Context(), runs, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: lineage}); err != nil {
		w.t.Fatal(err)
	}
	counted := map[string]int{}
	for i := range runs.Items {
		counted[runs.Items[i].GetAnnotations()[v1alpha1.ReasonsAnnotation]+" noCache="+paramsOf(&runs.Items[i])["NO_CACHE"]]++
	}
	return counted
}

func (w *world) wantBuilt(lineage string, want map[string]int) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.whyBuilt(lineage)); diff != "" {
		w.t.Errorf("runs of %s (-want +got):\n%s", lineage, diff)
	}
}

// waitRevision waits until a revision is current, and nothing else goes on.
func (w *world) waitRevision(name string, n int64, outcome v1alpha1.RunOutcome) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, "at rest with another revision, "+string(outcome), func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Current != nil && l.Status.Current.Revision.Revision == n && l.Status.Run.Outcome == outcome && ready(l) == v1alpha1.ReasonUpToDate
	})
}

func TestImagesAreBuiltAnewBecauseOfTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("base:1", "base one")
	w.create(
		w.followed("base", "base:1"), w.builtDaily("mid", "mid:1", "base"), w.builtDaily("app", "app:1", "mid"),
		w.deployment("app", "app:1"),
	)
	w.start(0)
	w.waitRolledOut(w.shows("base:1"))
	mid, app := w.lineage("mid"), w.lineage("app")
	image, generation := w.shows("app:1"), w.generationOf("app")

	// The same layers, under another digest: nothing is published, and children are built
	// for themselves.
	w.tekton.behave("mid", builds.labelled("tuesday"))
	w.tekton.behave("app", builds.labelled("tuesday"))
	w.move(25 * time.Hour)
	w.waitRevision("mid", 2, v1alpha1.RunConfirmed)
	confirmed := w.waitRevision("app", 2, v1alpha1.RunConfirmed)
	if w.shows("mid:1") != current(mid) || w.shows("app:1") != image || current(confirmed) != current(app) || w.generationOf("app") != generation {
		t.Errorf("something was published: %s", describe(confirmed))
	}
	if run := w.lineage("mid").Status.Run; w.behindRun("mid", run.Name) == current(mid) {
		t.Errorf("run %s made the same digest: the layers were not compared", run.Name)
	}
	w.wantBuilt("mid", map[string]int{"NeverBuilt noCache=false": 1, "Periodic noCache=true": 1})
	w.wantBuilt("app", map[string]int{"NeverBuilt noCache=false": 1, "Periodic noCache=true": 1})

	// What was confirmed is not old any more. Other layers are a change, and the child is
	// built once for both reasons.
	w.tekton.behave("mid", builds.of("mid with what is new"))
	w.move(12 * time.Hour)
	w.check("mid")
	w.waitFor("mid", "checked", func(l *v1alpha1.ImageLineage) bool { return l.Status.Handled != nil && l.Status.Handled.Check == "+" })
	w.wantRuns("mid", 2)
	w.move(13 * time.Hour)
	l := w.waitRevision("mid", 3, v1alpha1.RunPublished)
	if w.shows("mid:1") != current(l) || current(l) == current(mid) {
		t.Errorf("what is new was not published: %s", describe(l))
	}
	w.waitFor("app", "rolled out on what is new", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && l.Status.Current.BuiltFrom[0].Digest == w.shows("mid:1")
	})
	w.wantBuilt("app", map[string]int{"NeverBuilt noCache=false": 1, "Periodic noCache=true": 1, "ParentChanged,Periodic noCache=true": 1})
}

// behindRun is what a run pushed.
func (w *world) behindRun(repository, run string) v1alpha1.Digest {
	return w.shows(repository + ":1-" + run[strings.LastIndexByte(run, '-')+1:])
}

// TestASuspendedLineageTellsThatItsImageIsOld: nothing is built until it is resumed.
func TestASuspendedLineageTellsThatItsImageIsOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"), w.builtDaily("mid", "mid:1", "base"))
	w.start(0)
	w.waitRevision("mid", 1, v1alpha1.RunPublished)
	w.edit("mid", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
	w.waitReady("mid", v1alpha1.ReasonHeldSuspended)
	w.move(25 * time.Hour)
	w.waitFor("mid", "telling what is due", func(l *v1alpha1.ImageLineage) bool {
		return strings.Contains(message(l), "a build is due then: the image is of ")
	})
	w.wantRuns("mid", 1)
	w.edit("mid", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
	w.waitRevision("mid", 2, v1alpha1.RunConfirmed)
}
