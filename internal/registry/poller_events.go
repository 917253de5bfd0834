// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// outbox holds the owners to be woken, each once, in the order in which their
// news came. It is guarded by the poller's lock.
type outbox struct {
	queue  []types.NamespacedName
	queued map[types.NamespacedName]bool
	filled chan struct{}
}

func newOutbox() outbox {
	return outbox{queued: map[types.NamespacedName]bool{}, filled: make(chan struct{}, 1)}
}

func (o *outbox) add(owner types.NamespacedName) {
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
	if len(o.queue) == 0 {
		o.queue = nil // do not keep the array of a busy hour
		return types.NamespacedName{}, false
	}
	owner := o.queue[0]
	o.queue = o.queue[1:]
	delete(o.queued, owner)
	return owner, true
}

// deliver hands the owners over, one after the other, at the reader's speed. An
// owner leaves the outbox before it is handed over: news that comes meanwhile
// are news once more.
func (p *Poller) deliver(ctx context.Context) {
	for {
		owner, ok := p.nextPending()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-p.pending.filled:
			}
			continue
		}
		select {
		case <-ctx.Done():
			p.mu.Lock()
			p.pending.add(owner)
			p.mu.Unlock()
			return
		case p.events <- event.TypedGenericEvent[types.NamespacedName]{Object: owner}:
		}
	}
}

func (p *Poller) nextPending() (types.NamespacedName, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.next()
}
