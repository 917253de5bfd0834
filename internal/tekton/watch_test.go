// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func TestListFindsRunsByTheUID(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mine, old, elsewhere := aRun(t), aRun(t), aRun(t)
	mine.Labels = map[string]string{v1alpha1.LineageUIDLabel: "u-1"}
	old.Name, old.Labels = "web-old", map[string]string{v1alpha1.LineageUIDLabel: "u-0"}
	elsewhere.Namespace, elsewhere.Labels = "prod", mine.Labels
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(mine, old, elsewhere).Build()
	runs, err := List(t.Context(), reader, "shop", "u-1", nil)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(runs) != 1 || runs[0].Name != "web-abcdefghij" || runs[0].Number != 4 {
		t.Errorf("List = %+v, want web-abcdefghij of number 4 alone", runs)
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
