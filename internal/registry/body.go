// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"
)

// boundedBody ends with an error where more follows than is allowed. Where it is large,
// it waits for a room in which few are read at once.
type boundedBody struct {
	io.ReadCloser

	req     *http.Request
	left    int64
	witness *witness
	// room is nil where none is needed, or it was taken.
	room *semaphore.Weighted
	// small is how much may be read without.
	small int64
	leave func()
}

// bounded bounds an answer. A blob that is handed on as it comes takes no room.
func (g *guard) bounded(req *http.Request, body io.ReadCloser, w *witness) *boundedBody {
	b := &boundedBody{
		ReadCloser: body, req: req, left: bodyLimit(req), witness: w, small: largeBody, leave: func() {},
	}
	if b.left == maxBody {
		b.room = g.room
	}
	return b
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.room != nil && b.small <= 0 {
		if err := b.enter(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.small -= int64(n)
	if b.left < 0 {
		b.witness.saw(sighting{refused: errTooLarge})
		err, n = errTooLarge, 0
	}
	if err != nil {
		b.leave()
	}
	return n, err
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	b.leave()
	return b.ReadCloser.Close()
}

// enter takes room, and gives it back at the end of the answer or of the question.
func (b *boundedBody) enter() error {
	room, ctx := b.room, b.req.Context()
	if err := room.Acquire(ctx, 1); err != nil {
		b.witness.refuses(errCrowded)
		return errCrowded
	}
	b.room = nil
	leave := sync.OnceFunc(func() { room.Release(1) })
	stop := context.AfterFunc(ctx, leave)
	b.leave = func() { stop(); leave() }
	return nil
}
