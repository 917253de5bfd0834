// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// maxRecalled is how many things a recall holds at most. One that is pushed out is
// learned again, at the price of a request.
const maxRecalled = 100_000

// recall keeps what was learned, each for its time. It is safe for concurrent use.
type recall[K comparable, V any] struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	kept  map[K]recalled[V]
	swept time.Time
}

type recalled[V any] struct {
	value V
	until time.Time
}

func newRecall[K comparable, V any](clock clock.PassiveClock) *recall[K, V] {
	return &recall[K, V]{clock: clock, kept: map[K]recalled[V]{}, swept: clock.Now()}
}

// get is what is known of a key, and whether anything is.
func (r *recall[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.kept[key]
	if !ok || !r.clock.Now().Before(found.until) {
		var nothing V
		return nothing, false
	}
	return found.value, true
}

// put keeps a value for a time.
func (r *recall[K, V]) put(key K, value V, age time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if now.Sub(r.swept) >= age {
		r.swept = now
		for old, found := range r.kept {
			if !now.Before(found.until) {
				delete(r.kept, old)
			}
		}
	}
	if _, known := r.kept[key]; !known && len(r.kept) >= maxRecalled {
		for one := range r.kept {
			delete(r.kept, one)
			break
		}
	}
	r.kept[key] = recalled[V]{value: value, until: now.Add(age)}
}

// dropIf forgets the keys that a condition holds for.
func (r *recall[K, V]) dropIf(holds func(K) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.kept {
		if holds(key) {
			delete(r.kept, key)
		}
	}
}

// drop forgets a key.
func (r *recall[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.kept, key)
}
