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

// Waker wakes lineages because of what no watch tells. It implements source.Source, to be
// given the queue; before that it wakes nobody, since a controller that begins looks at
// every lineage.
type Waker struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Start implements source.Source.
func (w *Waker) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	return nil
}

// Wake has lineages looked at.
func (w *Waker) Wake(lineages ...types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	for _, name := range lineages {
		w.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

// Retries are how soon a reconcile that failed is made again: what fails is a
// conversation with the API server, and it fails for all objects at once.
func Retries[request comparable]() workqueue.TypedRateLimiter[request] {
	const first, last = 200 * time.Millisecond, 2 * time.Minute
	return workqueue.NewTypedItemExponentialFailureRateLimiter[request](first, last)
}
