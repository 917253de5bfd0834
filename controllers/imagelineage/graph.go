// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// gatherGraph reads the lineage's place in the graph: its parents, its ancestors,
// whether it is on a cycle, whether it has a child, and who else has its image.
func (r *Reconciler) gatherGraph(ctx context.Context, s *plan.Snapshot) error {
	var err error
	if s.HasChild, err = index.HasChild(ctx, r.Client, s.Lineage, s.Reference); err != nil {
		return err
	}
	if s.Parents, err = r.parents(ctx, s.Lineage); err != nil {
		return err
	}
	graph, since, err := r.ancestry(ctx, s.Lineage)
	if err != nil {
		return err
	}
	own := keyOf(s.Lineage)
	if way := graph.Cycle(own); way != nil {
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonCycle, Message: fmt.Sprintf("the lineage is its own ancestor: %s. Remove one of these from the spec.from of the next", path(way))}
	}
	for _, key := range graph.Unsettled(own) {
		s.WaitingFor = append(s.WaitingFor, plan.Ancestor{Name: key.String(), Since: since[key].Time})
	}
	taken, err := r.taken(ctx, s.Lineage)
	if taken != nil {
		s.Problem = taken
	}
	return err
}

func keyOf(l *v1alpha1.ImageLineage) lineage.Key {
	return lineage.Key{Namespace: l.Namespace, Name: l.Name}
}

func path(way []lineage.Key) string {
	names := make([]string, 0, len(way))
	for _, key := range slices.Backward(way) {
		names = append(names, key.String())
	}
	return strings.Join(names, " → ")
}

// ancestry reads a lineage and all its ancestors, and judges each of them by the
// same triggers as the lineage itself.
func (r *Reconciler) ancestry(ctx context.Context, of *v1alpha1.ImageLineage) (lineage.Graph, map[lineage.Key]metav1.Time, error) {
	graph, since := lineage.Graph{}, map[lineage.Key]metav1.Time{}
	queue := []*v1alpha1.ImageLineage{of}
	for len(queue) > 0 {
		l := queue[0]
		queue = queue[1:]
		if _, seen := graph[keyOf(l)]; seen {
			continue
		}
		above, err := index.Above(ctx, r.Client, l)
		if err != nil {
			return nil, nil, err
		}
		settled, err := r.settled(ctx, l)
		if err != nil {
			return nil, nil, err
		}
		node := lineage.Node{Unsettled: !settled}
		for _, parent := range above {
			node.Parents = append(node.Parents, keyOf(parent))
		}
		graph[keyOf(l)] = node
		if l.Status.OutdatedSince != nil {
			since[keyOf(l)] = *l.Status.OutdatedSince
		}
		queue = append(queue, above...)
	}
	return graph, since, nil
}

// settled is whether a lineage is going to move by itself.
func (r *Reconciler) settled(ctx context.Context, l *v1alpha1.ImageLineage) (bool, error) {
	if !plan.Produced(l) {
		return true, nil
	}
	parents, err := r.parents(ctx, l)
	if err != nil {
		return false, err
	}
	blocked := false
	for _, p := range parents {
		blocked = blocked || p.Problem != nil
	}
	template, err := tekton.TemplateHash(l.Spec.Build)
	if err != nil || tekton.Check(l) != nil {
		blocked = true
	}
	taken, err := r.taken(ctx, l)
	if err != nil {
		return false, err
	}
	subject := plan.Subject{Lineage: l, Parents: parents, Template: template, Now: r.Clock.Now()}
	if plan.Settled(subject, blocked || taken != nil || r.memory.isRefused(ownerOf(l))) {
		return true, nil
	}
	// Nobody waits for a build that Tekton refuses. It was asked for this template
	// before, or is now, once.
	return templateProblem(r.checkTemplate(ctx, l, template)) != nil, nil
}

// taken is the problem of a produced lineage whose image belongs to another one.
func (r *Reconciler) taken(ctx context.Context, l *v1alpha1.ImageLineage) (*plan.Problem, error) {
	ref, unparsable := plan.ReferenceOf(l)
	if !plan.Produced(l) || unparsable != nil {
		return nil, nil
	}
	rivals, err := index.Producers(ctx, r.Client, ref)
	if err != nil {
		return nil, err
	}
	holder := plan.Holder(rivals)
	if holder == nil || holder.UID == l.UID {
		return nil, nil
	}
	return &plan.Problem{
		Reason: v1alpha1.ReasonReferenceTaken, Passing: true,
		Message: fmt.Sprintf("spec.image: %s is built by %s/%s already: remove spec.build here to follow it, or delete the other lineage", ref.Name(), holder.Namespace, holder.Name),
	}, nil
}

