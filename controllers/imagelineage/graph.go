// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// gatherGraph reads the lineage's place in the graph: its parents, its ancestors,
// whether it is on a cycle, whether it has a child, and who else has its image.
func (r *Reconciler) gatherGraph(ctx context.Context, s *plan.Snapshot) error {
	own := ownerOf(s.Lineage)
	s.HasChild = r.Fleet.HasChild(own)
	var err error
	if s.Parents, err = r.parents(ctx, s.Lineage); err != nil {
		return err
	}
	graph, lineages := r.Fleet.Ancestry(own)
	if way := graph.Cycle(own); way != nil {
		s.Problem = plan.OnCycle(way)
	}
	all := ancestry{graph: graph, lineages: lineages, ancestors: map[lineage.Key]member{}}
	for key, ancestor := range lineages {
		if key == own {
			continue
		}
		m, err := r.judge(ctx, ancestor, s.Now)
		if err != nil {
			return err
		}
		all.place(key, m.parents)
		all.ancestors[key] = m
	}
	all.gatherJoin(s)
	s.SettleTimeout = r.SettleTimeout
	s.AncestorDue = firstDue(graph, all.ancestors)
	if taken := r.taken(s.Lineage); taken != nil {
		s.Problem = taken
	}
	return nil
}

// member is a lineage as its descendants see it.
type member struct {
	plan.Ancestor

	// motion is what can be expected of it.
	motion lineage.Motion
	// parents of it, where something may come down through it.
	parents []plan.Parent
	// due is when it is built anew because of the time; zero where it is not, or where
	// something else goes on.
	due time.Time
}

// firstDue is when the first ancestor is built anew that does nothing now.
func firstDue(graph *lineage.Graph, ancestors map[lineage.Key]member) time.Time {
	var first time.Time
	for key, m := range ancestors {
		if !m.due.IsZero() && (first.IsZero() || m.due.Before(first)) && graph.Cycle(key) == nil {
			first = m.due
		}
	}
	return first
}

// judge is what can be expected of an ancestor, now or later, by the same triggers as
// the lineage itself.
func (r *Reconciler) judge(ctx context.Context, l *v1alpha1.ImageLineage, now time.Time) (member, error) {
	m := member{Ancestor: plan.Ancestor{Name: ownerOf(l).String()}}
	if l.Status.OutdatedSince != nil {
		m.Since = l.Status.OutdatedSince.Time
	}
	if plan.Followed(l) {
		return m, nil
	}
	m.motion = lineage.Held
	if !plan.Produced(l) || l.Spec.Suspend || tekton.Check(l) != nil || r.taken(l) != nil {
		return m, nil
	}
	parents, err := r.parents(ctx, l)
	if err != nil {
		return m, err
	}
	for _, p := range parents {
		if p.Problem != nil {
			return m, nil
		}
	}
	template, err := tekton.TemplateHash(l.Spec.Build)
	if err != nil {
		return m, nil //nolint:nilerr // it is held until its template is mended, which it says itself
	}
	refused := r.memory.isRefused(ownerOf(l))
	subject := plan.Subject{Lineage: l, Parents: parents, Template: template, Now: now}
	m.parents, m.due = parents, plan.Due(subject, refused)
	m.Refreshed, m.Itself = plan.Refreshing(subject), plan.Itself(subject)
	switch {
	case plan.Barred(subject, refused):
		// It stays held.
	case plan.Settled(subject, refused):
		m.motion = lineage.Still
	case templateProblem(r.checkTemplate(ctx, l, template)) == nil:
		m.motion = lineage.Moving
	default:
		// Nobody waits for a build that Tekton refuses. It was asked for this template
		// before, or is now, once.
	}
	return m, nil
}

// taken is the problem of a produced lineage whose image belongs to another one.
func (r *Reconciler) taken(l *v1alpha1.ImageLineage) *plan.Problem {
	ref, unparsable := plan.ReferenceOf(l)
	if !plan.Produced(l) || unparsable != nil {
		return nil
	}
	holder := r.Fleet.Holder(ref)
	if holder == nil || holder.UID == l.UID {
		return nil
	}
	return plan.TakenBy(ownerOf(holder), ref)
}

// parents resolves spec.from.
func (r *Reconciler) parents(ctx context.Context, l *v1alpha1.ImageLineage) ([]plan.Parent, error) {
	out := make([]plan.Parent, 0, len(l.Spec.From))
	for _, from := range l.Spec.From {
		parent := plan.ParentOf(from)
		if from.LineageRef != nil {
			if err := r.declaredParent(ctx, l, *from.LineageRef, &parent); err != nil {
				return nil, err
			}
		} else if parent.Problem == nil {
			plan.ImplicitParent(&parent, l, r.Poller.Latest(ownerOf(l), parent.Reference), r.Clock.Now())
		}
		out = append(out, parent)
	}
	return out, nil
}

// declaredParent reads a parent that is a lineage of its own.
func (r *Reconciler) declaredParent(ctx context.Context, child *v1alpha1.ImageLineage, ref v1alpha1.LineageReference, parent *plan.Parent) error {
	name := plan.ParentKey(child.Namespace, ref)
	namespaceLabels, err := r.namespaceLabels(ctx, child.Namespace)
	if err != nil {
		return err
	}
	plan.DeclaredParent(parent, child, name, r.Fleet.Get(name), namespaceLabels)
	return nil
}

func (r *Reconciler) namespaceLabels(ctx context.Context, name string) (map[string]string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.Client.Get(ctx, types.NamespacedName{Name: name}, namespace)
	return namespace.Labels, client.IgnoreNotFound(err)
}
