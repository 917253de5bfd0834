// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"slices"
)

// choiceKey is where a candidate was found that is let in: a repository, and
// the candidates that there were.
type choiceKey struct {
	repository, candidates string
	push                   bool
}

// inTurn tries one candidate after the other until one is not refused, and begins
// with that one the next time if it was let in: registries lock accounts whose password is wrong
// too often. What is read may be public, and is tried anonymously at last; who
// wants to push and is refused has no business without a name.
//
// Where all are refused, the error is that of the first: it is the one that the
// user had in mind, and the anonymous one's would only say that a login is needed.
func (c *Client) inTurn(ctx context.Context, q question, try func(candidate) error) error {
	if err := c.allowed(q); err != nil {
		return err
	}
	turns := q.auth.candidates(q.ref)
	key := choiceKey{repository: q.ref.Repository, candidates: hashOf(hashesOf(turns)), push: q.push}
	if len(turns) == 0 || !q.push {
		turns = append(slices.Clip(turns), anonymous)
	}
	chosen, known := c.choices.get(key)
	if known {
		err := try(turns[chosen])
		if !refused(turns, chosen, err) {
			return err
		}
		c.choices.drop(key)
	}
	var first error
	for i, turn := range turns {
		if known && i == chosen {
			continue
		}
		err := try(turn)
		if !refused(turns, i, err) {
			if i > 0 && ctx.Err() == nil && (err == nil || ClassOf(err) == Absent) {
				c.choices.put(key, i, sessionAge)
			}
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// refused is whether an error leaves it to the next candidate. To the anonymous,
// registries say of what is private that it does not exist; taken at their word, a
// wrong password would be a tag to build.
func refused(turns []candidate, turn int, err error) bool {
	switch ClassOf(err) {
	case Unauthorized, Forbidden:
		return true
	case Absent:
		return turn > 0 && turns[turn] == anonymous
	default:
		return false
	}
}