// parents resolves spec.from.
func (r *Reconciler) parents(ctx context.Context, l *v1alpha1.ImageLineage) ([]plan.Parent, error) {
	out := make([]plan.Parent, 0, len(l.Spec.From))
	for _, from := range l.Spec.From {
		parent := plan.Parent{Name: from.Name, Use: from.As}
		if parent.Use == "" {
			parent.Use = v1alpha1.ParentBase
		}
		if from.LineageRef == nil {
			r.implicitParent(l, from, &parent)
		} else if err := r.declaredParent(ctx, l, *from.LineageRef, &parent); err != nil {
			return nil, err
		}
		out = append(out, parent)
	}
	return out, nil
}

// declaredParent reads a parent that is a lineage of its own.
func (r *Reconciler) declaredParent(ctx context.Context, child *v1alpha1.ImageLineage, ref v1alpha1.LineageReference, parent *plan.Parent) error {
	name := index.ParentName(child.Namespace, ref)
	l := &v1alpha1.ImageLineage{}
	err := r.Client.Get(ctx, name, l)
	if apierrors.IsNotFound(err) {
		parent.Problem = &plan.Problem{
			Reason: v1alpha1.ReasonParentNotFound, Passing: true,
			Message: fmt.Sprintf("the ImageLineage %s does not exist: create it, or correct lineageRef", name),
		}
		return nil
	}
	if err != nil {
		return err
	}
	namespaceLabels, err := r.namespaceLabels(ctx, child.Namespace)
	if err != nil {
		return err
	}
	parent.Problem = plan.Admits(l, child.Namespace, namespaceLabels)
	if parent.Problem != nil {
		return nil
	}
	if parent.Reference, err = plan.ReferenceOf(l); err != nil {
		parent.Problem = &plan.Problem{Reason: v1alpha1.ReasonParentNotFound, Passing: true, Message: fmt.Sprintf("the spec.image of %s cannot be used: %v", name, err)}
		return nil
	}
	parent.Kept, parent.Mirrors = l.Status.History, plan.Mirrors(l)
	if current := l.Status.Current; current != nil {
		parent.Current = &plan.ParentCurrent{
			Digest: current.Digest, Identity: plan.Counting(plan.ChangeOn(l), current.Digest, current.Identities),
			Identities: current.Identities, Accepted: current.Accepted.Time, Roots: current.Roots, Mirror: plan.CopyOf(l, current.Revision),
		}
	}
	return nil
}

func (r *Reconciler) namespaceLabels(ctx context.Context, name string) (map[string]string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, namespace)
	return namespace.Labels, client.IgnoreNotFound(err)
}

// implicitParent reads a parent that is only an image. What was accepted before
// stays in use while the registry has not answered, so that a restart is no news.
func (r *Reconciler) implicitParent(child *v1alpha1.ImageLineage, from v1alpha1.Parent, parent *plan.Parent) {
	ref, err := reference.ParseTag(string(from.Image))
	if err != nil {
		parent.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
		return
	}
	parent.Reference = ref
	known := knownParent(child, from.Name, ref)
	digest, identity, accepted := known.Accepted, known.Identity, r.Clock.Now()
	parent.Observed = known.Observed
	if o := r.Poller.Latest(ownerOf(child), ref); o != nil && o.Digest != "" {
		parent.Observed = o.Digest
		if digest != o.Digest || o.Identity.Kind != "" {
			digest, identity = o.Digest, &o.Identity
		}
	}
	if digest == "" {
		return
	}
	if known.Accepted == digest && known.FirstSeen != nil {
		accepted = known.FirstSeen.Time
	}
	parent.Current = &plan.ParentCurrent{
		Digest: digest, Identity: plan.Counting(plan.ChangeOn(child), digest, identities(identity)), Accepted: accepted,
		Roots: []v1alpha1.Root{{Reference: ref.Name(), Digest: digest, Accepted: metav1.NewMicroTime(accepted)}},
	}
}

func identities(of *v1alpha1.Identity) []v1alpha1.Identity {
	if of == nil {
		return nil
	}
	return []v1alpha1.Identity{*of}
}

// knownParent is what the status remembers of an implicit parent, while it stands
// for the same image.
func knownParent(child *v1alpha1.ImageLineage, name v1alpha1.ParentName, ref reference.Reference) v1alpha1.ParentStatus {
	for _, known := range child.Status.From {
		if known.Name == name && known.Reference == ref.Name() {
			return known
		}
	}
	return v1alpha1.ParentStatus{}
}
