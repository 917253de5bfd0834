// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// Running returns w with what its pods run: for each container the digests that
// the kubelets report, each once and sorted, and whether a pod does not report
// one yet. A digest may be of an index or of one platform's manifest.
//
// Pods of other namespaces, of another selector, or of another controller do not
// count, nor do pods that are ending or have ended, nor containers of another
// image than the template's, as written: they are on their way out. w is not
// modified.
func Running(w plan.Workload, selector labels.Selector, pods []corev1.Pod) plan.Workload {
	w.Containers, w.Trouble = slices.Clone(w.Containers), ""
	for i := range w.Containers {
		w.Containers[i].Running, w.Containers[i].Newest, w.Containers[i].Unreported = nil, time.Time{}, false
	}
	troubled := ""
	for i := range pods {
		pod := &pods[i]
		if pod.Namespace != w.Namespace || !selector.Matches(labels.Set(pod.Labels)) || !belongs(pod, w) || ends(pod) {
			continue
		}
		for j := range w.Containers {
			report(&w.Containers[j], pod)
		}
		if !ofTemplate(pod, w) || w.Trouble != "" && troubled <= pod.Name {
			continue
		}
		if trouble := Trouble(pod); trouble != "" {
			w.Trouble, troubled = trouble, pod.Name
		}
	}
	for i := range w.Containers {
		slices.Sort(w.Containers[i].Running)
		w.Containers[i].Running = slices.Compact(w.Containers[i].Running)
	}
	return w
}

// ends is true where the pod is, or is about to be, gone.
func ends(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil ||
		pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// belongs is false where the pod is another controller's: a CronJob's pods often
// carry the labels that a Deployment selects. A Deployment's pods are controlled
// by ReplicaSets, whose names prove nothing.
func belongs(pod *corev1.Pod, w plan.Workload) bool {
	controller := metav1.GetControllerOf(pod)
	switch {
	case controller == nil:
		return true
	case w.Kind == "Deployment":
		return controller.Kind == "ReplicaSet"
	}
	return string(controller.UID) == w.UID
}

// ofTemplate is false where the pod has another image than the template, as
// written: it is of a former template, and so is its trouble.
func ofTemplate(pod *corev1.Pod, w plan.Workload) bool {
	for i := range w.Containers {
		if specs, _ := containersIn(pod, w.Containers[i].Init); !has(specs, &w.Containers[i]) {
			return false
		}
	}
	return true
}

func containersIn(pod *corev1.Pod, init bool) ([]corev1.Container, []corev1.ContainerStatus) {
	if init {
		return pod.Spec.InitContainers, pod.Status.InitContainerStatuses
	}
	return pod.Spec.Containers, pod.Status.ContainerStatuses
}

func has(specs []corev1.Container, c *plan.Container) bool {
	for i := range specs {
		if specs[i].Name == c.Name && specs[i].Image == c.Image {
			return true
		}
	}
	return false
}

// report adds to c what the pod tells of the container of that name.
func report(c *plan.Container, pod *corev1.Pod) {
	specs, statuses := containersIn(pod, c.Init)
	if !has(specs, c) {
		return
	}
	if status := statusOf(statuses, c.Name); status != nil {
		if digest := imageDigest(status.ImageID); digest != "" {
			c.Running = append(c.Running, digest)
			if created := pod.CreationTimestamp.Time; created.After(c.Newest) {
				c.Newest = created
			}
			return
		}
	}
	c.Unreported = true
}

var digestPattern = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,128}$`)

// imageDigest is the manifest digest in a kubelet's imageID: what stands behind
// the @ in repo@sha256:… (containerd, CRI-O) and docker-pullable://repo@sha256:…
// (cri-dockerd). A bare sha256:… is the digest of the image's configuration,
// which no registry shows under a tag, and so is no answer.
func imageDigest(imageID string) v1alpha1.Digest {
	_, digest, found := strings.Cut(imageID, "@")
	if !found || !digestPattern.MatchString(digest) {
		return ""
	}
	return v1alpha1.Digest(digest)
}
