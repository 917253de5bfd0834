// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// podBehaviour is what becomes of a Deployment's pods.
type podBehaviour struct {
	// waits is what the container waits for; empty where it runs.
	waits string
	// onDigest limits it to pods of that image; pods of others run.
	onDigest v1alpha1.Digest
}

var (
	runs       = podBehaviour{}
	crashes    = podBehaviour{waits: "CrashLoopBackOff"}
	cannotPull = podBehaviour{waits: "ImagePullBackOff"}
)

// on is a behaviour for the pods of one image.
func (b podBehaviour) on(digest v1alpha1.Digest) podBehaviour {
	b.onDigest = digest
	return b
}

// kubelet is the stand-in for the kubelet and the controller of Deployments. Its
// mutex is held while it works, so that what a method says is so when it returns.
type kubelet struct {
	mu         sync.Mutex
	behaviours map[string]podBehaviour
	late       map[string]bool
}

// behave says what becomes of a Deployment's pods, those that are there included.
// Its deadline begins anew.
func (k *kubelet) behave(deployment string, b podBehaviour) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.behaviours == nil {
		k.behaviours, k.late = map[string]podBehaviour{}, map[string]bool{}
	}
	k.behaviours[deployment] = b
	delete(k.late, deployment)
}

// deadline has a Deployment whose pods do not run exceed its deadline, now or as
// soon as it has such pods.
func (k *kubelet) deadline(deployment string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.late == nil {
		k.late = map[string]bool{}
	}
	k.late[deployment] = true
}

// driveDeployments brings each Deployment to its template at once, with one pod.
func (w *world) driveDeployments(ctx context.Context) error {
	w.kubelet.mu.Lock()
	defer w.kubelet.mu.Unlock()
	deployments := &appsv1.DeploymentList{}
	if err := admin.List(ctx, deployments, client.InNamespace(w.namespace)); err != nil {
		return err
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		pod, err := w.drivePod(ctx, d)
		if err != nil {
			return err
		}
		if pod == nil || len(pod.Status.ContainerStatuses) == 0 {
			continue
		}
		before := d.DeepCopy()
		d.Status = w.deploymentStatus(d, pod.Status.ContainerStatuses[0].Ready)
		if equality.Semantic.DeepEqual(before.Status, d.Status) {
			continue
		}
		if err := admin.Status().Patch(ctx, d, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// deploymentStatus is that of a Deployment with one pod, of its template. kubelet's
// mutex is held.
func (w *world) deploymentStatus(d *appsv1.Deployment, running bool) appsv1.DeploymentStatus {
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1}
	progress := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue}
	switch {
	case running:
		status.ReadyReplicas, status.AvailableReplicas = 1, 1
		progress.Reason = "NewReplicaSetAvailable"
	case w.kubelet.late[d.Name]:
		status.UnavailableReplicas = 1
		progress.Status, progress.Reason = corev1.ConditionFalse, "ProgressDeadlineExceeded"
	default:
		status.UnavailableReplicas = 1
		progress.Reason = "ReplicaSetUpdated"
	}
	progress.LastTransitionTime = metav1.NewTime(w.clock.Now())
	for _, was := range d.Status.Conditions {
		if was.Type == progress.Type && was.Status == progress.Status {
			progress.LastTransitionTime = was.LastTransitionTime
		}
	}
	progress.LastUpdateTime = progress.LastTransitionTime
	status.Conditions = []appsv1.DeploymentCondition{progress}
	return status
}

// drivePod keeps one pod of a Deployment, and returns it as the kubelet reports it;
// nil where it was only just made.
func (w *world) drivePod(ctx context.Context, d *appsv1.Deployment) (*corev1.Pod, error) {
	image := d.Spec.Template.Spec.Containers[0].Image
	pods := &corev1.PodList{}
	if err := admin.List(ctx, pods, client.InNamespace(w.namespace), client.MatchingLabels(d.Spec.Template.Labels)); err != nil {
		return nil, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.Containers[0].Image == image {
			return pod, w.reportPod(ctx, pod, w.kubelet.behaviours[d.Name])
		}
		if err := admin.Delete(ctx, pod, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			return nil, err
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: d.Name + "-", Labels: d.Spec.Template.Labels},
		Spec:       *d.Spec.Template.Spec.DeepCopy(),
	}
	return nil, admin.Create(ctx, pod)
}

// reportPod writes the status of a pod that behaves so, where it is another one.
func (w *world) reportPod(ctx context.Context, pod *corev1.Pod, b podBehaviour) error {
	ref, err := reference.Parse(pod.Spec.Containers[0].Image)
	if err != nil {
		return err
	}
	before := pod.DeepCopy()
	pulled := ""
	if len(pod.Status.ContainerStatuses) > 0 {
		pulled = pod.Status.ContainerStatuses[0].ImageID
	}
	digest := w.pulls(ref, pulled)
	if digest == "" {
		return nil // the image does not exist yet
	}
	// What was pulled once is there.
	if b.onDigest != "" && b.onDigest != digest || b.waits == cannotPull.waits && pulled != "" {
		b = runs
	}
	pod.Status.Phase = corev1.PodRunning
	if b.waits == cannotPull.waits {
		pod.Status.Phase = corev1.PodPending
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{containerStatus(pod, b, ref.Pinned(string(digest)))}
	if equality.Semantic.DeepEqual(before.Status, pod.Status) {
		return nil
	}
	return client.IgnoreNotFound(admin.Status().Patch(ctx, pod, client.MergeFrom(before)))
}

// pulls is the digest of a pod's image: what was pulled for it, or else what the
// image has, or shows, now.
func (w *world) pulls(ref reference.Reference, pulled string) v1alpha1.Digest {
	if _, digest, ok := strings.Cut(pulled, "@"); ok {
		return v1alpha1.Digest(digest)
	}
	if ref.Digest != "" {
		return v1alpha1.Digest(ref.Digest)
	}
	return w.shows(strings.TrimPrefix(ref.Name(), w.host+"/"))
}

// containerStatus is what the kubelet tells of a container. Its times are those of
// the pod, so that nothing changes from look to look.
func containerStatus(pod *corev1.Pod, b podBehaviour, imageID string) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image}
	if b.waits == "" {
		status.ImageID, status.Ready, status.Started = imageID, true, new(true)
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}
		return status
	}
	status.State.Waiting = &corev1.ContainerStateWaiting{Reason: b.waits}
	if b.waits == crashes.waits {
		status.ImageID, status.RestartCount = imageID, 3
		status.State.Waiting.Message = "back-off 40s restarting failed container"
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: pod.CreationTimestamp, FinishedAt: pod.CreationTimestamp,
		}
	}
	return status
}

