// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package index holds what the controllers share: the cache indexes, and the reads that
// go through them (who has an image, what runs it; every read costs what it finds, not
// the size of the fleet), what one controller has to tell of the other's doing, and how
// they are woken and tried again.
package index

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// byRepository is the index of lineages and workloads by canonical repository.
const byRepository = "lineage.repository"

// Kinds are empty objects of the workload kinds that can run a lineage.
func Kinds() []client.Object {
	return []client.Object{&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}}
}

// Setup registers the indexes. It is called once, before the cache starts.
func Setup(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.ImageLineage{}, byRepository, repositoriesOf); err != nil {
		return fmt.Errorf("index %s of lineages: %w", byRepository, err)
	}
	for _, kind := range Kinds() {
		if err := indexer.IndexField(ctx, kind, byRepository, workload.Images); err != nil {
			return fmt.Errorf("index %s of %T: %w", byRepository, kind, err)
		}
	}
	return nil
}

func repositoriesOf(o client.Object) []string {
	l, ok := o.(*v1alpha1.ImageLineage)
	if !ok {
		return nil
	}
	return plan.Repositories(l)
}

// Repositories are the canonical repositories of a pod's images.
func Repositories(obj client.Object) []string {
	return repositories(obj, func(reference.Reference) bool { return true })
}

// PlainRepositories are the canonical repositories of those images of a pod that
// name no digest: what such a pod runs is known only from its own status.
func PlainRepositories(obj client.Object) []string {
	return repositories(obj, func(ref reference.Reference) bool { return ref.Digest == "" })
}

func repositories(obj client.Object, wanted func(reference.Reference) bool) []string {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	var out []string
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			if ref, err := reference.Parse(c.Image); err == nil && wanted(ref) && !seen[ref.Repository] {
				seen[ref.Repository] = true
				out = append(out, ref.Repository)
			}
		}
	}
	return out
}

// list reads lineages without copying them, since there may be many: nobody may modify
// what comes from here.
func list(ctx context.Context, c client.Reader, opts ...client.ListOption) ([]*v1alpha1.ImageLineage, error) {
	found := &v1alpha1.ImageLineageList{}
	if err := c.List(ctx, found, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, err
	}
	out := make([]*v1alpha1.ImageLineage, 0, len(found.Items))
	for i := range found.Items {
		out = append(out, &found.Items[i])
	}
	return out, nil
}
