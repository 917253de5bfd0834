// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package index

import (
	"context"
	"sync"

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
	mu    sync.Mutex
	why   map[WorkloadKey]string
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Start implements source.Source.
func (r *Refusals) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = queue
	return nil
}

// Note keeps why a workload could not be changed, and wakes the lineages that it runs
// if that is news; an empty message ends it.
func (r *Refusals) Note(workload WorkloadKey, message string, lineages ...types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why[workload] == message {
		return
	}
	if message == "" {
		delete(r.why, workload)
	} else {
		if r.why == nil {
			r.why = map[WorkloadKey]string{}
		}
		r.why[workload] = message
	}
	for _, name := range lineages {
		if r.queue != nil {
			r.queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
}

// Of is why a workload could not be changed; empty where it could.
func (r *Refusals) Of(workload WorkloadKey) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why[workload]
}
