// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"container/heap"
	"context"
	"slices"
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

// Start checks until the context ends; it then waits for the checks under way,
// which end with the context. It implements manager.Runnable.
func (p *Poller) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { p.pending.deliver(ctx) })
	for ctx.Err() == nil {
		next := p.dispatch(ctx, &group)
		wait := next.Sub(p.clock.Now())
		if wait <= 0 {
			continue
		}
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

// dispatch begins every check that is due and may go, and tells when to look again:
// that is in the future.
func (p *Poller) dispatch(ctx context.Context, group *sync.WaitGroup) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	for len(p.waiting) > 0 && !p.waiting[0].due.After(now) {
		p.enqueue(p.waiting[0], now)
	}
	p.resume(now)
	next := earlier(now.Add(idleWait), p.beginAll(ctx, group, now))
	next = earlier(next, p.nextResume())
	if len(p.waiting) > 0 {
		next = earlier(next, p.waiting[0].due)
	}
	p.clearOut()
	return next
}

// earlier is the earlier of two times; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// beginAll begins one check from each lane in turn, as long as any may begin, and
// tells when the first of the others may; zero where that depends on checks that are
// under way. The lane that has waited longest comes first, so none takes all the room,
// or all of its host's tokens.
func (p *Poller) beginAll(ctx context.Context, group *sync.WaitGroup, now time.Time) time.Time {
	for {
		var next time.Time
		begun := 0
		var stayed, last []*lane
		for _, l := range p.turns {
			f, again := p.nextOf(l, now)
			if f != nil {
				p.begin(ctx, group, l, f, now)
				begun++
			}
			switch {
			case len(l.queue) == 0:
				delete(p.lanes, l.account)
			case f != nil:
				last = append(last, l)
			default:
				stayed = append(stayed, l)
				next = earlier(next, again)
			}
		}
		p.turns = slices.Concat(stayed, last)
		if begun == 0 {
			return next
		}
	}
}

// begin begins the check of a feed that nextOf told, and takes the token for its
// first request.
func (p *Poller) begin(ctx context.Context, group *sync.WaitGroup, l *lane, f *feed, now time.Time) {
	l.queue = l.queue[1:]
	l.host.running++
	p.running++
	if l.account.host != clusterHost {
		p.limits.charge(l.account)
		p.metrics.lagged(l.account.host, now.Sub(f.due))
	}
	p.probe(l.host, f)
	f.state = feedRunning
	f.begun = now
	f.answering, f.asked, f.hinted = f.asked, false, false
	of := f.budget
	group.Go(func() {
		visit := &visit{home: f.ref.Host(), paid: l.account, prepaid: true, asked: of}
		p.check(visiting(ctx, visit), f, func() { p.finished(l.host, of, f) })
	})
}

func (p *Poller) finished(h *hostState, of budget, f *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.running--
	p.running--
	p.probed(h, of, f)
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
	if now := p.clock.Now(); f.due.Before(now) {
		f.due = now // it is not late: it was not due before
	}
	heap.Fix(&p.waiting, f.index)
}

// unschedule takes a feed out of where it waits. It is called before it counts as
// dropped, and draws on nothing.
func (p *Poller) unschedule(f *feed) {
	is := func(other *feed) bool { return other == f }
	switch f.state {
	case feedWaiting:
		heap.Remove(&p.waiting, f.index)
	case feedQueued:
		if l, ok := p.lanes[f.budget.account()]; ok {
			l.queue = slices.DeleteFunc(l.queue, is)
		}
		if paused, ok := p.pauses[f.budget]; ok {
			paused.parked = slices.DeleteFunc(paused.parked, is)
		}
	default:
	}
}

// dueAt is when the next check is due; the zero time is now.
func (p *Poller) dueAt(f *feed) time.Time {
	var due time.Time
	switch {
	case f.overdue(p.clock.Now()):
	case f.seen.Failure != nil:
		due = f.retry
	default:
		interval := f.interval()
		due = f.begun.Add(interval + time.Duration(f.jitter*float64(interval)))
		if f.undescribed != nil {
			due = earlier(due, f.again)
		}
	}
	if f.hinted && due.After(f.begun.Add(f.spacing)) {
		due = f.begun.Add(f.spacing)
	}
	if due.Before(f.leftAlone) {
		return f.leftAlone
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