// waitStatus waits for a Deployment's available replicas and the reason of its
// progress.
func (w *world) waitStatus(deployment string, available int32, reason string) {
	w.t.Helper()
	var d *appsv1.Deployment
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		d = w.readDeployment(deployment)
		return d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas == available &&
			d.Status.AvailableReplicas+d.Status.UnavailableReplicas == 1 && d.Status.UpdatedReplicas == 1 &&
			len(d.Status.Conditions) == 1 && d.Status.Conditions[0].Reason == reason, nil
	})
	if err != nil {
		w.t.Fatalf("%s: never %d available and %s: %+v", deployment, available, reason, d.Status)
	}
}

func (w *world) containerOf(deployment string) corev1.ContainerStatus {
	w.t.Helper()
	pods := &corev1.PodList{}
	if err := admin.List(w.t.Context(), pods, client.InNamespace(w.namespace), client.MatchingLabels{"app": deployment}); err != nil {
		w.t.Fatal(err)
	}
	if len(pods.Items) != 1 || len(pods.Items[0].Status.ContainerStatuses) != 1 {
		w.t.Fatalf("%d pods, want one that is reported", len(pods.Items))
	}
	return pods.Items[0].Status.ContainerStatuses[0]
}

func TestTheStandInForTheKubeletDoesAsItIsTold(t *testing.T) {
	w := newWorld(t)
	good, bad := w.push("app:1", "good"), w.push("app:2", "bad")
	w.kubelet.behave("app", crashes.on(bad))
	w.create(w.deployment("app", "app:1"))
	w.waitStatus("app", 1, "NewReplicaSetAvailable")
	if c := w.containerOf("app"); !c.Ready || !strings.HasSuffix(c.ImageID, "@"+string(good)) {
		t.Errorf("the good image does not run: %+v", c)
	}

	d := w.readDeployment("app")
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = w.image("app:2@" + string(bad))
	if err := admin.Patch(t.Context(), d, client.StrategicMergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	w.waitStatus("app", 0, "ReplicaSetUpdated")
	c := w.containerOf("app")
	if c.Ready || c.RestartCount != 3 || c.State.Waiting.Reason != "CrashLoopBackOff" ||
		c.LastTerminationState.Terminated.ExitCode != 1 || !strings.HasSuffix(c.ImageID, "@"+string(bad)) {
		t.Errorf("the bad image does not crash: %+v", c)
	}
	w.kubelet.deadline("app")
	w.waitStatus("app", 0, "ProgressDeadlineExceeded")
	w.kubelet.behave("app", runs)
	w.waitStatus("app", 1, "NewReplicaSetAvailable")

	w.kubelet.behave("other", cannotPull)
	w.create(w.deployment("other", "app:1"))
	w.waitStatus("other", 0, "ReplicaSetUpdated")
	if c := w.containerOf("other"); c.State.Waiting.Reason != "ImagePullBackOff" || c.ImageID != "" {
		t.Errorf("the image was pulled: %+v", c)
	}
	w.kubelet.behave("other", runs)
	w.waitStatus("other", 1, "NewReplicaSetAvailable")
}
