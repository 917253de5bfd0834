// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/status"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// gather reads all that a decision may look at. It is nil for a lineage that is
// gone (the poller forgets it, and its runs go with it by their owner reference),
// and where the cache has not seen our own last write yet.
func (r *Reconciler) gather(ctx context.Context, name types.NamespacedName) (*plan.Snapshot, error) {
	l := &v1alpha1.ImageLineage{}
	err := r.Client.Get(ctx, name, l)
	if apierrors.IsNotFound(err) || err == nil && !l.DeletionTimestamp.IsZero() {
		r.Poller.Forget(name)
		r.written.forget(name)
		r.memory.forget(name)
		r.builds.leave(name)
		return nil, nil
	}
	if err != nil || r.written.unseen(l) {
		return nil, err
	}
	s := &plan.Snapshot{Now: r.Clock.Now(), Lineage: l}
	ref, err := reference.ParseTag(string(l.Spec.Image))
	if err != nil {
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf("spec.image: %v", err)}
		return s, nil
	}
	s.Reference = ref

	if err := r.gatherGraph(ctx, s); err != nil {
		return nil, err
	}
	r.gatherTags(s)
	r.gatherTemplate(ctx, s)
	if err := r.gatherRuns(ctx, s); err != nil {
		return nil, err
	}
	r.gatherClock(s)
	if err := r.gatherUse(ctx, s); err != nil {
		return nil, err
	}
	return s, r.gatherWorkloads(ctx, s)
}

// gatherTags says which tags to check, and reads the last answer.
func (r *Reconciler) gatherTags(s *plan.Snapshot) {
	l := s.Lineage
	var targets []registry.Target
	for i, ref := range references(*s) {
		targets = append(targets, registry.Target{
			CredentialSource: pullCredentials(l), Reference: ref,
			Interval: plan.Interval(l), Describe: i == 0 && !plan.Followed(l),
		})
	}
	r.Poller.Follow(ownerOf(l), targets)
	s.Observation = r.Poller.Latest(ownerOf(l), s.Reference)
}

// gatherTemplate hashes the template, and has the cluster check it: a template
// that cannot run is reported when it is written, not when it is needed.
func (r *Reconciler) gatherTemplate(ctx context.Context, s *plan.Snapshot) {
	if !plan.Produced(s.Lineage) {
		return
	}
	hash, err := tekton.TemplateHash(s.Lineage.Spec.Build)
	if err == nil {
		s.Template = hash
		err = r.checkTemplate(ctx, s.Lineage, hash)
	}
	s.TemplateProblem = templateProblem(err)
	if err != nil && s.TemplateProblem == nil {
		log.FromContext(ctx).V(1).Info("The template could not be checked; creating a run will tell", "cause", err.Error())
	}
}

// checkTemplate renders the template with placeholders, so that it is the same
// question every time and is asked once for each content.
func (r *Reconciler) checkTemplate(ctx context.Context, l *v1alpha1.ImageLineage, hash string) error {
	ref, err := reference.ParseTag(string(l.Spec.Image))
	if err != nil {
		return err
	}
	run, err := tekton.Render(l, ref, placeholder(l, ref, hash))
	if err != nil {
		return err
	}
	if there, err := r.hasTekton(ctx); err != nil || !there {
		return err
	}
	return r.Runs.Validate(ctx, run)
}

// nothing stands for a digest that is not known yet.
const nothing v1alpha1.Digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func placeholder(l *v1alpha1.ImageLineage, ref reference.Reference, hash string) plan.Build {
	b := plan.Build{Number: 1, Attempt: 1, Template: hash, Expected: v1alpha1.ExpectedAbsent}
	for _, p := range l.Spec.From {
		b.BuiltFrom = append(b.BuiltFrom, v1alpha1.BuiltFrom{Name: p.Name, Reference: "placeholder.invalid/image:tag", Digest: nothing})
	}
	b.Name = plan.RunName(l.Name, l.UID, 0, "", 0)
	b.Output = ref.WithTag(plan.OutputTag(ref.Tag, b.Name)).Name()
	return b
}

// gatherUse reads which revisions children are built from, where some could be
// forgotten.
func (r *Reconciler) gatherUse(ctx context.Context, s *plan.Snapshot) error {
	if len(s.Lineage.Status.History) <= status.HistoryLength {
		return nil
	}
	children, err := index.Children(ctx, r.Client, s.Lineage)
	for _, child := range children {
		s.ChildrenUse = append(s.ChildrenUse, plan.UsedBy(child, s.Reference)...)
	}
	return err
}

// gatherWorkloads reads what may run the lineage: the workloads of its namespace
// with its repository, and the lineages that have the same repository there.
func (r *Reconciler) gatherWorkloads(ctx context.Context, s *plan.Snapshot) error {
	var err error
	s.Claimants, err = index.Claimants(ctx, r.Client, s.Lineage.Namespace, []string{s.Reference.Repository})
	if err != nil {
		return err
	}
	s.Workloads, err = index.Workloads(ctx, r.Client, s.Lineage.Namespace, s.Reference.Repository)
	for i := range s.Workloads {
		w := &s.Workloads[i]
		w.Refused = r.Refusals.Of(index.WorkloadKey{Kind: w.Kind, NamespacedName: types.NamespacedName{Namespace: w.Namespace, Name: w.Name}}).Why
	}
	return err
}
