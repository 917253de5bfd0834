// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package rollout moves workloads to the current digests of the lineages that
// they run. Its unit is the workload: whatever is due on one, from however many
// lineages, goes into one patch and one restart.
//
// The controller keeps no state. What it wrote is remembered in an annotation on
// the workload, and everything else is derived; the lineages' counters are the
// concern of the other controller.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/refusal"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// Request names a workload.
type Request = index.WorkloadKey

// Reconciler rolls out to one workload at a time.
type Reconciler struct {
	// Client reads from the cache and patches workloads.
	Client client.Client
	// Events are told through it.
	Events events.EventRecorder
	// Refusals are noted for the lineages to tell.
	Refusals *index.Refusals
	// Clock tells when a refused change is tried again.
	Clock clock.PassiveClock
}

// refusedAgain is when a change is tried again that the cluster refused.
const refusedAgain = time.Minute

// Reconcile writes the images that are due on a workload.
func (r *Reconciler) Reconcile(ctx context.Context, req Request) (reconcile.Result, error) {
	obj := object(req.Kind)
	err := r.Client.Get(ctx, req.NamespacedName, obj)
	if apierrors.IsNotFound(err) || err == nil && !obj.GetDeletionTimestamp().IsZero() {
		r.Refusals.Note(req, index.Refusal{})
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed, err := index.Observe(ctx, r.Client, obj)
	if err != nil {
		return reconcile.Result{}, err
	}
	claimants, err := index.Claimants(ctx, r.Client, req.Namespace, workload.Images(obj))
	if err != nil {
		return reconcile.Result{}, err
	}
	changes := plan.Roll(observed, claimants)
	if len(changes) == 0 {
		r.Refusals.Note(req, index.Refusal{})
		return reconcile.Result{}, nil
	}
	// What was refused is not asked for again by every pod that comes and goes.
	before, now := r.Refusals.Of(req), r.Clock.Now()
	if wait := before.Until.Sub(now); before.Change == sentence(changes) && wait > 0 && wait <= refusedAgain {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	err = r.move(ctx, obj, changes)
	why, _, refused := refusal.Of(err)
	noted := index.Refusal{Change: sentence(changes), Why: why, Until: now.Add(refusedAgain)}
	r.Refusals.Note(req, noted, lineagesOf(req.Namespace, changes)...)
	if refused {
		return reconcile.Result{RequeueAfter: refusedAgain}, nil
	}
	return reconcile.Result{}, err
}

// lineagesOf are the lineages whose images are due.
func lineagesOf(namespace string, changes []plan.ImageChange) []types.NamespacedName {
	var names []types.NamespacedName
	for _, change := range changes {
		names = append(names, types.NamespacedName{Namespace: namespace, Name: change.Memory.Lineage})
	}
	return names
}

// move writes all changes in one patch, under our own field manager. Where the
// workload has changed since it was read, its event brings it back.
func (r *Reconciler) move(ctx context.Context, obj client.Object, changes []plan.ImageChange) error {
	patch, err := workload.Patch(obj, changes)
	if err != nil {
		return fmt.Errorf("patch for %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	err = workload.Apply(ctx, r.Client, obj, patch)
	if errors.Is(err, workload.ErrMoved) {
		return nil
	}
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	r.Events.Eventf(obj, nil, "Normal", v1alpha1.ReasonRollingOut, v1alpha1.ReasonRollingOut, "%s", sentence(changes))
	return nil
}

func sentence(changes []plan.ImageChange) string {
	parts := make([]string, 0, len(changes))
	for _, change := range changes {
		short := change.To
		if ref, err := reference.Parse(change.To); err == nil {
			short = reference.ShortDigest(ref.Digest)
		}
		parts = append(parts, fmt.Sprintf("container %s to revision %d of ImageLineage %s (%s)", change.Container.Name, change.Memory.Revision, change.Memory.Lineage, short))
	}
	return strings.Join(parts, "; ")
}

func object(kind string) client.Object {
	switch kind {
	case "StatefulSet":
		return &appsv1.StatefulSet{}
	case "DaemonSet":
		return &appsv1.DaemonSet{}
	default:
		return &appsv1.Deployment{}
	}
}

func kindOf(obj client.Object) string {
	switch obj.(type) {
	case *appsv1.StatefulSet:
		return "StatefulSet"
	case *appsv1.DaemonSet:
		return "DaemonSet"
	default:
		return "Deployment"
	}
}
