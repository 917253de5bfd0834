// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
)

type healthCase struct {
	object      client.Object
	wantHealth  plan.Health
	wantMessage string
}

func runHealth(t *testing.T, tests map[string]healthCase) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			health, message := Health(tc.object)
			if health != tc.wantHealth || message != tc.wantMessage {
				t.Errorf("Health = %s, %q; want %s, %q", health, message, tc.wantHealth, tc.wantMessage)
			}
		})
	}
}

// deployment has generation 2, observed.
func deployment(wanted int32, status appsv1.DeploymentStatus, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	status.ObservedGeneration = 2
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Spec:       appsv1.DeploymentSpec{Replicas: &wanted},
		Status:     status,
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func TestHealthOfADeployment(t *testing.T) {
	done := appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3}
	paused := func(d *appsv1.Deployment) { d.Spec.Paused = true }
	late := func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"},
		}
	}
	status := func(replicas, updated, available int32) appsv1.DeploymentStatus {
		return appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: updated, AvailableReplicas: available}
	}
	runHealth(t, map[string]healthCase{
		"all replicas are updated and available": {
			deployment(3, done), plan.Healthy, "3 of 3 replicas are updated and available",
		},
		"the spec is newer than what the controller saw": {
			deployment(3, done, func(d *appsv1.Deployment) { d.Generation = 3 }), plan.Progressing, notObserved,
		},
		"some replicas are not updated": {
			deployment(3, status(4, 1, 3)), plan.Progressing, "1 out of 3 new replicas have been updated",
		},
		"old replicas are left": {
			deployment(3, status(4, 3, 3)), plan.Progressing, "1 old replicas are pending termination",
		},
		"updated replicas are not available": {
			deployment(3, status(3, 3, 2)), plan.Progressing, "2 of 3 updated replicas are available",
		},
		"the deadline was missed": {
			deployment(3, status(4, 1, 3), late), plan.Failed,
			"exceeded its progress deadline of 600 s: 1 out of 3 new replicas have been updated",
		},
		"paused on the way": {
			deployment(3, status(3, 0, 3), paused), plan.Pending, "paused: 0 out of 3 new replicas have been updated",
		},
		"paused on the way, and a former template missed the deadline": {
			deployment(3, status(3, 0, 3), paused, late), plan.Pending,
			"paused: 0 out of 3 new replicas have been updated",
		},
		"paused with surge replicas": {
			deployment(3, status(4, 3, 3), paused), plan.Pending, "paused: 1 old replicas are pending termination",
		},
		"paused, and the template is rolled out": {
			deployment(3, done, paused), plan.Healthy, "3 of 3 replicas are updated and available",
		},
		"scaled to zero": {
			deployment(0, status(0, 0, 0)), plan.Pending, "scaled to zero",
		},
		"scaled to zero with replicas left": {
			deployment(0, status(2, 0, 0)), plan.Progressing, "2 old replicas are pending termination",
		},
		"no number of replicas means one": {
			deployment(0, status(0, 0, 0), func(d *appsv1.Deployment) { d.Spec.Replicas = nil }), plan.Progressing,
			"0 out of 1 new replicas have been updated",
		},
	})
}

