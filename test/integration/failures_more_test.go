// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var _ = register(map[string]driver{
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
	"a workload that a policy does not let us change": {
		cause: func(w *world) {
			w.deny("apps", "deployments", "object.metadata.name != 'app' || !object.spec.template.spec.containers[0].image.contains('@')", "no images by digest", w.probeImage)
			w.moveBase("base two")
		},
		lasts: func(w *world) {
			if image := w.imageOf(subject); image != w.image("app:1") {
				w.t.Errorf("the Deployment runs %s", image)
			}
		},
		cure: func(w *world) {
			w.allowAgain("deployments", w.probeImage)
			// The controller of rollouts is woken by any change of its workload; by itself it
			// would come in a minute of real time.
			w.touch(subject)
		},
		ends: func(w *world) { w.waitImages(subject, map[string]string{"app": "app:1"}) },
	},
})

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

// touch writes an annotation on a Deployment.
func (w *world) touch(deployment string) {
	w.t.Helper()
	d := w.readDeployment(deployment)
	err := admin.Patch(w.t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"annotations": {"test.example.com/touched": "true"}}}`)))
	if err != nil {
		w.t.Fatal(err)
	}
}
