// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// drive stands in for Tekton, for the controller of Deployments and for the
// kubelet, in the world's namespace. It looks often, because it waits for the
// API server only.
func (w *world) drive(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		for _, step := range []func(context.Context) error{w.driveRuns, w.driveDeployments} {
			if err := step(ctx); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "modified") {
				w.t.Errorf("driving the world: %v", err)
			}
		}
	}, 15*time.Millisecond)
}

// holdLabel on a run keeps the stand-in for Tekton from finishing it.
const holdLabel = "test.example.com/hold"

func pipelineRuns() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("tekton.dev/v1")
	list.SetKind("PipelineRunList")
	return list
}

// driveRuns finishes runs: it pushes an image that is a function of the base and
// the lineage, and reports it as a real pipeline would.
func (w *world) driveRuns(ctx context.Context) error {
	runs := pipelineRuns()
	if err := admin.List(ctx, runs, client.InNamespace(w.namespace)); err != nil {
		return err
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		_, done, _ := unstructured.NestedString(run.Object, "status", "completionTime")
		if done || run.GetLabels()[holdLabel] != "" {
			continue
		}
		params := paramsOf(run)
		before := run.DeepCopy()
		switch {
		case strings.Contains(params["IMAGE"], "/fail/"):
			finish(run, "False", "Failed", nil)
		case strings.Contains(params["IMAGE"], "/lie/"):
			finish(run, "True", "Succeeded", map[string]string{"IMAGE_DIGEST": "sha256:" + strings.Repeat("0", 64)})
		default:
			content := fmt.Sprintf("%s on %s", run.GetLabels()["imagelineage.dev/lineage"], params["BASE"])
			base, _ := reference.Parse(params["BASE"])
			digest, err := pushImage(params["IMAGE"], content, params["BASE"], base.Digest)
			if err != nil {
				return err
			}
			finish(run, "True", "Succeeded", map[string]string{"IMAGE_DIGEST": string(digest) + "\n", "IMAGE_URL": params["IMAGE"]})
		}
		if err := admin.Status().Patch(ctx, run, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

func paramsOf(run *unstructured.Unstructured) map[string]string {
	params, _, _ := unstructured.NestedSlice(run.Object, "spec", "params")
	out := map[string]string{}
	for _, p := range params {
		param := p.(map[string]any)
		out[param["name"].(string)], _ = param["value"].(string)
	}
	return out
}

func finish(run *unstructured.Unstructured, status, reason string, results map[string]string) {
	now := time.Now().UTC().Format(time.RFC3339)
	var list []any
	for name, value := range results {
		list = append(list, map[string]any{"name": name, "type": "string", "value": value})
	}
	run.Object["status"] = map[string]any{
		"startTime": now, "completionTime": now, "results": list,
		"conditions": []any{map[string]any{
			"type": "Succeeded", "status": status, "reason": reason, "lastTransitionTime": now, "message": reason,
		}},
	}
}

// driveDeployments brings each Deployment to its template at once, with one pod.
func (w *world) driveDeployments(ctx context.Context) error {
	deployments := &appsv1.DeploymentList{}
	if err := admin.List(ctx, deployments, client.InNamespace(w.namespace)); err != nil {
		return err
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		running, err := w.drivePod(ctx, d)
		if err != nil {
			return err
		}
		if !running || d.Status.ObservedGeneration == d.Generation {
			continue
		}
		before := d.DeepCopy()
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1, ReadyReplicas: 1,
		}
		if err := admin.Status().Patch(ctx, d, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// drivePod keeps one pod of a Deployment, and is true when it runs.
func (w *world) drivePod(ctx context.Context, d *appsv1.Deployment) (bool, error) {
	image := d.Spec.Template.Spec.Containers[0].Image
	pods := &corev1.PodList{}
	if err := admin.List(ctx, pods, client.InNamespace(w.namespace), client.MatchingLabels(d.Spec.Template.Labels)); err != nil {
		return false, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.Containers[0].Image == image {
			return len(pod.Status.ContainerStatuses) > 0, w.runPod(ctx, pod)
		}
		if err := admin.Delete(ctx, pod, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			return false, err
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: d.Name + "-", Labels: d.Spec.Template.Labels},
		Spec:       *d.Spec.Template.Spec.DeepCopy(),
	}
	return false, admin.Create(ctx, pod)
}

// runPod pulls: it reports the digest that the image has, or shows, now.
func (w *world) runPod(ctx context.Context, pod *corev1.Pod) error {
	if len(pod.Status.ContainerStatuses) > 0 {
		return nil
	}
	ref, err := reference.Parse(pod.Spec.Containers[0].Image)
	if err != nil {
		return err
	}
	digest := ref.Digest
	if digest == "" {
		digest = string(w.shows(strings.TrimPrefix(ref.Name(), w.host+"/")))
	}
	if digest == "" {
		return nil // the image does not exist yet
	}
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, ImageID: ref.Pinned(digest), Ready: true,
	}}
	return client.IgnoreNotFound(admin.Status().Patch(ctx, pod, client.MergeFrom(before)))
}
