// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// Claimants are the lineages of a namespace with one of the repositories, by name, each
// once.
func Claimants(ctx context.Context, c client.Reader, namespace string, repositories []string) ([]plan.Claimant, error) {
	var out []plan.Claimant
	for _, repository := range repositories {
		found, err := list(ctx, c, client.InNamespace(namespace), client.MatchingFields{byRepository: repository})
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			if claimant, ok := plan.ClaimantOf(l); ok {
				out = append(out, claimant)
			}
		}
	}
	slices.SortFunc(out, func(a, b plan.Claimant) int { return cmp.Compare(a.Name, b.Name) })
	// A lineage with a mirror has two repositories.
	return slices.CompactFunc(out, func(a, b plan.Claimant) bool { return a.Name == b.Name }), nil
}

// Workloads are the workloads of a namespace that mention one of the repositories, with
// what their pods run.
func Workloads(ctx context.Context, c client.Reader, namespace string, repositories []string) ([]plan.Workload, error) {
	found, err := WorkloadNames(ctx, c, namespace, repositories)
	if err != nil {
		return nil, err
	}
	var out []plan.Workload
	for _, obj := range found {
		w, err := Observe(ctx, c, obj)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b plan.Workload) int { return cmp.Compare(a.String(), b.String()) })
	return out, nil
}

// WorkloadNames are the workloads of a namespace that mention one of the
// repositories, each once.
func WorkloadNames(ctx context.Context, c client.Reader, namespace string, repositories []string) ([]client.Object, error) {
	var out []client.Object
	found := map[types.UID]bool{}
	for _, repository := range repositories {
		for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}} {
			if err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{byRepository: repository}); err != nil {
				return nil, fmt.Errorf("listing workloads: %w", err)
			}
			for _, obj := range objects(list) {
				if !found[obj.GetUID()] {
					found[obj.GetUID()] = true
					out = append(out, obj)
				}
			}
		}
	}
	return out, nil
}

func objects(list client.ObjectList) []client.Object {
	var out []client.Object
	switch found := list.(type) {
	case *appsv1.DeploymentList:
		for i := range found.Items {
			out = append(out, &found.Items[i])
		}
	case *appsv1.StatefulSetList:
		for i := range found.Items {
			out = append(out, &found.Items[i])
		}
	case *appsv1.DaemonSetList:
		for i := range found.Items {
			out = append(out, &found.Items[i])
		}
	}
	return out
}

// Observe reads a workload's containers and health, and what its pods run.
func Observe(ctx context.Context, c client.Reader, obj client.Object) (plan.Workload, error) {
	w, err := workload.FromObject(obj)
	if err != nil {
		return w, err
	}
	selector, err := workload.Selector(obj)
	if err != nil {
		return w, err
	}
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(obj.GetNamespace()), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return w, fmt.Errorf("listing the pods of %s: %w", w, err)
	}
	return workload.Running(w, selector, pods.Items), nil
}

// LineagesRunning are the lineages of a namespace with one of the repositories.
func LineagesRunning(ctx context.Context, c client.Reader, namespace string, repositories []string) ([]types.NamespacedName, error) {
	claimants, err := Claimants(ctx, c, namespace, repositories)
	var out []types.NamespacedName
	for _, claimant := range claimants {
		out = append(out, types.NamespacedName{Namespace: namespace, Name: claimant.Name})
	}
	return out, err
}
