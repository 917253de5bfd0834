// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// wakeup names an owner for whom something changed.
type wakeup = event.TypedGenericEvent[types.NamespacedName]

// outbox holds the owners to be woken, each once, in the order in which their news
// came. A slow reader costs one entry for each owner, and delays nobody.
type outbox struct {
	events chan wakeup
	filled chan struct{}

	mu     sync.Mutex
	queue  []types.NamespacedName
	queued map[types.NamespacedName]bool
}

func newOutbox() *outbox {
	return &outbox{
		events: make(chan wakeup), filled: make(chan struct{}, 1), queued: map[types.NamespacedName]bool{},
	}
}

func (o *outbox) add(owner types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued[owner] {
		return
	}
	o.queued[owner] = true
	o.queue = append(o.queue, owner)
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

func (o *outbox) next() (types.NamespacedName, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.queue = nil // do not keep the array of a busy hour
		return types.NamespacedName{}, false
	}
	owner := o.queue[0]
	o.queue = o.queue[1:]
	delete(o.queued, owner)
	return owner, true
}

// deliver hands the owners over, one after the other, at the reader's speed, until the
// context ends. An owner leaves the outbox before it is handed over: news that comes
// meanwhile is news once more.
func (o *outbox) deliver(ctx context.Context) {
	for {
		owner, ok := o.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-o.filled:
			}
			continue
		}
		select {
		case <-ctx.Done():
			o.add(owner)
			return
		case o.events <- wakeup{Object: owner}:
		}
	}
}
