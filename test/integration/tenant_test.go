// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// operatorUser is the operator's ServiceAccount as config/default names it.
const operatorUser = "system:serviceaccount:imagelineage-system:imagelineage-controller-manager"

// TestTheRoleOfATenant: config/tenant lets the operator read what lineages of one namespace
// name, one by one, and nothing elsewhere.
func TestTheRoleOfATenant(t *testing.T) {
	t.Parallel()
	tenant, other := newNamespace(t), newNamespace(t)
	for _, file := range []string{"secrets_reader_role.yaml", "secrets_reader_role_binding.yaml"} {
		objects, err := readYAML(filepath.Join(root, "config/tenant", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			object.SetNamespace(tenant)
			if err := admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
	}
	may := func(ctx context.Context, namespace, verb, resource string) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: operatorUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Resource: resource, Name: "registry",
			},
		}}
		err := admin.Create(ctx, review)
		return review.Status.Allowed, err
	}
	// The authorizer reads roles through a cache.
	if err := eventually(t.Context(), func(ctx context.Context) (bool, error) {
		return may(ctx, tenant, "get", "secrets")
	}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		namespace, verb, resource string
		want                      bool
	}{
		"a Secret of the tenant":              {tenant, "get", "secrets", true},
		"a ServiceAccount of the tenant":      {tenant, "get", "serviceaccounts", true},
		"all Secrets of the tenant":           {tenant, "list", "secrets", false},
		"a change of the tenant's Secret":     {tenant, "update", "secrets", false},
		"a Secret of another namespace":       {other, "get", "secrets", false},
		"a ServiceAccount of another one":     {other, "get", "serviceaccounts", false},
		"all Secrets of the cluster together": {"", "list", "secrets", false},
	} {
		got, err := may(t.Context(), tt.namespace, tt.verb, tt.resource)
		if err != nil || got != tt.want {
			t.Errorf("%s: allowed %v, %v; want %v", name, got, err, tt.want)
		}
	}
}

// TestSecretsAreReadByOneRole: without secrets-reader, which config/tenant/operator leaves
// out, the operator reads no Secret; the Role of a tenant grants the same.
func TestSecretsAreReadByOneRole(t *testing.T) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, pattern := range []string{"config/rbac/*role.yaml", "config/tenant/*role.yaml"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %v", pattern, paths, err)
		}
		for _, path := range paths {
			objects, err := readYAML(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range objects {
				var role rbacv1.ClusterRole
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
					t.Fatal(err)
				}
				if slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
					return slices.Contains(r.Resources, "secrets") || slices.Contains(r.Resources, "serviceaccounts")
				}) {
					rules[object.GetKind()+" "+object.GetName()] = role.Rules
				}
			}
		}
	}
	want := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets", "serviceaccounts"}, Verbs: []string{"get"}}}
	if diff := cmp.Diff(map[string][]rbacv1.PolicyRule{
		"ClusterRole secrets-reader": want, "Role imagelineage-secrets-reader": want,
	}, rules); diff != "" {
		t.Errorf("roles that read Secrets (-want +got):\n%s", diff)
	}
}
