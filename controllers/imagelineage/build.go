// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/refusal"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// create starts a run, once there is a place for it and it is certain that its
// image may be published. Where the run exists already, a pass before this one
// made it and could not say so.
func (r *Reconciler) create(ctx context.Context, s plan.Snapshot, b plan.Build) (plan.Outcome, error) {
	run, err := tekton.Render(s.Lineage, s.Reference, b)
	if problem := templateProblem(err); problem != nil {
		return plan.Outcome{Problem: problem}, nil
	}
	if err != nil {
		return plan.Outcome{}, err
	}
	name := types.NamespacedName{Namespace: s.Lineage.Namespace, Name: b.Name}
	if err := r.countLive(ctx); err != nil {
		return plan.Outcome{}, err
	}
	if !r.builds.admit(ownerOf(s.Lineage), name, r.Clock.Now()) {
		return waiting(v1alpha1.ReasonQueued, r.queueAgain(), "a build is due, and all %d that the operator may run at once are running (--max-concurrent-builds): it begins when one ends", r.builds.limit), nil
	}
	outcome, err := r.asking(s, func() (plan.Outcome, error) { return r.mayPublish(ctx, s) })
	if err != nil || !outcome.Done {
		r.builds.release(name)
		return outcome, err
	}
	return r.created(name, r.Runs.Create(ctx, run))
}

// created is the outcome of a creation. Where it is not certain that the run was not
// made, it keeps its place until the cache or the API server tells of it.
func (r *Reconciler) created(name types.NamespacedName, err error) (plan.Outcome, error) {
	if err == nil {
		return plan.Outcome{Done: true, At: r.Clock.Now()}, nil
	}
	if problem := templateProblem(err); problem != nil {
		r.builds.release(name)
		return plan.Outcome{Problem: problem}, nil
	}
	if tekton.Missing(err) {
		r.builds.release(name)
		return plan.Outcome{Problem: noTekton(), Again: clusterAgain}, nil
	}
	if why, maybe, blocked := refusal.Of(err); blocked {
		if !maybe {
			r.builds.release(name)
		}
		return waiting(v1alpha1.ReasonRunNotCreated, clusterAgain, "the cluster does not let run %s be created: %s", name.Name, why), nil
	}
	return plan.Outcome{}, fmt.Errorf("creating run %s: %w", name, err)
}

// mayPublish is done where the registry lets us write the tag, as far as it can be told
// without writing. A build whose image cannot be published is for nothing.
func (r *Reconciler) mayPublish(ctx context.Context, s plan.Snapshot) (plan.Outcome, error) {
	keychain, err := r.Registry.Credentials(ctx, pushCredentials(s.Lineage))
	if err == nil {
		err = r.Registry.MayPush(ctx, s.Reference, keychain)
	}
	if err == nil {
		return plan.Outcome{Done: true}, nil
	}
	return r.unpublished(s, err)
}

// countLive has the admitter know of every live run: those that were there before
// this process, and what became of those that the cache should have told of.
func (r *Reconciler) countLive(ctx context.Context) error {
	if !r.builds.isSeeded() {
		live, err := tekton.ListLive(ctx, r.Live)
		if err != nil {
			return err
		}
		r.builds.seed(live, r.Clock.Now())
	}
	for _, run := range r.builds.overdue(r.Clock.Now()) {
		found, err := tekton.Get(ctx, r.Live, run.Namespace, run.Name, nil)
		if err != nil {
			return err
		}
		r.builds.verify(run, found != nil && !found.Done, r.Clock.Now())
	}
	return nil
}

// queueAgain is when a lineage in the queue looks again by itself: it is woken when a
// run ends, unless the cache never told of that run.
func (r *Reconciler) queueAgain() time.Duration {
	if r.builds.anyUnseen() {
		return verifyAfter
	}
	return 0
}

// prune deletes runs of which nothing more is needed.
func (r *Reconciler) prune(ctx context.Context, s plan.Snapshot, step plan.Prune) (plan.Outcome, error) {
	for _, name := range step.Runs {
		if err := r.Runs.Delete(ctx, s.Lineage.Namespace, name); err != nil {
			// It is tried again with the next look: tidying up holds up nothing.
			log.FromContext(ctx).Info("A run could not be deleted", "run", name, "cause", err.Error())
		}
	}
	return plan.Outcome{Done: true, At: r.Clock.Now()}, nil
}

// unlisted is the problem of a cluster that has PipelineRuns, and does not show them.
func unlisted() *plan.Problem {
	return &plan.Problem{
		Reason: v1alpha1.ReasonTektonMissing, Passing: true,
		Message: "spec.build: the cluster does not list its PipelineRuns: Tekton 1.0 or newer has to run, with its webhook, and the operator has to be allowed to list pipelineruns.tekton.dev; the lineage goes on by itself",
	}
}

// noTekton is the problem of a cluster without PipelineRuns.
func noTekton() *plan.Problem {
	return &plan.Problem{
		Reason: v1alpha1.ReasonTektonMissing, Passing: true,
		Message: fmt.Sprintf("spec.build: the cluster has no CustomResourceDefinition %s: install Tekton Pipelines; the lineage goes on by itself", tekton.CRDName),
	}
}
