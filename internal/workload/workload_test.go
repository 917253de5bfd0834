// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

var (
	created = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	earlier = metav1.NewTime(created.Add(time.Hour))
	later   = metav1.NewTime(created.Add(2 * time.Hour))
)

const ownsWebImage = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{}}}}}}}`

// web is a Deployment of the containers init, web and log.
func web() *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "u-1", CreationTimestamp: created, Generation: 1,
			Annotations: map[string]string{"deployment.kubernetes.io/revision": "4"},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				InitContainers: []corev1.Container{{Name: "init", Image: "registry.example.com/shop/web:stable"}},
				Containers: []corev1.Container{
					{Name: "web", Image: "registry.example.com/shop/web:stable"},
					{Name: "log", Image: "busybox"},
				},
			}},
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1},
	}
}

func TestFromObject(t *testing.T) {
	want := func(change func(*plan.Workload)) plan.Workload {
		w := plan.Workload{
			Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u-1", Created: created.Time,
			Containers: []plan.Container{
				{Name: "init", Init: true, Index: 0, Image: "registry.example.com/shop/web:stable"},
				{Name: "web", Index: 0, Image: "registry.example.com/shop/web:stable"},
				{Name: "log", Index: 1, Image: "busybox"},
			},
			Health: plan.Healthy, HealthMessage: "1 of 1 replicas are updated and available",
		}
		if change != nil {
			change(&w)
		}
		return w
	}
	managed := func(entries ...metav1.ManagedFieldsEntry) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { d.ManagedFields = entries }
	}
	entry := func(manager string, at metav1.Time, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate,
			APIVersion: "apps/v1", Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	setBy := func(manager string, at time.Time) func(*plan.Workload) {
		return func(w *plan.Workload) { w.Containers[1].SetBy, w.Containers[1].SetAt = manager, at }
	}
	ofStatus := entry("kube-controller-manager", later, ownsWebImage)
	ofStatus.Subresource = "status"
	annotated := func(value string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) { d.Annotations[v1alpha1.RolloutAnnotation] = value }
	}
	tests := map[string]struct {
		change func(*appsv1.Deployment)
		want   plan.Workload
	}{
		"a plain workload": {nil, want(nil)},
		"the owner of the image is known": {
			managed(entry("kubectl", earlier, ownsWebImage)), want(setBy("kubectl", earlier.Time)),
		},
		"of two owners the newer counts": {
			managed(entry("argocd", later, ownsWebImage), entry("kubectl", earlier, ownsWebImage)),
			want(setBy("argocd", later.Time)),
		},
		"subresources and damaged entries set nothing": {
			managed(ofStatus, entry("x", later, `{"f:spec":`), metav1.ManagedFieldsEntry{Manager: "y"}), want(nil),
		},
		"the annotation is remembered": {
			annotated(`{"web":{"lineage":"web","from":"a","to":"b","revision":3,"healthy":true}}`),
			want(func(w *plan.Workload) {
				w.Remembered = map[string]plan.Remembered{
					"web": {Lineage: "web", From: "a", To: "b", Revision: 3, Healthy: true},
				}
			}),
		},
		"a damaged annotation remembers nothing": {annotated(`{"web":`), want(nil)},
		"another object controls it": {
			func(d *appsv1.Deployment) {
				d.OwnerReferences = []metav1.OwnerReference{{Kind: "Shop", Name: "s", Controller: new(true)}}
			},
			want(func(w *plan.Workload) { w.Controlled = true }),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := web()
			if tc.change != nil {
				tc.change(d)
			}
			got, err := FromObject(d)
			if err != nil {
				t.Fatalf("FromObject: %v", err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("FromObject (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromObjectKnowsTheKinds(t *testing.T) {
	tests := map[string]struct {
		object   client.Object
		wantKind string
	}{
		"a Deployment":  {&appsv1.Deployment{}, "Deployment"},
		"a StatefulSet": {&appsv1.StatefulSet{}, "StatefulSet"},
		"a DaemonSet":   {&appsv1.DaemonSet{}, "DaemonSet"},
		"a Pod":         {&corev1.Pod{}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := FromObject(tc.object)
			if got.Kind != tc.wantKind || (err == nil) != (tc.wantKind != "") {
				t.Errorf("FromObject: kind %q, error %v; want kind %q", got.Kind, err, tc.wantKind)
			}
		})
	}
}

func TestSelector(t *testing.T) {
	selector, err := Selector(web())
	if err != nil {
		t.Fatalf("Selector: %v", err)
	}
	if !selector.Matches(labels.Set{"app": "web"}) || selector.Matches(labels.Set{"app": "db"}) {
		t.Errorf("Selector = %q", selector)
	}
	broken := web()
	broken.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}
	if _, err := Selector(broken); err == nil {
		t.Error("Selector takes an operator that does not exist")
	}
	none := web()
	none.Spec.Selector = nil
	if selector, err := Selector(none); err != nil || selector.Matches(labels.Set{"app": "web"}) {
		t.Errorf("without a selector: %v, %v; want one that matches nothing", selector, err)
	}
}

func TestImages(t *testing.T) {
	d := web()
	d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Image: "NOT an image"})
	want := []string{"docker.io/library/busybox", "registry.example.com/shop/web"}
	if diff := cmp.Diff(want, Images(d)); diff != "" {
		t.Errorf("Images (-want +got):\n%s", diff)
	}
	if got := Images(&corev1.Pod{}); got != nil {
		t.Errorf("Images of a pod = %v", got)
	}
}
