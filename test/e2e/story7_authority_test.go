//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

// TestStoryAuthority: nobody gains rights through a lineage.
func TestStoryAuthority(t *testing.T) {
	begin(t)
	const user = "e2e-editor"
	namespace := live.Namespace("shop")
	meta := metav1.ObjectMeta{Name: user, Namespace: namespace}
	must(t, live.Client.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"imagelineage.dev"}, Resources: []string{"imagelineages"}, Verbs: []string{"create", "get"},
	}}}))
	must(t, live.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	acting := rest.CopyConfig(config)
	acting.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	editor, err := client.New(acting, client.Options{Scheme: shop.Scheme()})
	must(t, err)

	followed, produced := sample(t, "followed"), sample(t, "produced")
	// The authorizer hears of a role a moment after it was made.
	until(t, 20*time.Second, "the right to edit lineages", func(ctx context.Context) error {
		return editor.Create(ctx, followed.DeepCopy(), client.DryRunAll)
	})
	err = editor.Create(t.Context(), produced, client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), "you may not create pipelineruns.tekton.dev in namespace "+namespace) {
		t.Errorf("a lineage with a build: want it refused for want of a right, got %v", err)
	}
}

// sample is a lineage of config/samples, in the shop.
func sample(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("../../config/samples/imagelineage_" + name + ".yaml")
	must(t, err)
	objects, err := live.RenderText(string(text), nil)
	must(t, err)
	objects[0].SetNamespace(live.Namespace("shop"))
	objects[0].SetName("e2e-" + name)
	return objects[0]
}
