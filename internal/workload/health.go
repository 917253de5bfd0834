// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
)

// deadlineExceeded is the reason of the condition Progressing of a Deployment
// that missed spec.progressDeadlineSeconds (k8s.io/kubernetes,
// pkg/controller/deployment/util, TimedOutReason).
const deadlineExceeded = "ProgressDeadlineExceeded"

const notObserved = "waiting for the controller to observe the change of spec"

// Health says where a workload stands on its way to its template, and what is
// being waited for, by the rules of kubectl rollout status (k8s.io/kubectl,
// pkg/polymorphichelpers/rollout_status.go, v0.37).
//
// Pending is ours, for what kubectl would call an error or would wait for without
// end: a template that cannot start now, because the Deployment is paused, the
// update strategy is OnDelete, a partition keeps pods back, or nothing is wanted
// (zero replicas, no node for a DaemonSet). Where such a workload runs its
// template all the same it is Healthy.
//
// Only Deployments have a deadline, and so only they can be Failed here. An
// object of another kind is Pending.
func Health(obj client.Object) (plan.Health, string) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return deploymentHealth(o)
	case *appsv1.StatefulSet:
		return statefulSetHealth(o)
	case *appsv1.DaemonSet:
		return daemonSetHealth(o)
	}
	return plan.Pending, fmt.Sprintf("%T is no workload", obj)
}

func deploymentHealth(d *appsv1.Deployment) (plan.Health, string) {
	if d.Generation > d.Status.ObservedGeneration {
		return plan.Progressing, notObserved
	}
	wanted, status := replicas(d.Spec.Replicas), d.Status
	if wanted == 0 && status.Replicas == 0 {
		return plan.Pending, "scaled to zero"
	}
	waiting, outdated := "", status.UpdatedReplicas < wanted || status.Replicas > status.UpdatedReplicas
	switch {
	case status.UpdatedReplicas < wanted:
		waiting = fmt.Sprintf("%d out of %d new replicas have been updated", status.UpdatedReplicas, wanted)
	case status.Replicas > status.UpdatedReplicas:
		waiting = fmt.Sprintf("%d old replicas are pending termination", status.Replicas-status.UpdatedReplicas)
	case status.AvailableReplicas < status.UpdatedReplicas:
		waiting = fmt.Sprintf("%d of %d updated replicas are available", status.AvailableReplicas, status.UpdatedReplicas)
	}
	switch {
	case d.Spec.Paused && outdated:
		// Before the deadline: a missed one stays in the status of a paused
		// Deployment, and may be the former template's.
		return plan.Pending, "paused: " + waiting
	case exceededDeadline(d):
		message := fmt.Sprintf("exceeded its progress deadline of %d s", deadlineSeconds(d))
		if waiting != "" {
			message += ": " + waiting
		}
		return plan.Failed, message
	case waiting != "":
		return plan.Progressing, waiting
	}
	return plan.Healthy, fmt.Sprintf("%d of %d replicas are updated and available", status.AvailableReplicas, wanted)
}

func exceededDeadline(d *appsv1.Deployment) bool {
	for i := range d.Status.Conditions {
		c := &d.Status.Conditions[i]
		if c.Type == appsv1.DeploymentProgressing {
			return c.Reason == deadlineExceeded
		}
	}
	return false
}

// deadlineSeconds is 600 where the spec says nothing, as the API server has it.
func deadlineSeconds(d *appsv1.Deployment) int32 {
	if d.Spec.ProgressDeadlineSeconds == nil {
		return 600
	}
	return *d.Spec.ProgressDeadlineSeconds
}

func statefulSetHealth(s *appsv1.StatefulSet) (plan.Health, string) {
	status := s.Status
	if status.ObservedGeneration == 0 || s.Generation > status.ObservedGeneration {
		return plan.Progressing, notObserved
	}
	wanted, partition := replicas(s.Spec.Replicas), partitionOf(s)
	updated := fmt.Sprintf("%d out of %d new pods have been updated", status.UpdatedReplicas, wanted)
	switch {
	case wanted == 0 && status.Replicas == 0:
		return plan.Pending, "scaled to zero"
	case s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType && status.UpdatedReplicas < wanted:
		return plan.Pending, "update strategy OnDelete: " + updated
	case status.ReadyReplicas < wanted:
		return plan.Progressing, fmt.Sprintf("waiting for %d pods to be ready", wanted-status.ReadyReplicas)
	case status.UpdatedReplicas < wanted-partition:
		return plan.Progressing, fmt.Sprintf("%d out of %d new pods have been updated", status.UpdatedReplicas, wanted-partition)
	case status.UpdatedReplicas < wanted && status.CurrentRevision != status.UpdateRevision:
		// kubectl calls this complete. The pods below the partition are old all
		// the same, and they stay so until a person moves the partition.
		return plan.Pending, fmt.Sprintf("partition %d: %s", partition, updated)
	case status.Replicas > wanted:
		return plan.Progressing, fmt.Sprintf("%d old replicas are pending termination", status.Replicas-wanted)
	}
	return plan.Healthy, fmt.Sprintf("%d of %d pods are updated and ready", status.ReadyReplicas, wanted)
}

// partitionOf is the ordinal below which pods keep the former template; 0 where
// the strategy has none.
func partitionOf(s *appsv1.StatefulSet) int32 {
	rolling := s.Spec.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.Partition == nil {
		return 0
	}
	return *rolling.Partition
}

func daemonSetHealth(d *appsv1.DaemonSet) (plan.Health, string) {
	status := d.Status
	if d.Generation > status.ObservedGeneration {
		return plan.Progressing, notObserved
	}
	wanted := status.DesiredNumberScheduled
	updated := fmt.Sprintf("%d out of %d new pods have been updated", status.UpdatedNumberScheduled, wanted)
	switch {
	case wanted == 0:
		return plan.Pending, "no node to run on"
	case status.UpdatedNumberScheduled < wanted && d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		return plan.Pending, "update strategy OnDelete: " + updated
	case status.UpdatedNumberScheduled < wanted:
		return plan.Progressing, updated
	case status.NumberAvailable < wanted:
		return plan.Progressing, fmt.Sprintf("%d of %d updated pods are available", status.NumberAvailable, wanted)
	}
	return plan.Healthy, fmt.Sprintf("%d of %d pods are updated and available", status.NumberAvailable, wanted)
}

// replicas is 1 where the spec says nothing, as the API server has it.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
