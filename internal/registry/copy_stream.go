// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"hash"
	"io"
	"sync/atomic"
	"time"
)

// A layer may take hours; what it must not do is to stand still, or to trickle. The times
// are multiples of what a registry has for one answer: a minute, and five, by default.
const (
	stallFactor  = 2
	commitFactor = 10
	// leastSpeed is what has to move of a layer on average, in bytes a second: 1 MiB a
	// minute. The first minute does not count.
	leastSpeed = 1 << 20 / 60
)

var (
	errSourceStalled = errors.New("the source sends nothing")
	errTargetStalled = errors.New("the target takes nothing")

	errSourceTrickles = errors.New("the source sends too little")
	errTargetTrickles = errors.New("the target takes too little")
)

// pace ends a stream that stands still: for a minute while bytes flow, and for five
// after the last one, when the registry looks at the whole and puts it where it belongs.
type pace struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
	// answer is what a registry has for one.
	answer time.Duration
	// patience of now, in nanoseconds.
	patience atomic.Int64
	// reading is set while the source is waited for.
	reading atomic.Bool
	// begun is when the stream began, and waited how long it has waited for the source.
	// Only the reader of the source looks at them.
	begun  time.Time
	waited time.Duration
}

// paced is the context for both ends of a stream, and what keeps it going.
func (c *Client) paced(ctx context.Context) (context.Context, *pace) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pace{cancel: cancel, answer: c.timeout, begun: time.Now()}
	p.reading.Store(true)
	p.patience.Store(int64(stallFactor * p.answer))
	p.timer = time.AfterFunc(stallFactor*p.answer, func() {
		if p.reading.Load() {
			p.cancel(errSourceStalled)
		} else {
			p.cancel(errTargetStalled)
		}
	})
	return ctx, p
}

// begin says that the source is waited for. How long both have does not change by that.
func (p *pace) begin() { p.reading.Store(true) }

// moved says that something came from the source, and the target is waited for.
func (p *pace) moved() { p.wait(stallFactor * p.answer) }

// complete says that everything came from the source.
func (p *pace) complete() { p.wait(commitFactor * p.answer) }

func (p *pace) wait(patience time.Duration) {
	p.reading.Store(false)
	p.patience.Store(int64(patience))
	p.timer.Reset(patience)
}

// trickles is an error where less than leastSpeed has moved on average, and tells which
// side was waited for the longer.
func (p *pace) trickles(moved int64) error {
	took := time.Since(p.begun)
	switch {
	case took < stallFactor*p.answer || float64(moved) >= leastSpeed*took.Seconds():
		return nil
	case p.waited > took/2:
		return errSourceTrickles
	default:
		return errTargetTrickles
	}
}

func (p *pace) stop() {
	p.timer.Stop()
	p.cancel(nil)
}

// blobBody is a blob on its way through. It hands the last bytes over once the digest
// is right, and not a byte more than the manifest says.
type blobBody struct {
	io.ReadCloser

	question question // what errors say was asked
	size     int64
	digest   string
	hash     hash.Hash
	pace     *pace
	// classify makes an *Error of what reading failed with.
	classify func(error) *Error

	got    int64
	ended  bool
	failed atomic.Pointer[Error]
}

// Read implements io.Reader.
func (b *blobBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	b.pace.begin()
	asked := time.Now()
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.size-b.got)])
	b.pace.waited += time.Since(asked)
	b.got += int64(n)
	_, _ = b.hash.Write(p[:n])
	switch {
	case b.got == b.size && digestString(b.digest, b.hash) != b.digest:
		return 0, b.fail(b.question.invalid("the layer does not have the digest that its manifest says"))
	case b.got == b.size:
		b.ended = true
		b.pace.complete()
		return n, nil
	case errors.Is(err, io.EOF):
		return 0, b.fail(b.classify(io.ErrUnexpectedEOF))
	case err != nil:
		return 0, b.fail(b.classify(err))
	case n > 0:
		if err := b.pace.trickles(b.got); err != nil {
			b.pace.cancel(err)
			return 0, err
		}
		b.pace.moved()
	}
	return n, nil
}

func (b *blobBody) fail(err *Error) error {
	b.failed.Store(err)
	return err
}
