// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Package is the package whose version tells one state of the base from another.
const Package = "acme-ca-certificates"

// Live is a shop in a cluster.
type Live struct {
	Shop
	// Cluster that it is in.
	Cluster Cluster
	// Client of that cluster.
	Client client.Client
}

// Lineage reads a lineage: namespace is platform or shop.
func (l Live) Lineage(ctx context.Context, namespace, name string) (*v1alpha1.ImageLineage, error) {
	lineage := &v1alpha1.ImageLineage{}
	err := l.Client.Get(ctx, types.NamespacedName{Namespace: l.Namespace(namespace), Name: name}, lineage)
	return lineage, err
}

// Lineages reads all lineages of the shop.
func (l Live) Lineages(ctx context.Context) ([]v1alpha1.ImageLineage, error) {
	var all []v1alpha1.ImageLineage
	for _, namespace := range l.Namespaces() {
		found := &v1alpha1.ImageLineageList{}
		if err := l.Client.List(ctx, found, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		all = append(all, found.Items...)
	}
	return all, nil
}

// Settled holds when every lineage of the shop is Ready, has an image, stands on what its
// parents are now, and has its image on all the workloads that it moves.
func (l Live) Settled(ctx context.Context) error {
	return l.each(ctx, func(lineage *v1alpha1.ImageLineage, current map[string]v1alpha1.Digest) string {
		if condition := Condition(lineage, v1alpha1.ConditionReady); condition.Status != metav1.ConditionTrue {
			return SaidOf(lineage)
		}
		return moving(lineage, current)
	})
}

// AtRest holds when nothing moves any more: it is as Settled, except for lineages that
// wait for a person.
func (l Live) AtRest(ctx context.Context) error {
	return l.each(ctx, func(lineage *v1alpha1.ImageLineage, current map[string]v1alpha1.Digest) string {
		if Waits(lineage) {
			return ""
		}
		return moving(lineage, current)
	})
}

// Waits is true for a lineage that goes on only when a person has acted.
func Waits(l *v1alpha1.ImageLineage) bool {
	if Condition(l, v1alpha1.ConditionStalled).Status == metav1.ConditionTrue {
		return true
	}
	reason := Condition(l, v1alpha1.ConditionReady).Reason
	return reason == v1alpha1.ReasonHeldByUser || reason == v1alpha1.ReasonHeldSuspended
}

// each asks about every lineage, given what all of them are now by their references, and
// collects the answers.
func (l Live) each(ctx context.Context, ask func(*v1alpha1.ImageLineage, map[string]v1alpha1.Digest) string) error {
	lineages, err := l.Lineages(ctx)
	if err != nil {
		return err
	}
	current := map[string]v1alpha1.Digest{}
	for i := range lineages {
		if c := lineages[i].Status.Current; c != nil {
			current[string(lineages[i].Spec.Image)] = c.Digest
		}
	}
	var waiting []string
	for i := range lineages {
		if why := ask(&lineages[i], current); why != "" {
			waiting = append(waiting, lineages[i].Name+" ("+why+")")
		}
	}
	if len(waiting) > 0 {
		return errors.New(strings.Join(waiting, ", "))
	}
	return nil
}

// moving says what a lineage is still doing, by what it shows and not by what it says of
// itself: a status may not have heard of a parent's move yet.
func moving(l *v1alpha1.ImageLineage, current map[string]v1alpha1.Digest) string {
	switch {
	case l.Status.Current == nil:
		return "no image yet: " + SaidOf(l)
	case l.Status.ObservedGeneration != l.Generation,
		Condition(l, v1alpha1.ConditionReconciling).Status == metav1.ConditionTrue:
		return SaidOf(l)
	}
	if l.Spec.Build != nil {
		for _, parent := range l.Status.Current.BuiltFrom {
			if now, known := current[parent.Reference]; known && now != parent.Digest {
				return fmt.Sprintf("is on an older %s: %s", parent.Name, SaidOf(l))
			}
		}
	}
	if rollout := l.Status.Rollout; rollout != nil && l.Spec.Rollout != nil && rollout.Current != rollout.Total {
		return "workloads " + rollout.Summary
	}
	return ""
}

// Condition is a condition of a lineage; an empty one where it has none of that type.
func Condition(l *v1alpha1.ImageLineage, kind string) metav1.Condition {
	for _, condition := range l.Status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return metav1.Condition{}
}

// Pods of an application that are running and not about to end.
func (l Live) Pods(ctx context.Context, app string) ([]corev1.Pod, error) {
	found := &corev1.PodList{}
	err := l.Client.List(ctx, found, client.InNamespace(l.Namespace("shop")), client.MatchingLabels{"app": app})
	var running []corev1.Pod
	for i := range found.Items {
		pod := &found.Items[i]
		if pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			running = append(running, *pod)
		}
	}
	return running, err
}

// Version is the version of Package in a running pod of an application, by its own dpkg.
func (l Live) Version(ctx context.Context, app string) (string, error) {
	pods, err := l.Pods(ctx, app)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		return "", fmt.Errorf("no pod of %s is running", app)
	}
	return l.VersionIn(ctx, &pods[0])
}

// VersionIn is the version of Package in a pod, by the pod's own dpkg.
func (l Live) VersionIn(ctx context.Context, pod *corev1.Pod) (string, error) {
	return l.Cluster.Run(ctx, "exec", "--namespace", pod.Namespace, pod.Name, "--",
		"dpkg-query", "--show", "--showformat", "${Version}", Package)
}

// Move puts a state of the base that was pushed before under the base's tag, and returns
// when the registry had it.
func (l Live) Move(ctx context.Context, version string) (time.Time, error) {
	return l.Registry.Retag(ctx, l.BaseVersion(version), l.Image(BaseTag))
}
