// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// movableClock is the real clock, set forward or back. Now, Since, NewTimer and
// After follow it; the rest, which the operator does not use, is RealClock's.
type movableClock struct {
	clock.RealClock

	mu     sync.Mutex
	offset time.Duration
	armed  map[*movableTimer]struct{}
}

func newMovableClock() *movableClock {
	return &movableClock{armed: map[*movableTimer]struct{}{}}
}

// Move sets the clock forward, or back where d is negative. Timers that are due
// by it have fired when Move returns; the others wait for their time by it.
func (c *movableClock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	for t := range c.armed {
		t.armLocked()
	}
}

func (c *movableClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *movableClock) nowLocked() time.Time { return time.Now().Add(c.offset) }

func (c *movableClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *movableClock) After(d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

func (c *movableClock) NewTimer(d time.Duration) clock.Timer {
	t := &movableTimer{clock: c, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// movableTimer waits for a deadline by a movableClock, whose mutex guards it.
type movableTimer struct {
	clock    *movableClock
	c        chan time.Time
	deadline time.Time
	real     *time.Timer // nil when nothing is waited for
	arming   int         // tells a real timer that was replaced as it fired
}

func (t *movableTimer) C() <-chan time.Time { return t.c }

func (t *movableTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stopLocked()
}

func (t *movableTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	waited := t.stopLocked()
	t.deadline = t.clock.nowLocked().Add(d)
	t.armLocked()
	return waited
}

// stopLocked leaves no former firing in the channel, as time.Timer does.
func (t *movableTimer) stopLocked() bool {
	waited := t.disarmLocked()
	select {
	case <-t.c:
	default:
	}
	return waited
}

// armLocked waits for the deadline by the clock as it is set now.
func (t *movableTimer) armLocked() {
	t.disarmLocked()
	wait := t.deadline.Sub(t.clock.nowLocked())
	if wait <= 0 {
		t.fireLocked()
		return
	}
	t.clock.armed[t] = struct{}{}
	arming := t.arming
	t.real = time.AfterFunc(wait, func() {
		t.clock.mu.Lock()
		defer t.clock.mu.Unlock()
		if t.arming == arming {
			t.disarmLocked()
			t.fireLocked()
		}
	})
}

func (t *movableTimer) disarmLocked() bool {
	if t.real == nil {
		return false
	}
	t.real.Stop()
	t.real = nil
	t.arming++
	delete(t.clock.armed, t)
	return true
}

func (t *movableTimer) fireLocked() {
	select {
	case t.c <- t.clock.nowLocked():
	default:
	}
}

// move sets the world's clock, and has every lineage reconciled by it: what a
// controller asked to be woken for, controller-runtime measures by the real clock.
// The API server's clock stays where it is, and with it the creation timestamps.
func (w *world) move(d time.Duration) {
	w.t.Helper()
	w.clock.Move(d)
	for _, namespace := range []string{w.namespace, w.other} {
		found := &v1alpha1.ImageLineageList{}
		if err := admin.List(w.t.Context(), found, client.InNamespace(namespace)); err != nil {
			w.t.Fatal(err)
		}
		for i := range found.Items {
			for _, p := range w.processes {
				p.news.wake(client.ObjectKeyFromObject(&found.Items[i]))
			}
		}
	}
}

// wakingSource is a source, and the test's own way into the same queue.
type wakingSource struct {
	source.Source

	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (s *wakingSource) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = queue
	return s.Source.Start(ctx, queue)
}

// wake enqueues a lineage. A controller that does not run yet reconciles every
// lineage when it begins, and the queue of one that has ended takes nothing.
func (s *wakingSource) wake(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		s.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

func hasFired(t clock.Timer) bool {
	select {
	case <-t.C():
		return true
	default:
		return false
	}
}

func TestTimersFollowTheMovableClock(t *testing.T) {
	c := newMovableClock()
	before := c.Now()
	timer := c.NewTimer(2 * time.Hour)
	c.Move(time.Hour)
	if past := c.Since(before); past < time.Hour || past > 90*time.Minute {
		t.Errorf("an hour forward is %v", past)
	}
	if hasFired(timer) {
		t.Error("fired an hour early")
	}
	c.Move(-time.Hour)
	c.Move(90 * time.Minute)
	if hasFired(timer) {
		t.Error("set back, it did not wait for longer")
	}
	c.Move(time.Hour)
	if !hasFired(timer) {
		t.Error("did not fire when its time came")
	}
	if timer.Reset(time.Hour) {
		t.Error("one that had fired still waited")
	}
	if !timer.Stop() || timer.Stop() {
		t.Error("stopping it once was not enough")
	}
	c.Move(2 * time.Hour)
	if hasFired(timer) {
		t.Error("fired though it was stopped")
	}
	timer.Reset(0)
	if timer.Stop(); hasFired(timer) {
		t.Error("a former firing was left in the channel")
	}
	// By the real clock alone, and moved back and forth in between.
	soon := c.After(time.Millisecond)
	c.Move(-time.Hour)
	c.Move(time.Hour)
	<-soon
}

// TestMovableClockUnderManyHands is for the race detector, and for timers that get
// lost: each of them fires in the end, because the last move passes them all.
func TestMovableClockUnderManyHands(t *testing.T) {
	c := newMovableClock()
	var hands sync.WaitGroup
	timers := make([]clock.Timer, 100)
	for i := range timers {
		hands.Go(func() {
			timer := c.NewTimer(time.Duration(rand.Int64N(int64(2 * time.Hour))))
			for range 20 {
				switch rand.IntN(4) {
				case 0:
					c.Move(time.Duration(rand.Int64N(int64(time.Hour))) - 30*time.Minute)
				case 1:
					timer.Stop()
				case 2:
					timer.Reset(time.Duration(rand.Int64N(int64(time.Millisecond))))
				default:
					hasFired(timer)
					c.Now()
				}
			}
			timer.Reset(time.Hour)
			timers[i] = timer
		})
	}
	hands.Wait()
	c.Move(1000 * time.Hour)
	for i, timer := range timers {
		if !hasFired(timer) {
			t.Errorf("timer %d never fired", i)
		}
	}
}

// TestMovingTheClockMovesTheOperator: the tag is checked every hour.
func TestMovingTheClockMovesTheOperator(t *testing.T) {
	w := newWorld(t)
	w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"))
	w.start(0)
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	moved := w.push("base:1", "base two")
	asked := w.faults.requests("", "/base/")
	w.move(2 * time.Hour)
	l := w.waitFor("base", "on the new image", func(l *v1alpha1.ImageLineage) bool { return current(l) == moved })
	if ahead := time.Until(l.Status.Current.Accepted.Time); ahead < time.Hour {
		t.Errorf("accepted %v from now, want by the moved clock", ahead)
	}
	if w.faults.requests("", "/base/") == asked {
		t.Error("the operator asked the registry by the way without faults")
	}
}

func TestAWakingSourceIsTwo(t *testing.T) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	named := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	s := &wakingSource{Source: source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.Add(named("by the source"))
		return nil
	})}
	s.wake(named("too early").NamespacedName)
	if err := s.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	s.wake(named("by the test").NamespacedName)
	for _, want := range []string{"by the source", "by the test"} {
		if got, _ := queue.Get(); got != named(want) {
			t.Errorf("in the queue is %v, want %s", got, want)
		}
	}
	queue.ShutDown()
	s.wake(named("too late").NamespacedName)
}
