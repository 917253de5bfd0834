// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package imagelineage reconciles ImageLineage objects in five steps: gather what
// is true, plan what to do, execute it, summarize it into the status, tell it as
// Events. Each step has a file; only gather reads, only execute acts, and what
// lies between them is pure.
package imagelineage

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/fleet"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/status"
)

// Reconciler keeps one lineage on what it descends from.
type Reconciler struct {
	// Fleet holds the lineages: whatever is decided is decided on these, and none is read
	// from the cache. The watch of this controller keeps it.
	Fleet *fleet.Fleet
	// Client reads everything else from the cache, and writes statuses.
	Client client.Client
	// Live reads past the cache, where the cache must not be believed.
	Live client.Reader
	// Poller tells what tags show.
	Poller Poller
	// Registry confirms what runs pushed, and publishes it.
	Registry Registry
	// Copies are made for spec.mirror.
	Copies Copies
	// Runs creates and deletes PipelineRuns.
	Runs Runs
	// Events are told through it.
	Events events.EventRecorder
	// Clock is the time of decisions.
	Clock clock.PassiveClock
	// Refusals are the workloads that the cluster does not let us change.
	Refusals *index.Refusals
	// ObserveOnly has nothing done outside of the statuses.
	ObserveOnly bool
	// MaxConcurrentBuilds is how many runs of all lineages may be live at once; 0 is
	// any number.
	MaxConcurrentBuilds int
	// SettleTimeout is how long a build waits for ancestors on which nothing gets on; 0 is
	// without end.
	SettleTimeout time.Duration

	// runsListed is true once the cache has listed the runs; nil where there is nothing to
	// wait for.
	runsListed func(context.Context) bool

	written written
	memory  memory
	builds  admitter
}

// Reconcile decides and does the next step of one lineage.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	snapshot, err := r.gather(ctx, req.NamespacedName)
	if err != nil || snapshot == nil {
		return ctrl.Result{}, err
	}

	decided := plan.Compute(*snapshot)

	outcome, executeErr := r.execute(ctx, *snapshot, decided)

	after := status.Summarize(*snapshot, decided, outcome)

	stored, err := r.store(ctx, snapshot.Lineage, after)
	if err != nil {
		return ctrl.Result{}, err
	}
	if stored {
		r.tell(snapshot.Lineage, status.Events(snapshot.Lineage.Status, after, decided, outcome))
	}
	return ctrl.Result{RequeueAfter: decided.After(outcome)}, executeErr
}

// store writes the status if it changed, and only over the status that the
// decision was made on. It is false where another write came first: its event
// brings the lineage back.
func (r *Reconciler) store(ctx context.Context, l *v1alpha1.ImageLineage, after v1alpha1.ImageLineageStatus) (bool, error) {
	if equality.Semantic.DeepEqual(l.Status, after) {
		return true, nil
	}
	updated := l.DeepCopy()
	// The answer is decoded over it, and the status that was decided may share what the
	// parents in the fleet hold.
	after.DeepCopyInto(&updated.Status)
	patch := client.MergeFromWithOptions(l, client.MergeFromWithOptimisticLock{})
	err := r.Client.Status().Patch(ctx, updated, patch, client.FieldOwner(v1alpha1.FieldManager))
	if apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	r.written.stored(updated)
	return true, nil
}

// tell emits Events. It comes after the status was stored, so that no Event
// speaks of something that is not there.
func (r *Reconciler) tell(l *v1alpha1.ImageLineage, events []status.Event) {
	for _, e := range events {
		kind := "Normal"
		if e.Warning {
			kind = "Warning"
		}
		r.Events.Eventf(l, nil, kind, e.Reason, e.Reason, "%s", e.Message)
	}
}
