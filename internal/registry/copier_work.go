// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"fmt"
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

// next takes the first job that may begin, with the context for its copy; nil where there
// is none. A job whose place or namespace is busy keeps its turn. After one job of a
// namespace the others of it go to the end of the queue: then it is others' turn.
func (c *Copier) next(ctx context.Context) (*job, context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.DeleteFunc(c.queue, func(j *job) bool { return c.jobs[j.request.key()] != j })
	at := slices.IndexFunc(c.queue, func(j *job) bool {
		return !c.busy[j.request.place()] && c.running[j.namespace] < namespaceWorkers
	})
	if at < 0 {
		return nil, nil
	}
	j := c.queue[at]
	c.queue = slices.Delete(c.queue, at, at+1)
	own := func(other *job) bool { return other.namespace == j.namespace }
	var later []*job
	for _, other := range c.queue {
		if own(other) {
			later = append(later, other)
		}
	}
	c.queue = append(slices.DeleteFunc(c.queue, own), later...)
	c.busy[j.request.place()] = true
	c.running[j.namespace]++
	work, cancel := context.WithTimeoutCause(ctx, c.longest, errTooLong)
	j.cancel = cancel
	return j, work
}

// errTooLong is why a copy ends that has taken longest.
var errTooLong = errors.New("too long")

// try makes one copy, and keeps how that ended.
func (c *Copier) try(ctx context.Context, j *job) {
	copied, err := c.copy(ctx, j.request)
	c.mu.Lock()
	defer c.mu.Unlock()
	cause := context.Cause(ctx)
	j.cancel()
	j.cancel = nil
	delete(c.busy, j.request.place())
	if c.running[j.namespace]--; c.running[j.namespace] == 0 {
		delete(c.running, j.namespace)
	}
	switch {
	case c.jobs[j.request.key()] != j: // nobody wants it any more
		return
	case err == nil:
		j.state, j.confirmed = CopyState{Copy: copied.Reference}, c.clock.Now()
	case errors.Is(cause, errTooLong):
		j.state = CopyState{Failure: c.failure(j, &Error{Class: Unavailable, Op: "copying", cause: fmt.Sprintf("it is not complete after %s", c.longest)})}
	case cause != nil:
		// Nothing was learned. Started again, the copier begins with this.
		c.queue = slices.Insert(c.queue, 0, j)
		return
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
