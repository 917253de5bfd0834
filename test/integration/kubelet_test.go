// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// podBehaviour is what becomes of a Deployment's pods.
type podBehaviour struct {
	// waits is what the containers wait for; empty where they run.
	waits string
	// onDigest limits it to containers of that image; those of others run.
	onDigest v1alpha1.Digest
}

var (
	runs       = podBehaviour{}
	crashes    = podBehaviour{waits: "CrashLoopBackOff"}
	cannotPull = podBehaviour{waits: "ImagePullBackOff"}
)

// on is a behaviour for the containers of one image.
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
	// nodes are what was pulled for each Deployment, by image as written: its pods run
	// on one node, and another Deployment's on another one. As the kubelet does by
	// default, an image is pulled where the node has none of that name, and a tag that
	// has moved since then is not noticed.
	nodes map[types.UID]map[string]v1alpha1.Digest
}

// nodeOf is the node of a Deployment's pods. k.mu is held.
func (k *kubelet) nodeOf(d *appsv1.Deployment) map[string]v1alpha1.Digest {
	if k.nodes == nil {
		k.nodes = map[types.UID]map[string]v1alpha1.Digest{}
	}
	if k.nodes[d.UID] == nil {
		k.nodes[d.UID] = map[string]v1alpha1.Digest{}
	}
	return k.nodes[d.UID]
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

// Labels of the pods that the stand-in makes: whose they are, and of which template.
const (
	deploymentLabel = "test.example.com/deployment"
	templateLabel   = "test.example.com/template"
)

// driveDeployments brings each Deployment to its template at once, with one pod, or
// with none where it is scaled to zero.
func (w *world) driveDeployments(ctx context.Context) error {
	w.kubelet.mu.Lock()
	defer w.kubelet.mu.Unlock()
	deployments, pods := &appsv1.DeploymentList{}, &corev1.PodList{}
	if err := admin.List(ctx, deployments, client.InNamespace(w.namespace)); err != nil {
		return err
	}
	if err := admin.List(ctx, pods, client.InNamespace(w.namespace), client.HasLabels{deploymentLabel}); err != nil {
		return err
	}
	of := map[string][]corev1.Pod{}
	for _, pod := range pods.Items {
		name := pod.Labels[deploymentLabel]
		of[name] = append(of[name], pod)
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		if err := w.driveDeployment(ctx, d, of[d.Name]); err != nil {
			return err
		}
		delete(of, d.Name)
	}
	// Pods go with their Deployment.
	for _, orphans := range of {
		if _, err := deletePods(ctx, orphans, ""); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) driveDeployment(ctx context.Context, d *appsv1.Deployment, pods []corev1.Pod) error {
	pod, err := w.drivePod(ctx, d, pods)
	if err != nil || wanted(d) > 0 && (pod == nil || len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers)) {
		return err // or the kubelet does not tell of all containers yet
	}
	before := d.DeepCopy()
	d.Status = w.deploymentStatus(d, pod)
	if equality.Semantic.DeepEqual(before.Status, d.Status) {
		return nil
	}
	return client.IgnoreNotFound(admin.Status().Patch(ctx, d, client.MergeFrom(before)))
}

// wanted is how many pods a Deployment has: one at the most.
func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return min(*d.Spec.Replicas, 1)
}

// deploymentStatus is that of a Deployment with this pod, of its template; nil where
// it is scaled to zero. kubelet's mutex is held.
func (w *world) deploymentStatus(d *appsv1.Deployment, pod *corev1.Pod) appsv1.DeploymentStatus {
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: wanted(d), UpdatedReplicas: wanted(d)}
	progress := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue}
	switch {
	case pod == nil:
		progress.Reason = "NewReplicaSetAvailable"
	case runsAll(pod):
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

func runsAll(pod *corev1.Pod) bool {
	return !slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !c.Ready })
}

// drivePod keeps one pod of a Deployment's present template, and returns it as the
// kubelet reports it; nil where it was only just made, or where none is wanted.
func (w *world) drivePod(ctx context.Context, d *appsv1.Deployment, pods []corev1.Pod) (*corev1.Pod, error) {
	template, err := templateHash(d)
	if err != nil {
		return nil, err
	}
	if wanted(d) == 0 {
		_, err := deletePods(ctx, pods, "")
		return nil, err
	}
	pod, err := deletePods(ctx, pods, template)
	if err != nil {
		return nil, err
	}
	if pod != nil {
		return pod, w.reportPod(ctx, pod, w.kubelet.nodeOf(d), w.kubelet.behaviours[d.Name])
	}
	labels := maps.Clone(d.Spec.Template.Labels)
	labels[deploymentLabel], labels[templateLabel] = d.Name, template
	return nil, admin.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: d.Name + "-", Labels: labels},
		Spec:       *d.Spec.Template.Spec.DeepCopy(),
	})
}

// templateHash tells the templates of a Deployment apart, and those of another one
// that has its name later.
func templateHash(d *appsv1.Deployment) (string, error) {
	template, err := json.Marshal(d.Spec.Template)
	hash := fnv.New64a()
	_, _ = hash.Write(append(template, d.UID...))
	return strconv.FormatUint(hash.Sum64(), 16), err
}

// deletePods deletes all pods but the one of a template, and returns that one.
func deletePods(ctx context.Context, pods []corev1.Pod, but string) (*corev1.Pod, error) {
	var kept *corev1.Pod
	for i := range pods {
		pod := &pods[i]
		if kept == nil && pod.Labels[templateLabel] == but {
			kept = pod
			continue
		}
		if err := admin.Delete(ctx, pod, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			return nil, err
		}
	}
	return kept, nil
}

