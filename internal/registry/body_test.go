// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"
)

// TestLargeAnswersTakeTurns: four large answers are read at once, and a fifth waits; small
// ones and blobs do not. The room is given back with the end of an answer, or of its
// question.
func TestLargeAnswersTakeTurns(t *testing.T) {
	g := &guard{room: semaphore.NewWeighted(maxLargeBodies)}
	open := func(ctx context.Context, size int) *boundedBody {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://registry.example.com/v2/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return g.bounded(req, io.NopCloser(strings.NewReader(strings.Repeat("x", size))), &witness{})
	}
	ended, end := context.WithCancel(t.Context())
	end()
	begin := func(ctx context.Context) *boundedBody {
		t.Helper()
		b := open(ctx, largeBody+2)
		if _, err := io.CopyN(io.Discard, b, largeBody+1); err != nil {
			t.Fatal(err)
		}
		return b
	}
	waits := func() {
		t.Helper()
		if _, err := io.Copy(io.Discard, open(ended, largeBody+2)); !errors.Is(err, errCrowded) {
			t.Errorf("one more large answer: %v", err)
		}
	}
	question, answered := context.WithCancel(t.Context())
	bodies := []*boundedBody{begin(t.Context()), begin(t.Context()), begin(t.Context()), begin(question)}
	waits()
	for name, ctx := range map[string]context.Context{
		"a small one": ended, "a blob": context.WithValue(ended, blobLimitKey{}, int64(maxBody+1)),
	} {
		size := largeBody - 1
		if name == "a blob" {
			size = maxBody + 1
		}
		if n, err := io.Copy(io.Discard, open(ctx, size)); err != nil || n != int64(size) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	if _, err := io.Copy(io.Discard, bodies[0]); err != nil {
		t.Fatal(err)
	}
	_ = bodies[0].Close()
	bodies[0] = begin(t.Context())
	waits()
	_ = bodies[1].Close()
	begin(t.Context())
	waits()
	answered()
	begin(t.Context()) // it waits until the question's end is noticed
	waits()
}
