// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// screen prints what happens, one line each, with the seconds since it was last reset.
// It never moves the cursor, so that its output can be piped and kept.
type screen struct {
	out io.Writer

	mu   sync.Mutex
	zero time.Time
}

func newScreen(out io.Writer) *screen {
	return &screen{out: out, zero: time.Now()}
}

// reset starts the seconds again.
func (s *screen) reset(zero time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zero = zero
}

// line prints one line of the table.
func (s *screen) line(at time.Time, object, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := max(at.Sub(s.zero), 0)
	fmt.Fprintf(s.out, "%7.1f s  %-28s %s\n", since.Seconds(), object, text)
}

// title prints a headline.
func (s *screen) title(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n▶ "+format+"\n\n", args...)
}

// say prints plain text.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// step tells that something is being done, and how long it took.
func (s *screen) step(what string, do func() error) error {
	begun := time.Now()
	s.say("  … %s", what)
	if err := do(); err != nil {
		return err
	}
	s.say("  ✓ %s (%.0f s)", what, time.Since(begun).Seconds())
	return nil
}

// silent are the reasons that say what another line says already.
var silent = map[string]bool{
	v1alpha1.ReasonBuilding: true, v1alpha1.ReasonPublishing: true, v1alpha1.ReasonResolving: true,
	v1alpha1.ReasonFollowed: true, v1alpha1.ReasonAdopted: true,
}

// tell prints an entry of the journal.
func (s *screen) tell(e shop.Entry) {
	if e.Kind == shop.Said && silent[e.Text] {
		return
	}
	s.line(e.At, e.Object, e.Text)
}
