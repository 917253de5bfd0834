// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

var _ = register(map[string]driver{
	"a run that fails is tried again": {
		cause: func(w *world) { w.rebuildThat(failsWithoutPush) },
		lasts: func(w *world) {
			w.move(50 * time.Second) // the next attempt is due after a minute
			w.firstStays("2/1 Failed", 2)
		},
		cure: func(w *world) {
			w.firstStays("2/1 Failed", 2)
			w.mend(10 * time.Second)
		},
		ends: func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that fails for good needs a person": {
		cause: func(w *world) {
			w.rebuildThat(failsWithoutPush)
			for i, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
				w.waitSaid(v1alpha1.ReasonBuildFailed, []string{fmt.Sprintf("attempt %d of 4", i+2)})
				w.move(wait)
			}
		},
		lasts: func(w *world) {
			w.move(40 * time.Minute) // longer than between any two attempts
			w.firstStays("2/4 Failed", 5)
		},
		cure: func(w *world) {
			w.firstStays("2/4 Failed", 5)
			w.tekton.behave(subject, builds)
			w.rebuild()
		},
		// The oldest of six is deleted.
		ends: func(w *world) { w.rebuilt("2/5 Published", 5) },
	},
	"a run that times out": {
		cause: func(w *world) { w.rebuildThat(timesOut) },
		lasts: func(w *world) { w.firstStays("2/1 Failed", 2) },
		cure:  func(w *world) { w.mend(time.Minute) },
		ends:  func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that Tekton cannot carry out is not tried again": {
		cause: func(w *world) { w.rebuildThat(namesNoTask) },
		lasts: func(w *world) {
			w.move(40 * time.Minute)
			w.firstStays("2/1 Invalid", 2)
		},
		cure: func(w *world) {
			w.firstStays("2/1 Invalid", 2)
			w.tekton.behave(subject, builds)
			w.rebuild()
		},
		ends: func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that a person cancels stays cancelled": {
		cause: func(w *world) { w.patchRun(w.building(), `{"spec": {"status": "Cancelled"}}`) },
		lasts: func(w *world) {
			w.tekton.behave(subject, builds)
			w.move(40 * time.Minute)
			w.firstStays("2/1 Cancelled", 2)
		},
		cure: func(w *world) {
			w.firstStays("2/1 Cancelled", 2)
			w.rebuild()
		},
		ends: func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that a person deletes is made again": {
		cause: func(w *world) {
			w.deleteRun(w.building())
			w.waitInFlight("2/2")
		},
		// The first one is gone; one ended, and one lives.
		lasts: func(w *world) { w.firstStays("2/2 ", 2) },
		cure:  func(w *world) { w.tekton.behave(subject, builds) },
		ends:  func(w *world) { w.rebuilt("2/2 Published", 2) },
	},
	"runs that are deleted again and again need a person": {
		arrange: (*world).base,
		cause: func(w *world) {
			w.tekton.behave(subject, holds)
			w.create(w.produced(subject, "app:1", "base"))
			for attempt := int64(1); attempt <= 4; attempt++ {
				w.waitFor(subject, "at its next attempt", func(l *v1alpha1.ImageLineage) bool {
					return l.Status.Run != nil && l.Status.Run.Attempt == attempt && l.Status.Run.Outcome == ""
				})
				w.deleteRuns(subject)
				w.waitFor(subject, "told that it is lost", func(l *v1alpha1.ImageLineage) bool {
					return l.Status.Run.Attempt > attempt || l.Status.Run.Outcome == v1alpha1.RunLost
				})
				w.move(32 * time.Minute)
			}
		},
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			w.tekton.behave(subject, builds)
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "1"} })
		},
		ends: func(w *world) { w.wantRuns(subject, 1) },
	},
	"a run that is deleted before it was recorded is made again": {
		cause: (*world).deleteUnrecorded,
		lasts: func(w *world) { w.firstStays("2/1 ", 2) },
		cure:  func(w *world) { w.tekton.behave(subject, builds) },
		ends:  func(w *world) { w.rebuilt("2/1 Published", 2) },
	},
	"a run that is edited is not used": {
		cause: func(w *world) {
			w.patchRun(w.building(), `{"metadata": {"annotations": {"`+v1alpha1.NumberAnnotation+`": null}}}`)
		},
		lasts: func(w *world) { w.firstStays("2/1 ", 2) },
		cure: func(w *world) {
			w.tekton.behave(subject, builds.of("of an edited run"))
			w.waitSaid(v1alpha1.ReasonOutputRefused, []string{"were edited, so its image is not used", "attempt 2 of 4"})
			w.firstStays("2/1 Refused", 2)
			w.mend(time.Minute)
		},
		ends: func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that pushes and then fails: its image is never used": {
		cause: func(w *world) { w.rebuildThat(pushesThenFails.of("of a failed run")) },
		lasts: func(w *world) {
			w.firstStays("2/1 Failed", 2)
			if w.pushedBy(w.lastRun()) == "" {
				w.t.Error("the run has pushed nothing")
			}
		},
		// With other inputs it is tried at once.
		cure: func(w *world) {
			w.tekton.behave(subject, builds)
			w.moveBase("base three")
		},
		ends: func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that reports a digest which the registry does not have": {
		cause: func(w *world) { w.rebuildThat(reportsWrongDigest.of("of a run that lies")) },
		lasts: func(w *world) { w.firstStays("2/1 Refused", 2) },
		cure:  func(w *world) { w.mend(time.Minute) },
		ends:  func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that reports no digest: the registry's word counts": {
		cause: func(w *world) { w.rebuildThat(reportsNoDigest) },
		ends:  func(w *world) { w.rebuilt("2/1 Published", 2) },
	},
	"a run that pushes nothing": {
		cause: func(w *world) { w.rebuildThat(pushesNothing); w.outputLate() },
		lasts: func(w *world) { w.firstStays("2/1 Refused", 2) },
		cure:  func(w *world) { w.mend(time.Minute) },
		ends:  func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that pushes elsewhere than asked": {
		cause: func(w *world) { w.rebuildThat(pushesElsewhere); w.outputLate() },
		lasts: func(w *world) { w.firstStays("2/1 Refused", 2) },
		cure:  func(w *world) { w.mend(time.Minute) },
		ends:  func(w *world) { w.rebuilt("2/2 Published", 3) },
	},
	"a run that succeeds after its lineage was suspended": {
		cause: func(w *world) {
			w.building()
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
			w.waitReady(subject, v1alpha1.ReasonHeldSuspended)
			w.tekton.behave(subject, builds)
		},
		lasts: func(w *world) { w.withheld(); w.firstStays("2/1 ", 2) },
		cure: func(w *world) {
			w.firstStays("2/1 ", 2)
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
		},
		ends: func(w *world) { w.rebuilt("2/1 Published", 2) },
	},
	// The controller of Tekton is down for the subject only: the neighbour has to cascade.
})

