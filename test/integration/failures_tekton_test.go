// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var _ = register(map[string]driver{
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

// othersGoOn checks that what needs no run goes on: a followed image that moves reaches
// its Deployment.
func (w *world) othersGoOn() {
	w.t.Helper()
	w.push("plain:1", "plain one")
	l := w.followed("plain", "plain:1")
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	w.create(l, w.deployment("plain", "plain:1"))
	w.waitRunning("plain", w.shows("plain:1"))
	moved := w.push("plain:1", "plain two")
	w.check("plain")
	w.waitRunning("plain", moved)
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
