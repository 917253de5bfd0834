// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// newUser makes a user with the right to edit lineages in a namespace, and these rights
// beside it, and returns a client that acts as this user.
func newUser(ctx context.Context, name, namespace string, rules []rbacv1.PolicyRule) (client.Client, error) {
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Rules: append([]rbacv1.PolicyRule{{
			APIGroups: []string{"imagelineage.dev"},
			Resources: []string{"imagelineages"},
			Verbs:     []string{"get", "create", "update", "patch", "delete"},
		}}, rules...),
	}
	if err := admin.Create(ctx, role); err != nil {
		return nil, err
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	if err := admin.Create(ctx, binding); err != nil {
		return nil, err
	}

	config := rest.CopyConfig(restConfig)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	user, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	// The authorizer reads roles through a cache; all rules of a role come at once.
	return user, eventually(ctx, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Group: "imagelineage.dev", Resource: "imagelineages", Verb: "create",
				},
			},
		}
		err := user.Create(ctx, review)
		return review.Status.Allowed, err
	})
}
