// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// gatherRuns reads the lineage's runs: those in the cache, and those that must be
// newer than the cache, which only the API server knows. Without Tekton there are
// none, and that says nothing of a run that is recorded.
func (r *Reconciler) gatherRuns(ctx context.Context, s *plan.Snapshot) error {
	l := s.Lineage
	if !plan.Produced(l) && l.Status.Run == nil {
		return nil
	}
	var results *v1alpha1.BuildResults
	if l.Spec.Build != nil {
		results = l.Spec.Build.Results
	}
	there, err := r.hasTekton(ctx)
	if err != nil {
		return err
	}
	if there && !r.waitListed(ctx) {
		s.NoRuns = true
		if plan.Produced(l) {
			s.TemplateProblem = unlisted()
		}
		return nil
	}
	if there {
		s.Runs, err = tekton.List(ctx, r.Client, l.Namespace, l.UID, results)
	}
	if err == nil && there {
		err = r.gatherUnseen(ctx, s, results)
	}
	switch {
	case !there || tekton.Missing(err):
		s.NoRuns, s.Runs = true, nil
		if plan.Produced(l) {
			s.TemplateProblem = noTekton()
		}
		return nil
	case err != nil:
		return fmt.Errorf("listing runs: %w", err)
	}
	r.explain(ctx, s)
	return nil
}

// gatherUnseen adds the runs that are not in the cache: one that is recorded as in
// flight, and those that this process made a moment ago.
func (r *Reconciler) gatherUnseen(ctx context.Context, s *plan.Snapshot, results *v1alpha1.BuildResults) error {
	names := r.builds.unseen(ownerOf(s.Lineage))
	if plan.InFlight(s.Lineage.Status.Run) {
		names = append(names, s.Lineage.Status.Run.Name)
	}
	for _, name := range names {
		if slices.ContainsFunc(s.Runs, func(run plan.Run) bool { return run.Name == name }) {
			continue
		}
		run, err := tekton.Get(ctx, r.Live, s.Lineage.Namespace, name, results)
		if err != nil {
			return err
		}
		if run != nil {
			run.Unseen = true
			s.Runs = append(s.Runs, *run)
		} else {
			r.builds.release(types.NamespacedName{Namespace: s.Lineage.Namespace, Name: name})
		}
	}
	return nil
}

// explain finds out which step of a run failed, while its end is not recorded. What
// cannot be read is left out: the run's own message says less, and is enough.
func (r *Reconciler) explain(ctx context.Context, s *plan.Snapshot) {
	recorded := s.Lineage.Status.Run
	for i := range s.Runs {
		run := &s.Runs[i]
		if !plan.Unrecorded(*run, recorded) {
			continue
		}
		if err := tekton.Explain(ctx, r.Live, s.Lineage.Namespace, run); err != nil {
			log.FromContext(ctx).Info("The failed step of a run could not be read", "run", run.Name, "cause", err.Error())
		}
	}
}

// waitListed waits a moment for the cache to list the runs, and is false where it does
// not get to it. A read would wait without end, and with it a worker, of which there are
// few: the lineages that need no runs have to go on.
func (r *Reconciler) waitListed(ctx context.Context) bool {
	const moment, step = 5 * time.Second, 50 * time.Millisecond
	if r.runsListed == nil || r.runsListed(ctx) {
		return true
	}
	if !r.memory.mayWait(r.Clock.Now()) {
		return false
	}
	err := wait.PollUntilContextTimeout(ctx, step, moment, true, func(ctx context.Context) (bool, error) {
		return r.runsListed(ctx), nil
	})
	return err == nil
}

// hasTekton is true where the cluster has PipelineRuns.
func (r *Reconciler) hasTekton(ctx context.Context) (bool, error) {
	crd := tekton.CRD()
	err := r.Client.Get(ctx, types.NamespacedName{Name: tekton.CRDName}, crd)
	return err == nil && crd.GetDeletionTimestamp().IsZero(), client.IgnoreNotFound(err)
}

// gatherClock notes where the status tells of times that are still to come.
func (r *Reconciler) gatherClock(s *plan.Snapshot) {
	var newest time.Time
	note := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	if current := s.Lineage.Status.Current; current != nil {
		note(current.Accepted.Time)
	}
	if observed := s.Lineage.Status.Observed; observed != nil && observed.Asked != nil {
		note(observed.Asked.Time)
	}
	if run := s.Lineage.Status.Run; run != nil && run.Ended != nil {
		note(run.Ended.Time)
	}
	for _, run := range s.Runs {
		note(run.Finished)
	}
	s.ClockBehind = r.memory.clockBehind(ownerOf(s.Lineage), newest, s.Now)
}
