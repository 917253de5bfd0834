// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// runThat is a run of a lineage in some state; an empty state is one that has not begun.
func runThat(name string, succeeded corev1.ConditionStatus, labels map[string]string) *pipelinev1.PipelineRun {
	run := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}}
	if succeeded != "" {
		run.Status.Status = duckv1.Status{Conditions: duckv1.Conditions{{Type: apis.ConditionSucceeded, Status: succeeded}}}
	}
	return run
}

func TestListLive(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{v1alpha1.LineageUIDLabel: "uid"}
	objects := []client.Object{
		runThat("not-begun", "", ours), runThat("running", corev1.ConditionUnknown, ours),
		runThat("failed", corev1.ConditionFalse, ours), runThat("succeeded", corev1.ConditionTrue, ours),
		runThat("somebody-elses", corev1.ConditionUnknown, nil),
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	got, err := ListLive(context.Background(), c)
	want := []types.NamespacedName{{Namespace: "shop", Name: "not-begun"}, {Namespace: "shop", Name: "running"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("live runs, error %v (-want +got):\n%s", err, diff)
	}

	// Deleting twice is deleting.
	runs := NewRuns(c, nil)
	for range 2 {
		if err := runs.Delete(context.Background(), "shop", "running"); err != nil {
			t.Error(err)
		}
	}
	if got, _ = ListLive(context.Background(), c); len(got) != 1 {
		t.Errorf("live runs after one was deleted: %v", got)
	}
}
