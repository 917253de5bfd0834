// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func TestAdmits(t *testing.T) {
	selecting := func(labels map[string]string) *v1alpha1.AllowedChildren {
		return &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{
			From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: labels},
		}}
	}
	of := func(from v1alpha1.NamespacesFrom) *v1alpha1.AllowedChildren {
		return &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{From: from}}
	}
	tests := map[string]struct {
		allowed   *v1alpha1.AllowedChildren
		namespace string
		labels    map[string]string
		want      bool
	}{
		"by default the own namespace":              {nil, "platform", nil, true},
		"by default no other namespace":             {nil, "shop", nil, false},
		"Same is the own namespace":                 {of(v1alpha1.NamespacesSame), "platform", nil, true},
		"Same is no other namespace":                {of(v1alpha1.NamespacesSame), "shop", nil, false},
		"All is every namespace":                    {of(v1alpha1.NamespacesAll), "shop", nil, true},
		"Selector admits what it matches":           {selecting(map[string]string{"tier": "apps"}), "shop", map[string]string{"tier": "apps"}, true},
		"Selector refuses what it does not match":   {selecting(map[string]string{"tier": "apps"}), "shop", map[string]string{"tier": "db"}, false},
		"Selector refuses even the own namespace":   {selecting(map[string]string{"tier": "apps"}), "platform", nil, false},
		"an empty Selector matches every namespace": {selecting(nil), "shop", nil, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			parent := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "base"}}
			parent.Spec.AllowedChildren = tc.allowed
			problem := Admits(parent, tc.namespace, tc.labels)
			if got := problem == nil; got != tc.want {
				t.Errorf("admitted %v, want %v: %+v", got, tc.want, problem)
			}
		})
	}
}
