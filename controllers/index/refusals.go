// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package index

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
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
// It is a source.Source, by which it wakes the lineages that have to tell.
type Refusals struct {
	Waker

	mu      sync.Mutex
	refused map[WorkloadKey]Refusal
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
	r.Wake(lineages...)
}

// Of is the refusal of a workload; without a why where there is none.
func (r *Refusals) Of(workload WorkloadKey) Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[workload]
}
