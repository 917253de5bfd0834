// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var (
	editRuns    = rbacv1.PolicyRule{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: []string{"get", "create", "update"}}
	patchStatus = rbacv1.PolicyRule{APIGroups: []string{"imagelineage.dev"}, Resources: []string{"imagelineages/status"}, Verbs: []string{"patch"}}
)

// TestRunsAreTheOperators: nobody may make a run that claims to be a lineage's, or
// change what one says, with nothing but the right to edit runs.
func TestRunsAreTheOperators(t *testing.T) {
	claim := func(run *unstructured.Unstructured) {
		run.SetLabels(map[string]string{v1alpha1.LineageUIDLabel: "somebodys"})
		run.SetAnnotations(map[string]string{v1alpha1.ExpectedAnnotation: v1alpha1.ExpectedAbsent, "team.example.com/note": "one"})
	}
	tests := map[string]struct {
		rights []rbacv1.PolicyRule
		before func(*unstructured.Unstructured) // nil creates
		change func(*unstructured.Unstructured)
		want   bool
	}{
		"a run of one's own":                      {change: func(*unstructured.Unstructured) {}, want: true},
		"a run that claims to be a lineage's":     {change: claim},
		"the operator's run, by its right":        {rights: []rbacv1.PolicyRule{patchStatus}, change: claim, want: true},
		"a label of one's own on a lineage's run": {before: claim, change: func(run *unstructured.Unstructured) { run.SetLabels(with(run.GetLabels(), "team", "shop")) }, want: true},
		"another label of ours": {before: claim, change: func(run *unstructured.Unstructured) {
			run.SetLabels(with(run.GetLabels(), v1alpha1.LineageUIDLabel, "x"))
		}},
		"a label of ours taken away": {before: claim, change: func(run *unstructured.Unstructured) { run.SetLabels(nil) }},
		"another annotation of ours": {before: claim, change: func(run *unstructured.Unstructured) {
			run.SetAnnotations(with(run.GetAnnotations(), v1alpha1.ExpectedAnnotation, "x"))
		}},
		"an annotation of ours added": {before: claim, change: func(run *unstructured.Unstructured) {
			run.SetAnnotations(with(run.GetAnnotations(), v1alpha1.NumberAnnotation, "9"))
		}},
		"an annotation of ours taken away": {before: claim, change: func(run *unstructured.Unstructured) {
			run.SetAnnotations(map[string]string{"team.example.com/note": "one"})
		}},
		"a label of ours on a run of one's own": {before: func(*unstructured.Unstructured) {}, change: claim},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t)
			user, err := newUser(t.Context(), namespace, namespace, append(tc.rights, editRuns))
			if err != nil {
				t.Fatal(err)
			}
			run := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
				"spec": map[string]any{"pipelineRef": map[string]any{"name": "build"}},
			}}
			run.SetNamespace(namespace)
			run.SetName("run")
			write := func(ctx context.Context) error { return user.Create(ctx, run) }
			if tc.before != nil {
				tc.before(run)
				if err := admin.Create(t.Context(), run); err != nil {
					t.Fatal(err)
				}
				write = func(ctx context.Context) error { return user.Update(ctx, run, &client.UpdateOptions{}) }
			}
			tc.change(run)
			err = write(t.Context())
			if err != nil && !strings.Contains(err.Error(), "are the operator's") {
				t.Fatalf("refused, and not by the policy: %v", err)
			}
			if got := err == nil; got != tc.want {
				t.Errorf("let through %v, want %v: %v", got, tc.want, err)
			}
		})
	}
}

func with(values map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range values {
		if k != key {
			out[k] = v
		}
	}
	return out
}
