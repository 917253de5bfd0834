// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// answers are what a reader says instead of what it holds, and how often it was
// asked.
type answers struct {
	get, list error
	asked     int
}

func readerOf(t *testing.T, a *answers, objects ...client.Object) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	held := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return interceptor.NewClient(held, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			a.asked++
			if a.get != nil {
				return a.get
			}
			return c.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			a.asked++
			if a.list != nil {
				return a.list
			}
			return c.List(ctx, list, opts...)
		},
	})
}

func TestListFindsRunsByTheUID(t *testing.T) {
	mine, old, elsewhere := aRun(t), aRun(t), aRun(t)
	mine.Labels = map[string]string{v1alpha1.LineageUIDLabel: "u-1"}
	old.Name, old.Labels = "web-old", map[string]string{v1alpha1.LineageUIDLabel: "u-0"}
	elsewhere.Namespace, elsewhere.Labels = "prod", mine.Labels
	runs, err := List(t.Context(), readerOf(t, &answers{}, mine, old, elsewhere), "shop", "u-1", nil)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(runs) != 1 || runs[0].Name != "web-abcdefghij" || runs[0].Number != 4 {
		t.Errorf("List = %+v, want web-abcdefghij of number 4 alone", runs)
	}
}

func TestGet(t *testing.T) {
	tests := map[string]struct {
		answer      error // Instead of the run.
		want        bool
		wantError   bool
		wantMissing bool
	}{
		"the run is there":         {want: true},
		"the run is gone":          {answer: apierrors.NewNotFound(pipelineRuns, "web-abcdefghij")},
		"Tekton is gone":           {answer: notServed("web-abcdefghij"), wantError: true, wantMissing: true},
		"Tekton was never there":   {answer: &meta.NoKindMatchError{}, wantError: true, wantMissing: true},
		"the server has no answer": {answer: apierrors.NewServiceUnavailable("later"), wantError: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run, err := Get(t.Context(), readerOf(t, &answers{get: tc.answer}, aRun(t)), "shop", "web-abcdefghij", nil)
			if (run != nil) != tc.want || run != nil && run.Number != 4 {
				t.Errorf("Get = %+v, want a run: %v", run, tc.want)
			}
			if (err != nil) != tc.wantError || err != nil && !errors.Is(err, tc.answer) || Missing(err) != tc.wantMissing {
				t.Errorf("Get: %v, want an error: %v, that Tekton is missing: %v", err, tc.wantError, tc.wantMissing)
			}
		})
	}
}

func TestOwnerOf(t *testing.T) {
	yes := true
	owner := func(apiVersion, kind string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "web-with-a-long-name", Controller: &yes}}
	}
	label := map[string]string{v1alpha1.LineageLabel: "web"}
	tests := map[string]struct {
		labels map[string]string
		owners []metav1.OwnerReference
		want   string
	}{
		"the owner's name is whole":           {label, owner("imagelineage.dev/v1alpha1", "ImageLineage"), "web-with-a-long-name"},
		"another version of the owner":        {nil, owner("imagelineage.dev/v1", "ImageLineage"), "web-with-a-long-name"},
		"without an owner the label is taken": {label, nil, "web"},
		"an owner of another kind":            {label, owner("apps/v1", "ImageLineage"), "web"},
		"neither":                             {nil, owner("batch/v1", "CronJob"), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := Object()
			run.SetNamespace("shop")
			run.SetLabels(tc.labels)
			run.SetOwnerReferences(tc.owners)
			got, ok := OwnerOf(run)
			if ok != (tc.want != "") || ok && got != (types.NamespacedName{Namespace: "shop", Name: tc.want}) {
				t.Errorf("OwnerOf = %v, %v; want %q", got, ok, tc.want)
			}
		})
	}
}
