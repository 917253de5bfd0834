// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// Scheme holds the kinds that the operator reads and writes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(tekton.AddToScheme(scheme))
	return scheme
}

// cacheOptions bound what is kept in memory: our own runs only, and of a pod only
// what tells which image it runs.
func cacheOptions() cache.Options {
	ours, err := labels.NewRequirement(v1alpha1.LineageUIDLabel, selection.Exists, nil)
	utilruntime.Must(err)
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		tekton.Object(): {Label: labels.NewSelector().Add(*ours)},
		&corev1.Pod{}:   {Transform: keepImages},
	}}
}

// keepImages drops all of a pod but its name, labels, images and what its
// containers run: a large cluster has many pods, and the rest of them is large.
func keepImages(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	kept := &corev1.Pod{TypeMeta: pod.TypeMeta}
	kept.Namespace, kept.Name, kept.UID = pod.Namespace, pod.Name, pod.UID
	kept.ResourceVersion, kept.Labels = pod.ResourceVersion, pod.Labels
	kept.CreationTimestamp, kept.DeletionTimestamp = pod.CreationTimestamp, pod.DeletionTimestamp
	kept.OwnerReferences = pod.OwnerReferences
	kept.Spec.Containers = images(pod.Spec.Containers)
	kept.Spec.InitContainers = images(pod.Spec.InitContainers)
	kept.Status.Phase = pod.Status.Phase
	kept.Status.ContainerStatuses = digests(pod.Status.ContainerStatuses)
	kept.Status.InitContainerStatuses = digests(pod.Status.InitContainerStatuses)
	return kept, nil
}

func images(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range containers {
		out = append(out, corev1.Container{Name: c.Name, Image: c.Image})
	}
	return out
}

func digests(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for _, s := range statuses {
		out = append(out, corev1.ContainerStatus{Name: s.Name, Image: s.Image, ImageID: s.ImageID})
	}
	return out
}
