// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import "context"

type copyingKey struct{}

// forCopy marks the requests of a copy: they wait for their turns.
func forCopy(ctx context.Context) context.Context {
	return context.WithValue(ctx, copyingKey{}, true)
}

// atOnce ends that for the requests of a context.
func atOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, copyingKey{}, false)
}

func isCopying(ctx context.Context) bool {
	copying, _ := ctx.Value(copyingKey{}).(bool)
	return copying
}

// turn waits until a copy may make its next request. A copy has many, and nobody sits
// before a screen: a large one would leave polling without tokens.
func (c *Client) turn(ctx context.Context, q question) error {
	if visitOf(ctx) != nil {
		return c.resting(q)
	}
	for isCopying(ctx) {
		if err := c.resting(q); err != nil {
			return err
		}
		wait := c.meter.copies.wait(q.account(), c.clock.Now())
		if wait == 0 {
			break
		}
		select {
		case <-c.clock.After(wait):
		case <-ctx.Done():
			return classify(ctx, q.host(), q.op, ctx.Err(), sighting{})
		}
	}
	return nil
}

// rest has a host left alone by copies under the credential that was answered that it asks
// too often: as long as the registry says, and a moment where it does not.
func (c *Client) rest(q question, failed *Error) {
	if failed.Class != RateLimited {
		return
	}
	key := q.budget()
	wait := max(firstCopyRetry, RetryAfter(failed))
	until := c.clock.Now().Add(wait)
	if known, ok := c.rests.get(key); !ok || known.Before(until) {
		c.rests.put(key, until, wait)
	}
}

// resting is an error where the host wants to be left alone by who asks.
func (c *Client) resting(q question) error {
	until, ok := c.rests.get(q.budget())
	if !ok {
		return nil
	}
	return &Error{
		Class: RateLimited, Host: q.host(), Op: q.op, RetryAfter: until.Sub(c.clock.Now()),
		cause: "it asked to be left alone",
	}
}

// restingFirst is resting for the candidate that is asked first: where the source wants to
// be left alone, the target is not asked whether it may be pushed to.
func (c *Client) restingFirst(q question) error {
	q.with = anonymous
	if turns := q.auth.candidates(q.ref); len(turns) > 0 {
		q.with = turns[0]
	}
	return c.resting(q)
}
