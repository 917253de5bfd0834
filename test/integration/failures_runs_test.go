// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"Tekton's controller is down for the whole cascade": {
		cause: func(w *world) {
			w.building()
			w.move(3 * time.Minute)
		},
		lasts: func(w *world) { w.firstStays("2/1 ", 2) },
		cure:  func(w *world) { w.tekton.behave(subject, builds) },
		ends:  func(w *world) { w.rebuilt("2/1 Published", 2) },
	},
	"a quota that lets no run in": {
		noBuilds: true,
		cause: func(w *world) {
			w.quota(w.runCount())
			w.moveBase("base two")
		},
		lasts: func(w *world) { w.othersGoOn(); w.firstStays("1/1 Published", 1) },
		cure: func(w *world) {
			w.quota(100)
			w.move(time.Minute)
		},
		ends: func(w *world) { w.rebuilt("2/1 Published", 2) },
	},
	"Tekton is not installed, and comes later": {
		alone: true, noBuilds: true,
		arrange: (*world).base,
		cause: func(w *world) {
			w.processes[0].stop()
			w.removeTekton()
			w.create(w.produced(subject, "app:1", "base"), w.deployment(subject, "app:1"))
			w.start(0)
		},
		lasts: (*world).othersGoOn,
		cure:  func(w *world) { w.installTekton(w.t.Context()) },
		ends: func(w *world) {
			w.waitRolledOut(w.shows("base:1"))
			w.wantRun("1/1 Published", 1)
		},
	},
	"Tekton's CRDs are removed while a run is in flight": {
		alone: true, noBuilds: true,
		cause: func(w *world) { w.building(); w.removeTekton() },
		lasts: func(w *world) {
			w.othersGoOn()
			// That the run is not seen says nothing of it.
			w.wantLast("2/1 ")
		},
		cure: func(w *world) {
			w.tekton.behave(subject, builds)
			w.installTekton(w.t.Context())
		},
		// The runs went with their kind.
		ends: func(w *world) { w.rebuilt("2/2 Published", 1) },
	},
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

// othersGoOn checks that what needs no run goes on: a followed image that moves reaches
// its Deployment.
func (w *world) othersGoOn() {
	w.t.Helper()
	w.push("plain:1", "plain one")
	l := w.followed("plain", "plain:1")
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	w.create(l, w.deployment("plain", "plain:1"))
	w.waitReady("plain", v1alpha1.ReasonUpToDate)
	moved := w.push("plain:1", "plain two")
	w.check("plain")
	w.waitFor("plain", "rolled out", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && current(l) == moved && l.Status.Rollout.Summary == "1/1"
	})
	w.waitImages("plain", map[string]string{"app": "plain:1"})
}

// quota lets so many runs into the namespace, and returns when it does. What is in use is
// counted here: the controller that would count it is not there.
func (w *world) quota(hard int) {
	w.t.Helper()
	const counted = "count/pipelineruns.tekton.dev"
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "runs"}}
	limit := corev1.ResourceList{counted: *resource.NewQuantity(int64(hard), resource.DecimalSI)}
	used := corev1.ResourceList{counted: *resource.NewQuantity(int64(w.runCount()), resource.DecimalSI)}
	if err := admin.Create(w.t.Context(), quota); client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
	before := quota.DeepCopy()
	quota.Spec.Hard = limit
	if err := admin.Patch(w.t.Context(), quota, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	before = quota.DeepCopy()
	quota.Status = corev1.ResourceQuotaStatus{Hard: limit, Used: used}
	if err := admin.Status().Patch(w.t.Context(), quota, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	full := w.runCount() >= hard
	probe := pipelineRun(w.namespace, "probe", "build")
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		return apierrors.IsForbidden(admin.Create(ctx, probe.DeepCopy(), client.DryRunAll)) == full, nil
	})
	if err != nil {
		w.t.Fatalf("the quota does not take effect: %v", err)
	}
}

// runsCRD is the kind by which Tekton is known to be there.
const runsCRD = "pipelineruns.tekton.dev"

// removeTekton deletes the kind of runs, and with it all runs there are, until the test
// ends at the latest. It returns when nothing serves them any more.
func (w *world) removeTekton() {
	w.t.Helper()
	w.t.Cleanup(func() { w.installTekton(context.Background()) })
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: runsCRD}}
	if err := admin.Delete(w.t.Context(), crd); err != nil {
		w.t.Fatal(err)
	}
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		gone := apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(crd), crd))
		return gone && apierrors.IsNotFound(admin.List(ctx, pipelineRuns())), nil
	})
	if err != nil {
		w.t.Fatalf("the CRD does not go: %+v", crd.Status)
	}
}

// installTekton puts the kind of runs back, and returns when it is served.
func (w *world) installTekton(ctx context.Context) {
	w.t.Helper()
	crds, err := tektonCRDs()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, crd := range crds {
		if crd.Name != runsCRD {
			continue
		}
		if err := admin.Create(ctx, crd); client.IgnoreAlreadyExists(err) != nil {
			w.t.Fatal(err)
		}
	}
	err = eventually(ctx, func(ctx context.Context) (bool, error) { return admin.List(ctx, pipelineRuns()) == nil, nil })
	if err != nil {
		w.t.Fatal("runs are not served")
	}
}