// reportPod writes the status of a pod that behaves so, where it is another one. A
// container whose image does not exist yet is not told of.
func (w *world) reportPod(ctx context.Context, pod *corev1.Pod, node map[string]v1alpha1.Digest, b podBehaviour) error {
	before := pod.DeepCopy()
	pod.Status.Phase, pod.Status.ContainerStatuses = corev1.PodRunning, nil
	for _, c := range pod.Spec.Containers {
		ref, err := reference.Parse(c.Image)
		if err != nil {
			return err
		}
		pulled := node[c.Image]
		if digest := w.pulls(ref, pulled); digest != "" {
			status := containerStatus(pod, c, b.forContainer(digest, pulled), ref.Pinned(string(digest)))
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
			if status.ImageID != "" {
				node[c.Image] = digest
			}
		}
		if node[c.Image] == "" {
			pod.Status.Phase = corev1.PodPending
		}
	}
	if equality.Semantic.DeepEqual(before.Status, pod.Status) {
		return nil
	}
	return client.IgnoreNotFound(admin.Status().Patch(ctx, pod, client.MergeFrom(before)))
}

// forContainer is what becomes of one container of the pods. What was pulled once is there.
func (b podBehaviour) forContainer(digest, pulled v1alpha1.Digest) podBehaviour {
	if b.onDigest != "" && b.onDigest != digest || b.waits == cannotPull.waits && pulled != "" {
		return runs
	}
	return b
}

// pulls is the digest of a container's image: what the node has of it, or else what
// the image has, or shows, now.
func (w *world) pulls(ref reference.Reference, pulled v1alpha1.Digest) v1alpha1.Digest {
	switch {
	case pulled != "":
		return pulled
	case ref.Digest != "":
		return v1alpha1.Digest(ref.Digest)
	default:
		return w.shows(strings.TrimPrefix(ref.Name(), w.host+"/"))
	}
}

// containerStatus is what the kubelet tells of a container. Its times are those of
// the pod, so that nothing changes from look to look.
func containerStatus(pod *corev1.Pod, c corev1.Container, b podBehaviour, imageID string) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
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
			d.Status.AvailableReplicas+d.Status.UnavailableReplicas == wanted(d) && d.Status.UpdatedReplicas == wanted(d) &&
			len(d.Status.Conditions) == 1 && d.Status.Conditions[0].Reason == reason, nil
	})
	if err != nil {
		w.t.Fatalf("%s: never %d available and %s: %+v", deployment, available, reason, d.Status)
	}
}

// podsOf are a Deployment's pods.
func (w *world) podsOf(deployment string) []corev1.Pod {
	w.t.Helper()
	pods := &corev1.PodList{}
	if err := admin.List(w.t.Context(), pods, client.InNamespace(w.namespace), client.MatchingLabels{deploymentLabel: deployment}); err != nil {
		w.t.Fatal(err)
	}
	return pods.Items
}

// containerOf is the first container of a Deployment's one pod.
func (w *world) containerOf(deployment string) corev1.ContainerStatus {
	w.t.Helper()
	pods := w.podsOf(deployment)
	if len(pods) != 1 || len(pods[0].Status.ContainerStatuses) == 0 {
		w.t.Fatalf("%d pods of %s, want one that is reported", len(pods), deployment)
	}
	return pods[0].Status.ContainerStatuses[0]
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

// TestTheStandInForTheKubeletKnowsItsPods: all containers of a pod, pods that are
// scaled away, and pods whose Deployment is gone.
func TestTheStandInForTheKubeletKnowsItsPods(t *testing.T) {
	w := newWorld(t)
	good, bad := w.push("app:1", "good"), w.push("proxy:1", "bad")
	w.kubelet.behave("pair", crashes.on(bad))
	pair := w.deployment("pair", "app:1")
	pair.Spec.Template.Spec.Containers = append(pair.Spec.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: w.image("proxy:1")})
	w.create(pair)
	w.waitStatus("pair", 0, "ReplicaSetUpdated")
	containers := w.podsOf("pair")[0].Status.ContainerStatuses
	for i, want := range []v1alpha1.Digest{good, bad} {
		if c := containers[i]; c.Ready != (want == good) || !strings.HasSuffix(c.ImageID, "@"+string(want)) {
			t.Errorf("container %d: %+v", i, c)
		}
	}
	w.kubelet.behave("pair", runs)
	w.waitStatus("pair", 1, "NewReplicaSetAvailable")

	w.scale("pair", 0)
	w.waitStatus("pair", 0, "NewReplicaSetAvailable")
	if n := len(w.podsOf("pair")); n != 0 {
		t.Errorf("%d pods, though it is scaled to zero", n)
	}
	moved := w.push("app:1", "moved")
	w.scale("pair", 1)
	w.waitStatus("pair", 1, "NewReplicaSetAvailable")
	if c := w.containerOf("pair"); !strings.HasSuffix(c.ImageID, "@"+string(good)) {
		t.Errorf("the node has pulled a tag again that it has: %+v", c)
	}
	w.create(w.deployment("single", "app:1"))
	w.waitStatus("single", 1, "NewReplicaSetAvailable")
	if c := w.containerOf("single"); !strings.HasSuffix(c.ImageID, "@"+string(moved)) {
		t.Errorf("another node does not pull what the tag shows: %+v", c)
	}

	if err := admin.Delete(t.Context(), w.readDeployment("pair")); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t.Context(), func(context.Context) (bool, error) { return len(w.podsOf("pair")) == 0, nil }); err != nil {
		t.Error("the pods stay, though their Deployment is gone")
	}
}

// scale changes how many pods of a Deployment are wanted.
func (w *world) scale(deployment string, to int32) {
	w.t.Helper()
	d := w.readDeployment(deployment)
	before := d.DeepCopy()
	d.Spec.Replicas = &to
	if err := admin.Patch(w.t.Context(), d, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}
