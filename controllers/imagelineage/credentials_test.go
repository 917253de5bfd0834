// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
)

func TestCredentialSources(t *testing.T) {
	pull := []v1alpha1.SecretReference{{Name: "one"}, {Name: "two"}}
	push := &v1alpha1.Build{PushSecrets: []v1alpha1.SecretReference{{Name: "push"}}}
	reading := registry.CredentialSource{Namespace: "shop", Secrets: []string{"one", "two"}, ServiceAccount: "builder"}
	tests := map[string]struct {
		spec               v1alpha1.ImageLineageSpec
		wantPull, wantPush registry.CredentialSource
	}{
		"none": {
			wantPull: registry.CredentialSource{Namespace: "shop", Secrets: []string{}},
			wantPush: registry.CredentialSource{Namespace: "shop", Secrets: []string{}},
		},
		"what reads publishes, too": {
			spec:     v1alpha1.ImageLineageSpec{PullSecrets: pull, ServiceAccountName: "builder", Build: &v1alpha1.Build{}},
			wantPull: reading, wantPush: reading,
		},
		"push secrets publish alone": {
			spec:     v1alpha1.ImageLineageSpec{PullSecrets: pull, ServiceAccountName: "builder", Build: push},
			wantPull: reading,
			wantPush: registry.CredentialSource{Namespace: "shop", Secrets: []string{"push"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: tt.spec}
			if diff := cmp.Diff(tt.wantPull, pullCredentials(l)); diff != "" {
				t.Errorf("to pull (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantPush, pushCredentials(l)); diff != "" {
				t.Errorf("to push (-want +got):\n%s", diff)
			}
		})
	}
}