func statefulSet(wanted int32, status appsv1.StatefulSetStatus, change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	status.ObservedGeneration = 2
	status.Replicas = wanted
	status.CurrentRevision, status.UpdateRevision = "db-1", "db-2"
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Spec: appsv1.StatefulSetSpec{Replicas: &wanted, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
			Type:          appsv1.RollingUpdateStatefulSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To[int32](0)},
		}},
		Status: status,
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func TestHealthOfAStatefulSet(t *testing.T) {
	status := func(ready, updated int32) appsv1.StatefulSetStatus {
		return appsv1.StatefulSetStatus{ReadyReplicas: ready, UpdatedReplicas: updated}
	}
	partition := func(n int32) func(*appsv1.StatefulSet) {
		return func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate.Partition = &n }
	}
	onDelete := func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	}
	runHealth(t, map[string]healthCase{
		"all pods are updated and ready": {
			statefulSet(3, status(3, 3)), plan.Healthy, "3 of 3 pods are updated and ready",
		},
		"no controller has seen it": {
			statefulSet(3, status(3, 3), func(s *appsv1.StatefulSet) { s.Status.ObservedGeneration = 0 }),
			plan.Progressing, notObserved,
		},
		"the spec is newer than what the controller saw": {
			statefulSet(3, status(3, 3), func(s *appsv1.StatefulSet) { s.Generation = 3 }), plan.Progressing, notObserved,
		},
		"a pod is not ready": {
			statefulSet(3, status(2, 1)), plan.Progressing, "waiting for 1 pods to be ready",
		},
		"ready, and not all are updated": {
			statefulSet(3, status(3, 2)), plan.Progressing, "2 out of 3 new pods have been updated",
		},
		"the pods above the partition are not all updated": {
			statefulSet(5, status(5, 2), partition(2)), plan.Progressing, "2 out of 3 new pods have been updated",
		},
		"the partition keeps the rest back": {
			statefulSet(5, status(5, 3), partition(2)), plan.Pending, "partition 2: 3 out of 5 new pods have been updated",
		},
		"the partition keeps all back": {
			statefulSet(3, status(3, 0), partition(9)), plan.Pending, "partition 9: 0 out of 3 new pods have been updated",
		},
		"a partition, and nothing to update": {
			statefulSet(3, status(3, 3), partition(2)), plan.Healthy, "3 of 3 pods are updated and ready",
		},
		"no strategy details": {
			statefulSet(3, status(3, 1), func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate = nil }),
			plan.Progressing, "1 out of 3 new pods have been updated",
		},
		"pods are replaced by hand": {
			statefulSet(3, status(3, 1), onDelete), plan.Pending,
			"update strategy OnDelete: 1 out of 3 new pods have been updated",
		},
		"pods were replaced by hand": {
			statefulSet(3, status(3, 3), onDelete), plan.Healthy, "3 of 3 pods are updated and ready",
		},
		"scaled to zero": {
			statefulSet(0, status(0, 0)), plan.Pending, "scaled to zero",
		},
		"scaled to zero with pods left": {
			statefulSet(0, status(1, 1), func(s *appsv1.StatefulSet) { s.Status.Replicas = 1 }), plan.Progressing,
			"1 old replicas are pending termination",
		},
	})
}

func TestHealthOfADaemonSet(t *testing.T) {
	daemonSet := func(desired, updated, available int32, change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
		d := &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Generation: 2},
			Status: appsv1.DaemonSetStatus{
				ObservedGeneration: 2, DesiredNumberScheduled: desired,
				UpdatedNumberScheduled: updated, NumberAvailable: available,
			},
		}
		for _, f := range change {
			f(d)
		}
		return d
	}
	onDelete := func(d *appsv1.DaemonSet) { d.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType }
	runHealth(t, map[string]healthCase{
		"all pods are updated and available": {
			daemonSet(4, 4, 4), plan.Healthy, "4 of 4 pods are updated and available",
		},
		"the spec is newer than what the controller saw": {
			daemonSet(4, 4, 4, func(d *appsv1.DaemonSet) { d.Generation = 3 }), plan.Progressing, notObserved,
		},
		"some pods are not updated": {
			daemonSet(4, 1, 4), plan.Progressing, "1 out of 4 new pods have been updated",
		},
		"updated pods are not available": {
			daemonSet(4, 4, 3), plan.Progressing, "3 of 4 updated pods are available",
		},
		"pods are replaced by hand": {
			daemonSet(4, 1, 4, onDelete), plan.Pending, "update strategy OnDelete: 1 out of 4 new pods have been updated",
		},
		"pods were replaced by hand": {
			daemonSet(4, 4, 4, onDelete), plan.Healthy, "4 of 4 pods are updated and available",
		},
		"no node to run on": {
			daemonSet(0, 0, 0), plan.Pending, "no node to run on",
		},
	})
}

func TestHealthOfAnotherKind(t *testing.T) {
	if health, _ := Health(&corev1.Pod{}); health != plan.Pending {
		t.Errorf("Health of a pod = %s, want %s", health, plan.Pending)
	}
}
