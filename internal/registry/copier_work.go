// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Start copies until the context ends; it then waits for the copies under way, which
// end with the context. It implements manager.Runnable.
func (c *Copier) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { c.pending.deliver(ctx) })
	free := make(chan struct{}, c.workers)
	for ctx.Err() == nil {
		if len(free) < c.workers {
			if j, work := c.next(ctx); j != nil {
				free <- struct{}{}
				group.Go(func() {
					defer func() { <-free; c.nudge() }()
					c.try(work, j)
				})
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-c.wake:
		}
	}
	return nil
}

// next takes the first job whose place is free, with the context for its copy; nil
// where there is none. A job whose place is taken keeps its turn.
func (c *Copier) next(ctx context.Context) (*job, context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.DeleteFunc(c.queue, func(j *job) bool { return c.jobs[j.request.key()] != j })
	for i, j := range c.queue {
		if c.busy[j.request.place()] {
			continue
		}
		c.queue = slices.Delete(c.queue, i, i+1)
		c.busy[j.request.place()] = true
		work, cancel := context.WithCancel(ctx)
		j.cancel = cancel
		return j, work
	}
	return nil, nil
}

// try makes one copy, and keeps how that ended.
func (c *Copier) try(ctx context.Context, j *job) {
	copied, err := c.copy(ctx, j.request)
	c.mu.Lock()
	defer c.mu.Unlock()
	gaveUp := ctx.Err() != nil && err != nil
	j.cancel()
	j.cancel = nil
	delete(c.busy, j.request.place())
	switch {
	case c.jobs[j.request.key()] != j: // nobody wants it any more
		return
	case gaveUp:
		// Nothing was learned. Started again, the copier begins with this.
		c.queue = slices.Insert(c.queue, 0, j)
		return
	case err == nil:
		j.state = CopyState{Copy: copied.Reference}
	default:
		j.state = CopyState{Failure: c.failure(j, err)}
	}
	for owner := range j.owners {
		c.pending.add(owner)
	}
}

// copy makes a copy with the credentials of now. Secrets that were refused may have
// been renewed, and are read anew the next time.
func (c *Copier) copy(ctx context.Context, r CopyRequest) (Copied, error) {
	read, err := c.secrets.For(ctx, r.Read)
	if err != nil {
		return Copied{}, err
	}
	write, err := c.secrets.For(ctx, r.Write)
	if err != nil {
		return Copied{}, err
	}
	copied, err := c.copies.Copy(ctx, r.From, r.Digest, r.To, read, write)
	if class := ClassOf(err); class == Unauthorized || class == Forbidden {
		c.secrets.Forget(r.Read)
		c.secrets.Forget(r.Write)
	}
	return copied, err
}

// failure is what is told of a try that failed. A registry that says how long it wants
// to be left alone is left alone as long.
func (c *Copier) failure(j *job, err error) *CopyFailure {
	now := c.clock.Now()
	failed := CopyFailure{Since: now, Count: 1}
	if was := j.state.Failure; was != nil {
		failed.Since, failed.Count = was.Since, was.Count+1
	}
	known, ok := errors.AsType[*Error](err)
	if !ok {
		known = &Error{Class: Unavailable, Op: "copying", cause: "it failed"}
	}
	failed.Err = known
	failed.Next = now.Add(max(copyBackoff(failed.Count), RetryAfter(err)))
	return &failed
}

// copyBackoff is how long to wait after so many failures in a row.
func copyBackoff(count int) time.Duration {
	return min(firstCopyRetry<<min(count-1, maxDoubling), maxCopyRetry)
}
