// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/internal/workload"
)

var at = metav1.NewTime(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))

// full is a pod with more than is needed of everything that is kept in part.
func full() *corev1.Pod {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Error", ExitCode: 1, Signal: 2, Message: "log", StartedAt: at, FinishedAt: at, ContainerID: "containerd://1",
	}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-1", UID: "u-1", ResourceVersion: "7", Generation: 3,
			Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "long"},
			CreationTimestamp: at, DeletionTimestamp: &at, Finalizers: []string{"keep"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web"}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
		},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Image: "init:1", Command: []string{"sh"}}},
			Containers:     []corev1.Container{{Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "A", Value: "b"}}}},
			NodeName:       "node-1",
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Message: "long", PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady"},
				{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
					Message: "0/3 nodes", LastTransitionTime: at, LastProbeTime: at, ObservedGeneration: 3,
				},
			},
			InitContainerStatuses: []corev1.ContainerStatus{{
				Name: "init", Image: "init:1", ImageID: "init@sha256:1", ContainerID: "containerd://0",
				State: ended, Ready: true,
			}},
			ContainerStatuses: []corev1.ContainerStatus{
				{
					Name: "app", Image: "app:1", ImageID: "app@sha256:1", ContainerID: "containerd://2", Started: new(true),
					State: waiting, LastTerminationState: ended, RestartCount: 4,
				},
				{Name: "log", State: running, Ready: true},
			},
		},
	}
}

func TestKeepImages(t *testing.T) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Signal: 2}}
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-1", UID: "u-1", ResourceVersion: "7", Labels: map[string]string{"app": "web"},
			CreationTimestamp: at, DeletionTimestamp: &at,
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web"}},
		},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Image: "init:1"}},
			Containers:     []corev1.Container{{Name: "app", Image: "app:1"}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable},
			},
			InitContainerStatuses: []corev1.ContainerStatus{
				{Name: "init", Image: "init:1", ImageID: "init@sha256:1", State: ended, Ready: true},
			},
			ContainerStatuses: []corev1.ContainerStatus{
				{
					Name: "app", Image: "app:1", ImageID: "app@sha256:1", RestartCount: 4, LastTerminationState: ended,
					State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				},
				{Name: "log", Ready: true},
			},
		},
	}
	pod := full()
	got, err := keepImages(pod)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(full(), pod); diff != "" {
		t.Errorf("the pod that was given is modified (-want +got):\n%s", diff)
	}
}

func TestKeepImagesOfSomethingElse(t *testing.T) {
	for name, obj := range map[string]any{
		"another kind":           &corev1.Node{},
		"a tombstone":            struct{ Key string }{"shop/web-1"},
		"a pod that says little": &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keepImages(obj)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(obj, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKeepImagesKeepsTheTrouble: the transform and what reads its pods change
// together.
func TestKeepImagesKeepsTheTrouble(t *testing.T) {
	scheduled := func(p *corev1.Pod) { p.Status.Conditions = nil }
	tests := map[string]func(*corev1.Pod){
		"it cannot be scheduled": func(*corev1.Pod) {},
		"it crashes":             scheduled,
		"it ran once more, and is running": func(p *corev1.Pod) {
			scheduled(p)
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		},
		"its image cannot be pulled": func(p *corev1.Pod) {
			scheduled(p)
			p.Status.ContainerStatuses[0].State.Waiting.Reason = "ErrImagePull"
		},
		"its init container fails": func(p *corev1.Pod) {
			scheduled(p)
			p.Status.InitContainerStatuses[0].Ready, p.Status.InitContainerStatuses[0].RestartCount = false, 1
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			pod := full()
			change(pod)
			kept, err := keepImages(pod)
			if err != nil {
				t.Fatal(err)
			}
			stripped, ok := kept.(*corev1.Pod)
			if !ok {
				t.Fatalf("kept a %T", kept)
			}
			want := workload.Trouble(pod)
			if got := workload.Trouble(stripped); got != want || want == "" {
				t.Errorf("Trouble = %q, of the whole pod %q", got, want)
			}
		})
	}
}
