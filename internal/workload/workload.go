// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// shape is what the kinds have in common.
type shape struct {
	kind     string
	template *corev1.PodTemplateSpec
	selector *metav1.LabelSelector
}

// shapeOf fails for every kind but Deployment, StatefulSet and DaemonSet.
func shapeOf(obj client.Object) (shape, error) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return shape{"Deployment", &o.Spec.Template, o.Spec.Selector}, nil
	case *appsv1.StatefulSet:
		return shape{"StatefulSet", &o.Spec.Template, o.Spec.Selector}, nil
	case *appsv1.DaemonSet:
		return shape{"DaemonSet", &o.Spec.Template, o.Spec.Selector}, nil
	}
	return shape{}, fmt.Errorf("%T is no workload: want a Deployment, StatefulSet or DaemonSet", obj)
}

// FromObject reads a *appsv1.Deployment, *appsv1.StatefulSet or
// *appsv1.DaemonSet, and fails for every other kind. What the pods run is added
// by Running.
//
// A rollout annotation that is no JSON object remembers nothing, and an entry of
// managedFields that cannot be read sets nothing: both can be edited by anyone.
// SetBy and SetAt need the managedFields: a cache must not strip them.
func FromObject(obj client.Object) (plan.Workload, error) {
	s, err := shapeOf(obj)
	if err != nil {
		return plan.Workload{}, err
	}
	health, message := Health(obj)
	return plan.Workload{
		Kind:          s.kind,
		Namespace:     obj.GetNamespace(),
		Name:          obj.GetName(),
		UID:           string(obj.GetUID()),
		Created:       obj.GetCreationTimestamp().Time,
		Controlled:    metav1.GetControllerOf(obj) != nil,
		Containers:    containersOf(&s.template.Spec, writersOf(obj.GetManagedFields())),
		Remembered:    rememberedBy(obj),
		Health:        health,
		HealthMessage: message,
	}, nil
}

// containersOf lists init containers first: that is their order in the template's
// life, and the order in which kubectl prints them.
func containersOf(spec *corev1.PodSpec, by writers) []plan.Container {
	containers := make([]plan.Container, 0, len(spec.InitContainers)+len(spec.Containers))
	add := func(list []corev1.Container, init bool) {
		for i := range list {
			c := plan.Container{Name: list[i].Name, Init: init, Index: i, Image: list[i].Image}
			c.SetBy, c.SetAt = by.ofImage(list[i].Name, init)
			containers = append(containers, c)
		}
	}
	add(spec.InitContainers, true)
	add(spec.Containers, false)
	return containers
}

// rememberedBy is nil where the annotation is absent or damaged.
func rememberedBy(obj client.Object) map[string]plan.Remembered {
	value, ok := obj.GetAnnotations()[v1alpha1.RolloutAnnotation]
	if !ok {
		return nil
	}
	var remembered map[string]plan.Remembered
	if err := json.Unmarshal([]byte(value), &remembered); err != nil {
		return nil
	}
	return remembered
}

// Selector selects the pods of a workload. It fails for other kinds, and for a
// selector that the API server would not have let in; an absent one selects
// nothing.
func Selector(obj client.Object) (labels.Selector, error) {
	s, err := shapeOf(obj)
	if err != nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(s.selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s %s/%s: %w", s.kind, obj.GetNamespace(), obj.GetName(), err)
	}
	return selector, nil
}