// rebuildThat moves the base, and says what becomes of the subject's run for it.
func (w *world) rebuildThat(b behaviour) {
	w.t.Helper()
	w.tekton.behave(subject, b)
	w.moveBase("base two")
}

// building moves the base, and waits until the subject's run for it is recorded. Tekton
// does nothing about it.
func (w *world) building() *unstructured.Unstructured {
	w.t.Helper()
	w.rebuildThat(holds)
	w.waitInFlight("2/1")
	return w.lastRun()
}

func (w *world) waitInFlight(attempt string) {
	w.t.Helper()
	w.waitFor(subject, "with run "+attempt+" in flight", func(l *v1alpha1.ImageLineage) bool {
		return plan.InFlight(l.Status.Run) && strings.HasPrefix(lastOf(l), attempt+" ")
	})
}

// lastOf is the last run of a lineage, as NUMBER/ATTEMPT OUTCOME.
func lastOf(l *v1alpha1.ImageLineage) string {
	run := l.Status.Run
	return fmt.Sprintf("%d/%d %s", run.Number, run.Attempt, run.Outcome)
}

// lastRun is the subject's run that the status tells of.
func (w *world) lastRun() *unstructured.Unstructured {
	w.t.Helper()
	run := pipelineRun(w.namespace, w.lineage(subject).Status.Run.Name, "")
	if err := admin.Get(w.t.Context(), client.ObjectKeyFromObject(run), run); err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) patchRun(run *unstructured.Unstructured, patch string) {
	w.t.Helper()
	if err := admin.Patch(w.t.Context(), run, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deleteRun(run *unstructured.Unstructured) {
	w.t.Helper()
	if err := admin.Delete(w.t.Context(), run); err != nil {
		w.t.Fatal(err)
	}
}

// pushedBy is what a run has pushed to where it should.
func (w *world) pushedBy(run *unstructured.Unstructured) v1alpha1.Digest {
	w.t.Helper()
	return w.shows(strings.TrimPrefix(run.GetAnnotations()[v1alpha1.OutputAnnotation], w.host+"/"))
}

// mend has the subject's runs succeed, after the time when it is tried again.
func (w *world) mend(after time.Duration) {
	w.t.Helper()
	w.tekton.behave(subject, builds)
	w.move(after)
}

// rebuild asks for a build, as a person would.
func (w *world) rebuild() {
	w.t.Helper()
	w.edit(subject, func(l *v1alpha1.ImageLineage) {
		l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "again"}
	})
}

// outputLate waits until a run's image is missed, and then for as long as a registry may
// take to show it.
func (w *world) outputLate() {
	w.t.Helper()
	w.waitSaid(v1alpha1.ReasonPublishing, []string{"the registry does not show its image"})
	w.move(time.Minute)
}

// wantLast checks the last run, as NUMBER/ATTEMPT OUTCOME.
func (w *world) wantLast(want string) {
	w.t.Helper()
	if l := w.lineage(subject); lastOf(l) != want {
		w.t.Errorf("the last run is %q, want %q: %s", lastOf(l), want, describe(l))
	}
}

// wantRun checks the last run, and how many there are.
func (w *world) wantRun(last string, runs int) {
	w.t.Helper()
	w.wantLast(last)
	w.wantRuns(subject, runs)
}

// firstStays checks that the tag and the Deployment are as the first build left them and
// were never anything else, whatever the last run was.
func (w *world) firstStays(last string, runs int) {
	w.t.Helper()
	w.wantRun(last, runs)
	w.wantPublished(1)
	l := w.lineage(subject)
	if tag := w.shows("app:1"); tag != current(l) || l.Status.Current.Revision.Revision != 1 {
		w.t.Errorf("the tag shows %s, want the first image: %s", tag, describe(l))
	}
	if image := w.imageOf(subject); image != w.image("app:1") {
		w.t.Errorf("the Deployment was moved to %s", image)
	}
}

// rebuilt waits until the subject is rolled out on the present base, and checks that the
// tag was moved once, to what the last run has pushed.
func (w *world) rebuilt(last string, runs int) {
	w.t.Helper()
	l := w.waitRolledOut(w.shows("base:1"))
	w.waitFor(subject, fmt.Sprintf("left with %d runs", runs), func(*v1alpha1.ImageLineage) bool { return w.runsOf(subject) <= runs })
	w.wantRun(last, runs)
	w.wantPublished(2)
	pushed := w.pushedBy(w.lastRun())
	if tag := w.shows("app:1"); tag != pushed || tag != current(l) {
		w.t.Errorf("the tag shows %s, want %s: %s", tag, pushed, describe(l))
	}
	if got := l.Status.Current.Run; got != l.Status.Run.Name {
		w.t.Errorf("the image is that of run %s, want %s", got, l.Status.Run.Name)
	}
}

// deleteUnrecorded kills the operator when it has made a run, and deletes that run
// before the next operator hears of it.
func (w *world) deleteUnrecorded() {
	w.t.Helper()
	w.processes[0].stop()
	w.tekton.behave(subject, holds)
	w.push("base:1", "base two")
	mortal := w.startUntil("create " + subject)
	if err := eventually(w.t.Context(), func(context.Context) (bool, error) { return mortal.life.killed(), nil }); err != nil {
		w.t.Fatalf("no run was made: %s", describe(w.lineage(subject)))
	}
	mortal.stop()
	w.wantLast("1/1 Published")
	deleted := w.liveRun()
	w.deleteRun(deleted)

	w.start(0)
	w.waitInFlight("2/1")
	// Nobody has used the name.
	if again := w.liveRun(); again.GetName() != deleted.GetName() || again.GetUID() == deleted.GetUID() {
		w.t.Errorf("run %s (%s) is in flight, want another %s", again.GetName(), again.GetUID(), deleted.GetName())
	}
}

// liveRun is the only run of the subject that has not ended.
func (w *world) liveRun() *unstructured.Unstructured {
	w.t.Helper()
	runs := pipelineRuns()
	if err := admin.List(w.t.Context(), runs, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: subject}); err != nil {
		w.t.Fatal(err)
	}
	var live []*unstructured.Unstructured
	for i := range runs.Items {
		if !ended(&runs.Items[i]) {
			live = append(live, &runs.Items[i])
		}
	}
	if len(live) != 1 {
		w.t.Fatalf("%d runs live, want one: %s", len(live), describe(w.lineage(subject)))
	}
	return live[0]
}

// deleteRuns deletes every run of a lineage, as a person would.
func (w *world) deleteRuns(lineage string) {
	w.t.Helper()
	found := pipelineRuns()
	if err := admin.List(w.t.Context(), found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: lineage}); err != nil {
		w.t.Fatal(err)
	}
	for i := range found.Items {
		if err := admin.Delete(w.t.Context(), &found.Items[i]); client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
	}
}
