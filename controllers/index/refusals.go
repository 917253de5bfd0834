// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package index

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// WorkloadKey names a workload.
type WorkloadKey struct {
	// Kind is Deployment, StatefulSet or DaemonSet.
	Kind string
	types.NamespacedName
}

// Refusals are the workloads whose change the cluster refused: the controller of
// rollouts notes them, and that of lineages tells of them. They are in no object, so a
// restart asks the cluster again.
//
// It implements source.Source for the lineages that have to tell.
type Refusals struct {
	mu      sync.Mutex
	refused map[WorkloadKey]Refusal
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Refusal is a change that the cluster refused.
type Refusal struct {
	// Change is what was asked for.
	Change string
	// Why is what the cluster said; empty where it refused nothing.
	Why string
	// Until is when the same change is asked for again.
	Until time.Time
}

// Start implements source.Source.
func (r *Refusals) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = queue
	return nil
}

// Note keeps that a workload could not be changed, and wakes the lineages that it runs
// if that is news; a refusal without a why ends it.
func (r *Refusals) Note(workload WorkloadKey, refusal Refusal, lineages ...types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.refused[workload]
	if refusal.Why == "" {
		delete(r.refused, workload)
	} else {
		if r.refused == nil {
			r.refused = map[WorkloadKey]Refusal{}
		}
		r.refused[workload] = refusal
	}
	if before.Why == refusal.Why {
		return
	}
	for _, name := range lineages {
		if r.queue != nil {
			r.queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
}

// Of is the refusal of a workload; without a why where there is none.
func (r *Refusals) Of(workload WorkloadKey) Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[workload]
}
