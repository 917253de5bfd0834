// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package index holds what the controllers share: the cache indexes, and the reads that
// go through them (who has an image, who is built on it, what runs it; every read costs
// what it finds, not the size of the fleet), what one controller has to tell of the
// other's doing, and how they are woken and tried again.
package index

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// The names of the indexes.
const (
	// byReference: lineages by their canonical repository:tag.
	byReference = "lineage.reference"
	// byRepository: lineages and workloads by canonical repository.
	byRepository = "lineage.repository"
	// byParent: lineages by what their from names, namespace/name of a lineage or
	// the canonical repository:tag of an image.
	byParent = "lineage.parent"
)

// Kinds are empty objects of the workload kinds that can run a lineage.
func Kinds() []client.Object {
	return []client.Object{&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}}
}

// Setup registers the indexes. It is called once, before the cache starts.
func Setup(ctx context.Context, indexer client.FieldIndexer) error {
	lineages := map[string]client.IndexerFunc{
		byReference:  referenceOf,
		byRepository: repositoriesOf,
		byParent:     parentsOf,
	}
	for field, values := range lineages {
		if err := indexer.IndexField(ctx, &v1alpha1.ImageLineage{}, field, values); err != nil {
			return fmt.Errorf("index %s: %w", field, err)
		}
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

func referenceOf(o client.Object) []string {
	l, ok := o.(*v1alpha1.ImageLineage)
	if !ok {
		return nil
	}
	ref, err := plan.ReferenceOf(l)
	if err != nil {
		return nil
	}
	return []string{ref.Name()}
}

func parentsOf(o client.Object) []string {
	l, ok := o.(*v1alpha1.ImageLineage)
	if !ok {
		return nil
	}
	var out []string
	for _, from := range l.Spec.From {
		if from.LineageRef != nil {
			out = append(out, ParentName(l.Namespace, *from.LineageRef).String())
		} else if ref, err := reference.ParseTag(string(from.Image)); err == nil {
			out = append(out, ref.Name())
		}
	}
	return out
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

// ParentName is the lineage that a reference names from a child's namespace.
func ParentName(childNamespace string, ref v1alpha1.LineageReference) types.NamespacedName {
	name := types.NamespacedName{Namespace: string(ref.Namespace), Name: string(ref.Name)}
	if name.Namespace == "" {
		name.Namespace = childNamespace
	}
	return name
}

// Children are the lineages that name a lineage, or its image, as a parent, and
// those that follow the image which it builds. One may come twice.
func Children(ctx context.Context, c client.Reader, l *v1alpha1.ImageLineage) ([]*v1alpha1.ImageLineage, error) {
	keys := []client.ListOption{client.MatchingFields{byParent: l.Namespace + "/" + l.Name}}
	if ref, err := plan.ReferenceOf(l); err == nil {
		keys = append(keys, client.MatchingFields{byParent: ref.Name()}, client.MatchingFields{byReference: ref.Name()})
	}
	var out []*v1alpha1.ImageLineage
	for _, key := range keys {
		found, err := list(ctx, c, key)
		if err != nil {
			return nil, err
		}
		for _, child := range found {
			if child.UID != l.UID {
				out = append(out, child)
			}
		}
	}
	return out, nil
}

// HasChild is true where another lineage names a lineage, or its image, as a
// parent.
func HasChild(ctx context.Context, c client.Reader, l *v1alpha1.ImageLineage, ref reference.Reference) (bool, error) {
	// A second one, since the first may be the lineage itself.
	const enough = 2
	for _, key := range []string{l.Namespace + "/" + l.Name, ref.Name()} {
		found, err := list(ctx, c, client.MatchingFields{byParent: key}, client.Limit(enough))
		if err != nil {
			return false, err
		}
		for _, child := range found {
			if child.UID != l.UID {
				return true, nil
			}
		}
	}
	return false, nil
}

// Above are the lineages that a lineage is built on, however it names them: by
// lineageRef, by the image that another lineage builds, or, where it is followed
// itself, by standing for an image that another lineage builds.
func Above(ctx context.Context, c client.Reader, l *v1alpha1.ImageLineage) ([]*v1alpha1.ImageLineage, error) {
	var out []*v1alpha1.ImageLineage
	for _, from := range l.Spec.From {
		if from.LineageRef != nil {
			parent := &v1alpha1.ImageLineage{}
			err := c.Get(ctx, ParentName(l.Namespace, *from.LineageRef), parent)
			if client.IgnoreNotFound(err) != nil {
				return nil, err
			}
			if err == nil {
				out = append(out, parent)
			}
			continue
		}
		producers, err := producersOf(ctx, c, l, string(from.Image))
		if err != nil {
			return nil, err
		}
		out = append(out, producers...)
	}
	if !plan.Followed(l) || l.Spec.Tags != nil {
		return out, nil
	}
	return producersOf(ctx, c, l, string(l.Spec.Image))
}

// producersOf is the lineage that builds an image, as another one has to believe
// it: of another namespace only where it has built it before. A claim alone, by
// somebody who may not even push there, must not hold up who uses the image.
func producersOf(ctx context.Context, c client.Reader, of *v1alpha1.ImageLineage, image string) ([]*v1alpha1.ImageLineage, error) {
	ref, unparsable := reference.ParseTag(image)
	if unparsable != nil {
		return nil, nil // its own lineage says so
	}
	producers, err := Producers(ctx, c, ref)
	holder := plan.Holder(producers)
	if holder == nil || holder.Namespace != of.Namespace && !plan.HasBuilt(holder) {
		return nil, err
	}
	return []*v1alpha1.ImageLineage{holder}, err
}

// Producers are the lineages that build an image.
func Producers(ctx context.Context, c client.Reader, ref reference.Reference) ([]*v1alpha1.ImageLineage, error) {
	found, err := list(ctx, c, client.MatchingFields{byReference: ref.Name()})
	var out []*v1alpha1.ImageLineage
	for _, l := range found {
		if plan.Produced(l) && l.DeletionTimestamp.IsZero() {
			out = append(out, l)
		}
	}
	return out, err
}

// list reads lineages without copying them, since a base may have a thousand children:
// nobody may modify what comes from here.
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
