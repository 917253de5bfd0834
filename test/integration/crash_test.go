// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// maxEffects is more than a clean cascade of this test takes; the loop over them
// ends when one was not killed.
const maxEffects = 100

// TestKilledAfterEveryEffect: a cascade takes k effects (runs created, images
// published, statuses and workloads written). For each of them, the operator is
// killed right after it, without learning that it happened, and started again.
// The end is the same every time, and so is every run and every patch on the way.
func TestKilledAfterEveryEffect(t *testing.T) {
	clean, effects := cascade(t, 0)
	t.Logf("a clean cascade has %d effects: %s", len(effects), strings.Join(effects, ", "))
	for k := 1; k <= maxEffects; k++ {
		survived := false
		t.Run(fmt.Sprintf("killed after effect %d", k), func(t *testing.T) {
			got, done := cascade(t, k)
			survived = len(done) < k
			if diff := cmp.Diff(clean, got); diff != "" {
				t.Errorf("killed after %v (-clean +killed):\n%s", done[len(done)-1], diff)
			}
		})
		if survived {
			t.Logf("the cascade ended before effect %d", k)
			return
		}
	}
	t.Errorf("more than %d effects", maxEffects)
}

// end is what a cascade leaves: what is compared between one that ran through and
// one that was killed. Names hold UIDs, so runs are told by what they are made of.
type end struct {
	// Runs are NAME NUMBER/ATTEMPT REASONS, sorted.
	Runs []string
	// Revisions by lineage, as NUMBER ORIGIN DIGEST.
	Revisions map[string][]string
	// Ready reasons by lineage.
	Ready map[string]string
	// Tags by name.
	Tags map[string]v1alpha1.Digest
	// Image of the Deployment without the registry, and how often its template
	// was written.
	Image      string
	Generation int64
}

// cascade moves a base once, and kills the operator after so many effects of that.
func cascade(t *testing.T, kill int) (end, []string) {
	t.Helper()
	w := newWorld(t)
	w.chain()
	before := w.start(0)
	w.waitRolledOut(w.shows("base:1"))
	before.stop()

	moved := w.push("base:1", "base two")
	mortal := w.start(kill)
	if kill > 0 {
		w.waitDeadOrDone(mortal, moved)
		mortal.stop()
		w.start(0)
	}
	w.waitRolledOut(moved)
	w.waitReady("mid", v1alpha1.ReasonUpToDate)
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	return w.ended(), mortal.life.done()
}

func (w *world) waitDeadOrDone(p *process, moved v1alpha1.Digest) {
	w.t.Helper()
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		l := w.lineage("app")
		rolledOut := ready(l) == v1alpha1.ReasonUpToDate && l.Status.Current.Roots[0].Digest == moved && l.Status.Rollout.Summary == "1/1"
		return p.life.killed() || rolledOut, nil
	})
	if err != nil {
		w.t.Fatalf("neither killed nor done: %s", describe(w.lineage("app")))
	}
}

func (w *world) ended() end {
	w.t.Helper()
	e := end{Revisions: map[string][]string{}, Ready: map[string]string{}, Tags: map[string]v1alpha1.Digest{}}
	runs := pipelineRuns()
	if err := admin.List(w.t.Context(), runs, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		notes := run.GetAnnotations()
		lineage := run.GetLabels()[v1alpha1.LineageLabel]
		e.Runs = append(e.Runs, fmt.Sprintf("%s %s/%s %s", lineage, notes[v1alpha1.NumberAnnotation], notes[v1alpha1.AttemptAnnotation], notes[v1alpha1.ReasonsAnnotation]))
		w.checkName(run.GetName(), lineage, notes)
	}
	slices.Sort(e.Runs)
	for _, name := range []string{"base", "mid", "app"} {
		l := w.lineage(name)
		for _, r := range l.Status.History {
			e.Revisions[name] = append(e.Revisions[name], fmt.Sprintf("%d %s", r.Revision, r.Origin))
		}
		e.Ready[name] = ready(l)
		if tag := w.shows(name + ":1"); tag != current(l) {
			w.t.Errorf("%s: the tag shows %s, current is %s", name, tag, current(l))
		}
	}
	image := w.imageOf("app")
	e.Image = image[strings.Index(image, "/"):strings.Index(image, "@")]
	if !strings.HasSuffix(image, string(current(w.lineage("app")))) {
		w.t.Errorf("the Deployment runs %s, current is %s", image, current(w.lineage("app")))
	}
	e.Generation = w.generationOf("app")
	return e
}

// checkName: a run's name is a function of what it is made of.
func (w *world) checkName(name, lineage string, notes map[string]string) {
	w.t.Helper()
	var number, attempt int64
	if _, err := fmt.Sscan(notes[v1alpha1.NumberAnnotation]+" "+notes[v1alpha1.AttemptAnnotation], &number, &attempt); err != nil {
		w.t.Errorf("run %s: %v", name, err)
	}
	want := plan.RunName(lineage, w.lineage(lineage).UID, number, notes[v1alpha1.InputsAnnotation], attempt)
	if name != want {
		w.t.Errorf("run %s of %s should be named %s", name, lineage, want)
	}
}
