//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// owner is who changes other people's Deployments here.
const owner = client.FieldOwner("imagelineage-e2e")

// tekton is the Deployment of Tekton's controller.
var tekton = types.NamespacedName{Namespace: "tekton-pipelines", Name: "tekton-pipelines-controller"}

// Tekton's controller is away when the base moves, and comes back.
var tektonDown = driver{
	place: "trouble-tekton",
	halts: true,
	cause: func(w *trouble) {
		w.stopTekton()
		w.move(subject, later)
	},
	// The run is there, and nobody has begun it.
	lasts: func(w *trouble) {
		w.wantRuns(2)
		run := w.newestRun()
		if conditions, found, _ := unstructured.NestedSlice(run.Object, "status", "conditions"); found {
			w.t.Errorf("somebody has begun run %s: %v", run.GetName(), conditions)
		}
	},
	cure: func(w *trouble) { w.restore() },
	ends: builtOnce(later, 1),
}

// stopTekton scales Tekton's controller down, and returns when its pods are gone.
func (w *trouble) stopTekton() {
	w.t.Helper()
	deployment := &appsv1.Deployment{}
	must(w.t, live.Client.Get(w.t.Context(), tekton, deployment))
	w.change(deployment, func(spec *appsv1.DeploymentSpec) { spec.Replicas = new(int32) })
	until(w.t, answerLimit, "the end of Tekton's controller", func(ctx context.Context) error {
		pods := &corev1.PodList{}
		err := live.Client.List(ctx, pods, client.InNamespace(tekton.Namespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%s is there", pods.Items[0].Name)
		}
		return err
	})
}

// change changes somebody else's Deployment. It is put back by the cure, and in any case
// when the test is over.
func (w *trouble) change(deployment *appsv1.Deployment, change func(*appsv1.DeploymentSpec)) {
	w.t.Helper()
	before := deployment.DeepCopy()
	w.restore = func() { undo(w.t, before) }
	w.t.Cleanup(w.restore)
	change(&deployment.Spec)
	must(w.t, live.Client.Patch(w.t.Context(), deployment, client.StrategicMergeFrom(before), owner))
}

// undo makes a Deployment what it was before.
func undo(t *testing.T, before *appsv1.Deployment) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	now := &appsv1.Deployment{}
	must(t, live.Client.Get(ctx, client.ObjectKeyFromObject(before), now))
	changed := now.DeepCopy()
	before.Spec.DeepCopyInto(&now.Spec)
	must(t, live.Client.Patch(ctx, now, client.StrategicMergeFrom(changed), owner))
	// And takes the name of this test off the fields that it wrote: whoever applies the
	// manifest would find them to be somebody else's.
	signed := now.DeepCopy()
	now.ManagedFields = before.ManagedFields
	must(t, live.Client.Patch(ctx, now, client.MergeFrom(signed), owner))
}

// newestRun is the run of the subject that was made last.
func (w *trouble) newestRun() *unstructured.Unstructured {
	w.t.Helper()
	name := w.read(subject).Status.Run.Name
	runs, err := w.runs(w.t.Context())
	must(w.t, err)
	for i := range runs {
		if runs[i].GetName() == name {
			return &runs[i]
		}
	}
	w.t.Fatalf("run %s is not there", name)
	return nil
}

// The operator gets so little memory that the kernel kills it again and again. It dies
// with a run in flight, which ends meanwhile.
var operatorStarves = driver{
	place: "trouble-memory",
	halts: true,
	cause: func(w *trouble) {
		w.move(subject, later)
		w.isSaid(v1alpha1.ReasonBuilding, nil)
		w.starve()
	},
	lasts: func(w *trouble) {
		until(w.t, answerLimit, "an operator that is killed for its memory", killedForMemory)
		until(w.t, answerLimit, "the end of the run", func(context.Context) error {
			if ended := shop.RunEnded(w.newestRun()); ended != "True" {
				return fmt.Errorf("its condition Succeeded is %q", ended)
			}
			return nil
		})
		if run := w.read(subject).Status.Run; run.Outcome != "" {
			w.t.Errorf("the operator has seen the end of run %s: it did not die in the middle", run.Name)
		}
	},
	cure: func(w *trouble) { w.restore() },
	ends: builtOnce(later, 1),
}

// starving is less than the operator needs to start.
const starving = "10Mi"

// starve takes the operator's memory. The old Pod goes before the new one comes: else it
// would stay, as the new one is never ready.
func (w *trouble) starve() {
	w.t.Helper()
	deployment, err := operatorDeployment(w.t.Context())
	must(w.t, err)
	none, one := intstr.FromInt32(0), intstr.FromInt32(1)
	w.change(deployment, func(spec *appsv1.DeploymentSpec) {
		manager := &spec.Template.Spec.Containers[0]
		manager.Resources.Limits[corev1.ResourceMemory] = resource.MustParse(starving)
		manager.Resources.Requests[corev1.ResourceMemory] = resource.MustParse(starving)
		spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &none, MaxUnavailable: &one}
	})
}

func operatorDeployment(ctx context.Context) (*appsv1.Deployment, error) {
	found := &appsv1.DeploymentList{}
	err := live.Client.List(ctx, found, client.InNamespace(shop.OperatorNamespace), client.MatchingLabels{
		"app.kubernetes.io/name": "imagelineage", "app.kubernetes.io/component": "operator",
	})
	if err == nil && len(found.Items) != 1 {
		err = fmt.Errorf("%d Deployments of the operator are in %s", len(found.Items), shop.OperatorNamespace)
	}
	if err != nil {
		return nil, err
	}
	return &found.Items[0], nil
}

// killedForMemory holds when the kernel has killed the operator twice.
func killedForMemory(ctx context.Context) error {
	pods, err := operatorPods(ctx)
	if err != nil {
		return err
	}
	for i := range pods {
		for _, c := range pods[i].Status.ContainerStatuses {
			ended := c.State.Terminated
			if ended == nil {
				ended = c.LastTerminationState.Terminated
			}
			if ended != nil && ended.Reason == "OOMKilled" && c.RestartCount > 0 && c.State.Running == nil {
				return nil
			}
		}
	}
	return errors.New("it was not killed twice")
}
