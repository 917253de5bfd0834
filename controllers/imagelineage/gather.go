// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// gather reads all that a decision may look at. It is nil for a lineage that is
// gone (the poller forgets it, and its runs go with it by their owner reference),
// and where the fleet has not seen our own last write yet.
func (r *Reconciler) gather(ctx context.Context, name types.NamespacedName) (*plan.Snapshot, error) {
	l := r.Fleet.Get(name)
	if l == nil || !l.DeletionTimestamp.IsZero() {
		r.Poller.Forget(name)
		r.Copies.Forget(name)
		r.written.forget(name)
		r.memory.forget(name)
		r.builds.leave(name)
		return nil, nil
	}
	if r.written.unseen(l) {
		return nil, nil
	}
	s := &plan.Snapshot{Now: r.Clock.Now(), Lineage: l, ObserveOnly: r.ObserveOnly}
	ref, err := plan.ReferenceOf(l)
	if err != nil {
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf("spec.image: %v", err)}
		return s, nil
	}
	s.Reference = ref
	if s.Tags, err = plan.TagRuleOf(l); err != nil {
		// The rest is gathered all the same: what the status tells of it is not forgotten.
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	}

	if err := r.gatherGraph(ctx, s); err != nil {
		return nil, err
	}
	r.gatherUse(s)
	if err := r.gatherWorkloads(ctx, s); err != nil {
		return nil, err
	}
	r.gatherTags(s)
	r.gatherCopy(s)
	r.gatherTemplate(ctx, s)
	if err := r.gatherRuns(ctx, s); err != nil {
		return nil, err
	}
	r.gatherClock(s)
	return s, nil
}

// presenceInterval is the least time between two questions whether a digest is still
// there: what collects garbage runs once a day, or a week.
const presenceInterval = time.Hour

// gatherTags says what to check, and reads the last answers.
func (r *Reconciler) gatherTags(s *plan.Snapshot) {
	l, owner := s.Lineage, ownerOf(s.Lineage)
	base := registry.Target{CredentialSource: pullCredentials(l), Interval: plan.Interval(l)}
	var targets []registry.Target
	if s.Tags != nil {
		listing := base
		listing.Reference = s.Reference
		targets = append(targets, listing)
		s.Listing = r.Poller.Listing(owner, s.Reference)
		s.Tag = plan.ChooseTag(l, s.Tags, s.Listing)
	}
	for _, ref := range references(*s) {
		target := base
		target.Reference, target.Detail = ref, detailOf(l)
		target.Describe = ref == s.Watched() && !plan.Followed(l)
		target.Known = known(*s, target)
		targets = append(targets, target)
	}
	s.Observation = r.observe(s)
	s.Presence = map[v1alpha1.Digest]*plan.Observation{}
	for _, digest := range plan.LookFor(*s) {
		target := base
		target.Reference = s.Reference.WithDigest(string(digest))
		target.Interval, target.Detail, target.Known = max(target.Interval, presenceInterval), detailOf(l), identified(l, detailOf(l), digest)
		targets = append(targets, target)
		s.Presence[digest] = r.Poller.Latest(owner, target.Reference)
	}
	r.Poller.Follow(owner, targets)
	if s.Observation == nil {
		// Others may follow the same tag, and have its answer.
		s.Observation = r.observe(s)
	}
}

// observe is what the registry says of the tag; nil while none is chosen, since by the
// name of the repository alone the poller knows its list of tags.
func (r *Reconciler) observe(s *plan.Snapshot) *plan.Observation {
	if s.Watched().Tag == "" {
		return nil
	}
	return r.Poller.Latest(ownerOf(s.Lineage), s.Watched())
}

// detailOf is of what a lineage's identities are made.
func detailOf(l *v1alpha1.ImageLineage) registry.Detail {
	if plan.ChangeOn(l) == v1alpha1.IdentityIndex {
		return registry.Detail{}
	}
	return registry.Detail{Kind: plan.ChangeOn(l), Platforms: l.Spec.Poll.Platforms}
}

// identified is a digest, where the status tells its identity.
func identified(l *v1alpha1.ImageLineage, detail registry.Detail, digest v1alpha1.Digest) v1alpha1.Digest {
	for _, r := range l.Status.History {
		if r.Digest == digest && slices.ContainsFunc(r.Identities, detail.Made) {
			return digest
		}
	}
	return ""
}

// known is the digest of which the status tells all that is wanted: after a restart
// nothing of it is read again.
func known(s plan.Snapshot, target registry.Target) v1alpha1.Digest {
	l := s.Lineage
	if target.Reference != s.Watched() {
		for _, p := range l.Status.From {
			if p.Reference == target.Reference.Name() && p.Identity != nil && target.Detail.Made(*p.Identity) {
				return p.Accepted
			}
		}
		return ""
	}
	current := l.Status.Current
	if current == nil || target.Describe && len(current.BuiltFrom) == 0 ||
		target.Detail.Kind != "" && !slices.ContainsFunc(current.Identities, target.Detail.Made) {
		return ""
	}
	return current.Digest
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
	ref, err := plan.ReferenceOf(l)
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

// gatherUse reads which revisions children are built from, where there is more than
// one.
func (r *Reconciler) gatherUse(s *plan.Snapshot) {
	if len(s.Lineage.Status.History) < 2 {
		return
	}
	for _, child := range r.Fleet.Dependents(ownerOf(s.Lineage)) {
		s.ChildrenUse = append(s.ChildrenUse, plan.UsedBy(child, s.Reference)...)
	}
}

// gatherWorkloads reads what may run the lineage: the workloads of its namespace
// with its repository, and, where there are any, the lineages that have the same
// repository there. Those are many where each tag of a repository is a lineage.
func (r *Reconciler) gatherWorkloads(ctx context.Context, s *plan.Snapshot) error {
	var err error
	s.Workloads, err = index.Workloads(ctx, r.Client, s.Lineage.Namespace, plan.Repositories(s.Lineage))
	if err != nil || len(s.Workloads) == 0 {
		return err
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		w.Refused = r.Refusals.Of(index.WorkloadKey{Kind: w.Kind, NamespacedName: types.NamespacedName{Namespace: w.Namespace, Name: w.Name}}).Why
	}
	s.Claimants, err = index.Claimants(ctx, r.Client, s.Lineage.Namespace, plan.Repositories(s.Lineage))
	return err
}
