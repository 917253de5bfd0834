// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

const (
	newImage  = "registry.example.com/shop/web:stable@sha256:b"
	newMemory = `{"lineage":"web","from":"registry.example.com/shop/web:stable",` +
		`"to":"registry.example.com/shop/web:stable@sha256:b","revision":4,"healthy":true}`
)

// move moves a container of web() to newImage.
func move(name string, init bool, index int) plan.ImageChange {
	return plan.ImageChange{
		Container: plan.Container{Name: name, Init: init, Index: index, Image: webImage},
		To:        newImage,
		Memory:    plan.Remembered{Lineage: "web", From: webImage, To: newImage, Revision: 4, Healthy: true},
	}
}

// applied is what the API server makes of the patch.
func applied(t *testing.T, to *appsv1.Deployment, patch []byte) (*appsv1.Deployment, error) {
	t.Helper()
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("patch %s: %v", patch, err)
	}
	raw, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = decoded.Apply(raw)
	if err != nil {
		return nil, err
	}
	got := &appsv1.Deployment{}
	if err := json.Unmarshal(raw, got); err != nil {
		t.Fatal(err)
	}
	return got, nil
}

func remembering(value string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Annotations[v1alpha1.RolloutAnnotation] = value }
}

func TestPatchChangesImagesAndMemoryOnly(t *testing.T) {
	tests := map[string]struct {
		before     func(*appsv1.Deployment)
		changes    []plan.ImageChange
		wantImages []string // of init, web and log
		wantMemory string
	}{
		"one container": {
			changes:    []plan.ImageChange{move("web", false, 0)},
			wantImages: []string{webImage, newImage, "busybox"}, wantMemory: `{"web":` + newMemory + `}`,
		},
		"an init container and a container at once": {
			changes:    []plan.ImageChange{move("init", true, 0), move("web", false, 0)},
			wantImages: []string{newImage, newImage, "busybox"},
			wantMemory: `{"init":` + newMemory + `,"web":` + newMemory + `}`,
		},
		"no annotations before": {
			before:     func(d *appsv1.Deployment) { d.Annotations = nil },
			changes:    []plan.ImageChange{move("web", false, 0)},
			wantImages: []string{webImage, newImage, "busybox"}, wantMemory: `{"web":` + newMemory + `}`,
		},
		"other memories are kept to the letter, and those of lost containers dropped": {
			before:     remembering(`{"gone":{},"log":{"later":"field"},"web":{"revision":3}}`),
			changes:    []plan.ImageChange{move("web", false, 0)},
			wantImages: []string{webImage, newImage, "busybox"},
			wantMemory: `{"log":{"later":"field"},"web":` + newMemory + `}`,
		},
		"a damaged memory is replaced": {
			before:     remembering(`["web"`),
			changes:    []plan.ImageChange{move("web", false, 0)},
			wantImages: []string{webImage, newImage, "busybox"}, wantMemory: `{"web":` + newMemory + `}`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := web()
			if tc.before != nil {
				tc.before(before)
			}
			patch, err := Patch(before, tc.changes)
			if err != nil {
				t.Fatalf("Patch: %v", err)
			}
			got, err := applied(t, before, patch)
			if err != nil {
				t.Fatalf("apply %s: %v", patch, err)
			}
			want := before.DeepCopy()
			metav1.SetMetaDataAnnotation(&want.ObjectMeta, v1alpha1.RolloutAnnotation, tc.wantMemory)
			want.Spec.Template.Spec.InitContainers[0].Image = tc.wantImages[0]
			want.Spec.Template.Spec.Containers[0].Image = tc.wantImages[1]
			want.Spec.Template.Spec.Containers[1].Image = tc.wantImages[2]
			want.CreationTimestamp, got.CreationTimestamp = metav1.Time{}, metav1.Time{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after the patch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPatchFailsOnWhatHasMoved(t *testing.T) {
	bare := func(d *appsv1.Deployment) { d.Annotations = nil }
	tests := map[string]struct {
		before, meanwhile func(*appsv1.Deployment)
	}{
		"the image": {meanwhile: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "other" }},
		"the order of containers": {meanwhile: func(d *appsv1.Deployment) {
			c := d.Spec.Template.Spec.Containers
			c[0].Name, c[1].Name, c[1].Image = c[1].Name, c[0].Name, c[0].Image
		}},
		"the containers":                  {meanwhile: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers = nil }},
		"the object itself, created anew": {meanwhile: func(d *appsv1.Deployment) { d.UID = "u-2" }},
		"the memory":                      {before: remembering(`{}`), meanwhile: remembering(`{"web":{}}`)},
		"the memory, removed": {before: remembering(`{}`), meanwhile: func(d *appsv1.Deployment) {
			delete(d.Annotations, v1alpha1.RolloutAnnotation)
		}},
		"the memory, new":              {meanwhile: remembering(`{}`)},
		"the annotations, removed":     {meanwhile: bare},
		"the annotations, a first one": {before: bare, meanwhile: func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := web()
			if tc.before != nil {
				tc.before(d)
			}
			patch, err := Patch(d, []plan.ImageChange{move("web", false, 0)})
			if err != nil {
				t.Fatalf("Patch: %v", err)
			}
			tc.meanwhile(d)
			if got, err := applied(t, d, patch); err == nil {
				t.Errorf("the patch %s applies to what has moved:\n%v", patch, got)
			}
		})
	}
}

func TestPatchRefuses(t *testing.T) {
	tests := map[string]struct {
		object  client.Object
		changes []plan.ImageChange
	}{
		"another kind":                 {&corev1.Pod{}, []plan.ImageChange{move("web", false, 0)}},
		"no changes":                   {web(), nil},
		"a container of another name":  {web(), []plan.ImageChange{move("log", false, 0)}},
		"an index that does not exist": {web(), []plan.ImageChange{move("web", false, 7)}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if patch, err := Patch(tc.object, tc.changes); err == nil {
				t.Errorf("Patch = %s, want an error", patch)
			}
		})
	}
}

