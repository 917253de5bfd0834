// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

const (
	// jitterWidth spreads the checks by ±10 % of the interval, so that what was
	// created together is not checked together for ever.
	jitterWidth = 0.1
	// firstRetry is how long after its first failure a check is made again; the
	// time doubles up to the interval.
	firstRetry  = 10 * time.Second
	maxDoubling = 20
)

// budget is what a registry limits: one host's requests under one credential.
type budget struct{ host, credential string }

func (f *feed) budget() budget { return budget{host: f.host(), credential: f.key.credential} }

// lane is the queue before one host.
type lane struct {
	queue   []*feed
	running int
}

// Start checks until the context ends; it then waits for the checks under way,
// which end with the context. It implements manager.Runnable.
func (p *Poller) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { p.deliver(ctx) })
	for ctx.Err() == nil {
		wait := p.dispatch(ctx, &group)
		timer := p.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

// idleWait is how long the schedule is left alone where nothing waits in it;
// every change of it wakes the loop anyway.
const idleWait = time.Hour

// dispatch begins every check that is due and has room, and tells how long until
// the next is due.
func (p *Poller) dispatch(ctx context.Context, group *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	for len(p.waiting) > 0 && !p.waiting[0].due.After(now) {
		next := p.waiting[0]
		heap.Pop(&p.waiting)
		p.enqueue(next, now)
	}
	// One from each host in turn, so that no host takes all the room.
	for progress := true; progress; {
		progress = false
		for host, l := range p.lanes {
			progress = p.beginNext(ctx, group, l, now) || progress
			if len(l.queue) == 0 && l.running == 0 {
				delete(p.lanes, host)
			}
		}
	}
	if len(p.waiting) == 0 {
		return idleWait
	}
	return p.waiting[0].due.Sub(now)
}

// enqueue puts a feed that is due into its host's lane, unless the registry
// wants to be left alone.
func (p *Poller) enqueue(f *feed, now time.Time) {
	if until, ok := p.paused[f.budget()]; ok {
		if until.After(now) {
			f.due = until
			heap.Push(&p.waiting, f)
			return
		}
		delete(p.paused, f.budget())
	}
	l, ok := p.lanes[f.host()]
	if !ok {
		l = &lane{}
		p.lanes[f.host()] = l
	}
	f.state = feedQueued
	l.queue = append(l.queue, f)
}

// beginNext begins the first check of a lane, and is true where it did.
func (p *Poller) beginNext(ctx context.Context, group *sync.WaitGroup, l *lane, now time.Time) bool {
	for len(l.queue) > 0 && l.queue[0].state == feedDropped {
		l.queue = l.queue[1:]
	}
	if len(l.queue) == 0 || l.running >= p.perHost || p.running >= p.total {
		return false
	}
	f := l.queue[0]
	l.queue = l.queue[1:]
	l.running++
	p.running++
	f.state = feedRunning
	f.begun = now
	f.answering, f.asked = f.asked, false
	group.Go(func() {
		defer p.finished(l)
		p.check(ctx, f)
	})
	return true
}

func (p *Poller) finished(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.running--
	p.running--
	p.nudge()
}

// schedule puts a feed that is in no queue into the heap.
func (p *Poller) schedule(f *feed) {
	f.state = feedWaiting
	f.due = p.dueAt(f)
	heap.Push(&p.waiting, f)
}

// reschedule computes anew when a waiting feed is due. For one that is under way
// that happens at its end.
func (p *Poller) reschedule(f *feed) {
	if f.state != feedWaiting {
		return
	}
	f.due = p.dueAt(f)
	heap.Fix(&p.waiting, f.index)
}

func (p *Poller) unschedule(f *feed) {
	if f.state == feedWaiting {
		heap.Remove(&p.waiting, f.index)
	}
}

// dueAt is when the next check begins; the zero time is now.
func (p *Poller) dueAt(f *feed) time.Time {
	var due time.Time
	switch {
	case f.overdue():
	case f.seen.Failure != nil, f.undescribed != nil:
		due = f.retry
	default:
		interval := f.interval()
		due = f.begun.Add(interval + time.Duration(f.jitter*float64(interval)))
	}
	if until := p.paused[f.budget()]; until.After(due) {
		due = until
	}
	return due
}

// retryAt is when to check again after a failure that was noticed now. The time
// grows with every failure in a row, up to the interval; a registry that says
// how long it wants to be left alone is left alone as long.
func (f *feed) retryAt(now time.Time, failures int, err error) time.Time {
	wait := min(firstRetry<<min(failures-1, maxDoubling), f.interval())
	return now.Add(max(wait, RetryAfter(err)))
}

// dueHeap orders feeds by when they are due; it implements heap.Interface.
type dueHeap []*feed

// Len implements heap.Interface.
func (h dueHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

// Swap implements heap.Interface.
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	if f, ok := x.(*feed); ok {
		f.index = len(*h)
		*h = append(*h, f)
	}
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return f
}
