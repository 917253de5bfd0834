// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// mirrorPause is how long a mirror is passed over that had no answer, so that one
// that is down does not cost each check its timeout.
const mirrorPause = time.Minute

// mirrors are the places where a reference is asked for before its own host.
func (c *Client) mirrors(ref reference.Reference) []reference.Reference {
	var places []reference.Reference
	for _, mirror := range c.Rules().For(ref.Host()).Mirrors {
		place := ref
		place.Repository = strings.TrimSuffix(mirror, "/") + "/" + path(ref)
		places = append(places, place)
	}
	return places
}

// Narrow keeps of a keychain what counts for a reference, at its mirrors too, by
// the rules of now. Who has an equal Hash asks the same questions with the same
// credentials in the same order, and may share the answers.
func (c *Client) Narrow(ref reference.Reference, auth Keychain) Keychain {
	return auth.narrow(append(c.mirrors(ref), ref)...)
}

// ask reads something at the mirrors, in their order, and where none of them has it
// at the host itself, whose error is the one that counts. A check that was let go in a
// mirror's turn does not get that far: it comes again in the host's.
func (c *Client) ask(ctx context.Context, q question, f operation) error {
	if err := c.allowed(q); err != nil {
		return err
	}
	for _, place := range c.mirrors(q.ref) {
		at := question{ref: place, origin: q.ref, auth: q.auth, op: q.op}
		if c.paused(at) {
			continue
		}
		err := c.askHost(ctx, at, f)
		if err == nil || ctx.Err() != nil {
			return err
		}
		c.pause(at, err)
	}
	if visitOf(ctx).turnsAway(q.host()) {
		return &Error{Class: Unavailable, Host: q.host(), Op: q.op, cause: "its turn has not come"}
	}
	return c.askHost(ctx, q, f)
}

// paused is whether a mirror, or what is asked there, had no answer a moment ago.
func (c *Client) paused(at question) bool {
	for _, what := range []string{at.host(), at.asker(), at.asked()} {
		if _, ok := c.pauses.get(what); ok {
			return true
		}
	}
	return false
}

// pause has a mirror passed over: for everything where it gives no answer, and for all
// that is asked as somebody whom it limits. Where it has trouble with a tag, does not have
// it or refuses a credential, that holds for these alone: it may have the others.
func (c *Client) pause(at question, err error) {
	what := at.asked()
	switch {
	case Silence(err) != "":
		what = at.host()
	case ClassOf(err) == RateLimited:
		what = at.asker()
	}
	c.pauses.put(what, struct{}{}, max(mirrorPause, RetryAfter(err)))
}

// asker is who is asked, and as whom.
func (q question) asker() string {
	return q.host() + " " + hashOf(hashesOf(q.auth.candidates(q.ref)))
}

// asked is what was asked for, and as whom.
func (q question) asked() string { return q.ref.Name() + " " + q.asker() }
