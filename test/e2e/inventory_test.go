//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// inventory counts the runs of each lineage, as "run web", and the pod templates that
// each workload ever had, as "template Deployment/web": its ReplicaSets or
// ControllerRevisions.
type inventory map[string]int

func takeInventory(ctx context.Context) (inventory, error) {
	counted := inventory{}
	runs, err := allRuns(ctx)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		counted["run "+runs[i].GetLabels()[v1alpha1.LineageLabel]]++
	}
	sets, revisions := &appsv1.ReplicaSetList{}, &appsv1.ControllerRevisionList{}
	for _, list := range []client.ObjectList{sets, revisions} {
		if err := live.Client.List(ctx, list, client.InNamespace(live.Namespace("shop"))); err != nil {
			return nil, err
		}
	}
	for i := range sets.Items {
		counted.countTemplate(&sets.Items[i])
	}
	for i := range revisions.Items {
		counted.countTemplate(&revisions.Items[i])
	}
	return counted, nil
}

func (counted inventory) countTemplate(of client.Object) {
	if owner := metav1.GetControllerOf(of); owner != nil {
		counted["template "+owner.Kind+"/"+owner.Name]++
	}
}

// allRuns are the runs of all lineages of these tests.
func allRuns(ctx context.Context) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	for _, namespace := range append(live.Namespaces(), live.Namespace("guest")) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRunList"})
		if err := live.Client.List(ctx, list, client.InNamespace(namespace), client.HasLabels{v1alpha1.LineageUIDLabel}); err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

func count(t *testing.T) inventory {
	t.Helper()
	counted, err := takeInventory(t.Context())
	must(t, err)
	return counted
}

// added compares what came to an inventory with what should have.
func added(t *testing.T, before inventory, want inventory) {
	t.Helper()
	got := inventory{}
	for what, n := range count(t) {
		if more := n - before[what]; more != 0 {
			got[what] = more
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs and pod templates that were made (-want +got):\n%s", diff)
	}
}

// checkRunsUnique: for one revision number, inputs and attempt there is one run.
func checkRunsUnique(t *testing.T) {
	t.Helper()
	runs, err := allRuns(t.Context())
	must(t, err)
	seen := map[string]string{}
	for i := range runs {
		annotations := runs[i].GetAnnotations()
		key := fmt.Sprintf("%s number %s inputs %s attempt %s", runs[i].GetLabels()[v1alpha1.LineageUIDLabel],
			annotations[v1alpha1.NumberAnnotation], annotations[v1alpha1.InputsAnnotation], annotations[v1alpha1.AttemptAnnotation])
		if other, twice := seen[key]; twice {
			t.Errorf("runs %s and %s are for the same: %s", other, runs[i].GetName(), key)
		}
		seen[key] = runs[i].GetName()
		if annotations[v1alpha1.AttemptAnnotation] != "1" {
			t.Errorf("run %s is attempt %s", runs[i].GetName(), annotations[v1alpha1.AttemptAnnotation])
		}
	}
}

// templates are the generation and images of all workloads, to see that nobody touched
// them.
func templates(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}} {
		must(t, live.Client.List(t.Context(), list, client.InNamespace(live.Namespace("shop"))))
		maps.Copy(state, templatesOf(list))
	}
	return state
}

func templatesOf(list client.ObjectList) map[string]string {
	state := map[string]string{}
	note := func(kind string, o client.Object, image string) {
		state[kind+"/"+o.GetName()] = fmt.Sprintf("%d %s", o.GetGeneration(), image)
	}
	switch found := list.(type) {
	case *appsv1.DeploymentList:
		for i := range found.Items {
			note("deployment", &found.Items[i], found.Items[i].Spec.Template.Spec.Containers[0].Image)
		}
	case *appsv1.StatefulSetList:
		for i := range found.Items {
			note("statefulset", &found.Items[i], found.Items[i].Spec.Template.Spec.Containers[0].Image)
		}
	case *appsv1.DaemonSetList:
		for i := range found.Items {
			note("daemonset", &found.Items[i], found.Items[i].Spec.Template.Spec.Containers[0].Image)
		}
	}
	return state
}

// entry is the first entry of the journal of a kind, after a time.
func entry(after time.Time, kind shop.EntryKind, object string) (shop.Entry, error) {
	for _, e := range journal.Since(after) {
		if e.Kind == kind && e.Object == object {
			return e, nil
		}
	}
	return shop.Entry{}, fmt.Errorf("the journal has no %q of %s", kind, object)
}