func TestApply(t *testing.T) {
	gone := schema.GroupResource{Group: "apps", Resource: "deployments"}
	tests := map[string]struct {
		answer    error
		wantMoved bool
		wantError bool
	}{
		"the patch applies": {},
		"a test fails": {
			answer:    apierrors.NewGenericServerResponse(422, "", schema.GroupResource{}, "", "test failed", 0, false),
			wantMoved: true, wantError: true,
		},
		"a conflict":         {answer: apierrors.NewConflict(gone, "web", nil), wantMoved: true, wantError: true},
		"the object is gone": {answer: apierrors.NewNotFound(gone, "web"), wantMoved: true, wantError: true},
		"the result is not valid": {
			answer: apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "web", nil), wantError: true,
		},
		"no right to do it": {answer: apierrors.NewForbidden(gone, "web", errors.New("no")), wantError: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := appsv1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			var manager string
			c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(web()).Build(),
				interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, obj client.Object,
					patch client.Patch, opts ...client.PatchOption,
				) error {
					manager = (&client.PatchOptions{}).ApplyOptions(opts).FieldManager
					if tc.answer != nil {
						return tc.answer
					}
					return c.Patch(ctx, obj, patch, opts...)
				}})
			patch, err := Patch(web(), []plan.ImageChange{move("web", false, 0)})
			if err != nil {
				t.Fatal(err)
			}
			err = Apply(t.Context(), c, web(), patch)
			if (err != nil) != tc.wantError || errors.Is(err, ErrMoved) != tc.wantMoved {
				t.Errorf("Apply = %v, want error: %v, moved: %v", err, tc.wantError, tc.wantMoved)
			}
			if manager != v1alpha1.RolloutFieldManager {
				t.Errorf("field manager %q, want %q", manager, v1alpha1.RolloutFieldManager)
			}
			if tc.wantError {
				return
			}
			got := &appsv1.Deployment{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(web()), got); err != nil {
				t.Fatal(err)
			}
			if image := got.Spec.Template.Spec.Containers[0].Image; image != newImage {
				t.Errorf("image %q, want %q", image, newImage)
			}
		})
	}
}
