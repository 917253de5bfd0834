//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// apply renders a file of testdata and applies it.
func apply(t *testing.T, file string, given any) {
	t.Helper()
	must(t, shop.Apply(t.Context(), live.Client, rendered(t, file, given)))
}

// rendered renders a file of testdata. given is what the file calls dot.
func rendered(t *testing.T, file string, given any) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	must(t, err)
	objects, err := live.RenderText(string(text), given)
	must(t, err)
	return objects
}

// TestStoryParentNotAllowed: a parent refuses a namespace until it is admitted.
func TestStoryParentNotAllowed(t *testing.T) {
	begin(t)
	apply(t, "guest.yaml", nil)
	pipeline, err := live.Render("pipeline.yaml", live.Namespace("guest"))
	must(t, err)
	must(t, shop.Apply(t.Context(), live.Client, pipeline))
	apply(t, "guest-lineage.yaml", nil)

	until(t, answerLimit, "the refusal", func(ctx context.Context) error {
		guest, err := live.Lineage(ctx, "guest", "guest")
		if err != nil {
			return err
		}
		return says(guest, "Ready=False ParentNotAllowed", "Stalled=True ParentNotAllowed")
	})
	if runs := count(t)["run guest"]; runs != 0 {
		t.Errorf("it was built %d times", runs)
	}

	patchObject(t, &corev1.Namespace{}, "", live.Namespace("guest"), `{"metadata":{"labels":{"tier":"apps"}}}`)
	guest := becomes(t, answerLimit, "guest", "guest", func(l *v1alpha1.ImageLineage) error {
		return says(l, "Ready=True UpToDate")
	})
	must(t, builtOn(guest, "base", lineage(t, "platform", "corp-base")))
	if runs := count(t)["run guest"]; runs != 1 {
		t.Errorf("it was built %d times", runs)
	}
}

// patchObject patches an object as a person would.
func patchObject(t *testing.T, object client.Object, namespace, name, patch string) {
	t.Helper()
	object.SetNamespace(namespace)
	object.SetName(name)
	must(t, live.Client.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// suspendGuest and resumeGuest set spec.suspend of the guest's lineage.
func suspendGuest(t *testing.T) {
	t.Helper()
	patchObject(t, &v1alpha1.ImageLineage{}, live.Namespace("guest"), "guest", `{"spec":{"suspend":true}}`)
	becomes(t, answerLimit, "guest", "guest", func(l *v1alpha1.ImageLineage) error {
		return says(l, "Ready=True HeldSuspended")
	})
}
