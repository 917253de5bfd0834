// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
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

// cacheOptions bound what is kept in memory: our own runs only, of all CRDs the one
// that tells whether there are any, and of a pod only what tells which image it runs,
// and what keeps it from running.
func cacheOptions() cache.Options {
	ours, err := labels.NewRequirement(v1alpha1.LineageUIDLabel, selection.Exists, nil)
	utilruntime.Must(err)
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		tekton.Object(): {Label: labels.NewSelector().Add(*ours)},
		tekton.CRD():    {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, tekton.CRDName)},
		&corev1.Pod{}:   {Transform: keepImages},
	}}
}

// keepImages drops all of a pod but its name, labels, images, what its containers
// run, and what workload.Trouble reads: a large cluster has many pods, and the rest
// of them is large.
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
	kept.Status.Conditions = scheduled(pod.Status.Conditions)
	kept.Status.ContainerStatuses = statuses(pod.Status.ContainerStatuses)
	kept.Status.InitContainerStatuses = statuses(pod.Status.InitContainerStatuses)
	return kept, nil
}

func images(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range containers {
		out = append(out, corev1.Container{Name: c.Name, Image: c.Image})
	}
	return out
}

// scheduled keeps whether the pod has found a node.
func scheduled(conditions []corev1.PodCondition) []corev1.PodCondition {
	for _, c := range conditions {
		if c.Type == corev1.PodScheduled {
			return []corev1.PodCondition{{Type: c.Type, Status: c.Status, Reason: c.Reason}}
		}
	}
	return nil
}

func statuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for _, s := range all {
		out = append(out, corev1.ContainerStatus{
			Name: s.Name, Image: s.Image, ImageID: s.ImageID, Ready: s.Ready, RestartCount: s.RestartCount,
			State: reasons(s.State), LastTerminationState: reasons(s.LastTerminationState),
		})
	}
	return out
}

// reasons drops the messages and times of a state. That a container runs is no
// trouble, and what is not there counts as waiting for no reason.
func reasons(state corev1.ContainerState) corev1.ContainerState {
	var out corev1.ContainerState
	if waiting := state.Waiting; waiting != nil {
		out.Waiting = &corev1.ContainerStateWaiting{Reason: waiting.Reason}
	}
	if ended := state.Terminated; ended != nil {
		out.Terminated = &corev1.ContainerStateTerminated{Reason: ended.Reason, ExitCode: ended.ExitCode, Signal: ended.Signal}
	}
	return out
}
