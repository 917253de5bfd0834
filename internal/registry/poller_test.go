// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func TestAThousandOwnersCostOneHead(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "library/debian:12")
	first := r.Push(t, ref)
	w := newWorld(t, r.Host)
	const owners = 1000
	for i := range owners {
		w.poller.Follow(owner(i), []registry.Target{target(ref)})
	}
	w.heads(r, 1)
	if got := w.poller.Latest(owner(7), ref); got == nil || string(got.Digest) != first || got.Repeats != 1 {
		t.Fatalf("Latest = %+v, want %s", got, first)
	}
	for i := range owners {
		w.poller.Follow(owner(i), []registry.Target{target(ref)}) // changes nothing
	}
	w.pass(time.Minute)
	w.heads(r, 2)
	w.eventually("a second equal answer", func() bool { return w.poller.Latest(owner(7), ref).Repeats == 2 })
	for n := owners; n > 0; n-- { // of the first answer, however many had joined by then
		select {
		case <-w.poller.Events():
		case <-time.After(20 * time.Millisecond):
			n = 1
		}
	}
	second := r.Push(t, ref)
	w.pass(time.Minute)
	if got := w.woken(owners); len(got) != owners {
		t.Errorf("%d owners were woken by the new digest, want %d", len(got), owners)
	}
	w.heads(r, 3)
	if got := w.poller.Latest(owner(999), ref); string(got.Digest) != second || got.Repeats != 1 || !got.Started.Equal(w.clock.Now()) {
		t.Errorf("Latest = %+v, want %s", got, second)
	}
	w.pass(time.Minute)
	w.heads(r, 4)
	w.quiet()
}

func TestShortestIntervalWins(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	slow, fast := target(ref), target(ref)
	slow.Interval, fast.Interval = 0, 40*time.Second // 0 is 15 minutes
	w.poller.Follow(owner(1), []registry.Target{slow})
	w.woken(1)
	w.pass(2 * time.Minute)
	w.heads(r, 1)
	w.poller.Follow(owner(2), []registry.Target{fast}) // overdue by now
	w.heads(r, 2)
	w.pass(40 * time.Second)
	w.heads(r, 3)
	w.poller.Forget(owner(2))
	w.pass(40 * time.Second) // was planned already
	w.heads(r, 4)
	w.pass(14 * time.Minute)
	w.heads(r, 4)
	w.poller.Forget(owner(1))
	if got := w.poller.Latest(owner(1), ref); got != nil {
		t.Errorf("Latest = %+v after Forget", got)
	}
	w.clock.Step(time.Hour)
	w.heads(r, 4)
}

func TestCheckDuringAFlight(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	land := landing(r)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.heads(r, 1)
	for range 5 {
		w.poller.Check(ref)
	}
	w.heads(r, 1)
	land <- struct{}{}
	w.heads(r, 2) // one more, for all five
	land <- struct{}{}
	w.eventually("two answers", func() bool { o := w.poller.Latest(owner(1), ref); return o != nil && o.Repeats == 2 })
	w.woken(1)
	close(land)
	w.eventually("the outbox to be empty", func() bool {
		select {
		case <-w.poller.Events():
			return false
		case <-time.After(20 * time.Millisecond):
			return true
		}
	})
	w.poller.Check(ref)
	if got := w.woken(1); got[owner(1)] != 1 {
		t.Errorf("woken %v; who asked waits for an answer that changes nothing, too", got)
	}
	w.heads(r, 3)
	w.poller.Check(r.Reference(t, "nobody/follows:this"))
	w.quiet()
	w.heads(r, 3)
}

func TestSlowHostDelaysNoOther(t *testing.T) {
	slow, fast := registrytest.New(t), registrytest.New(t)
	w := newWorld(t, slow.Host, fast.Host)
	w.poller.Follow(owner(100), []registry.Target{target(slow.Reference(t, "team/first:stable"))})
	w.woken(1) // it has answered once, and is trusted with more than one check
	var flying, most atomic.Int32
	land := make(chan struct{})
	slow.Intercept(func(http.ResponseWriter, *http.Request) bool {
		most.Store(max(most.Load(), flying.Add(1)))
		defer flying.Add(-1)
		<-land
		return false
	})
	for i := range 50 {
		w.poller.Follow(owner(i), []registry.Target{target(slow.Reference(t, fmt.Sprintf("team/app-%d:stable", i)))})
	}
	w.eventually("a full lane", func() bool { return flying.Load() == registry.DefaultPerHost })
	ref := fast.Reference(t, "team/app:stable")
	fast.Push(t, ref)
	w.poller.Follow(owner(100), []registry.Target{target(ref)})
	if got := w.woken(1); got[owner(100)] != 1 {
		t.Errorf("woken: %v", got)
	}
	close(land)
	w.woken(50)
	if most.Load() != registry.DefaultPerHost {
		t.Errorf("%d requests at once", most.Load())
	}
}

func TestStoppedAndStartedAgain(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	flying := make(chan struct{}, 1)
	r.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		flying <- struct{}{}
		<-req.Context().Done()
		return true
	})
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	<-flying
	w.stop()
	if got := w.poller.Latest(owner(1), ref); got != nil {
		t.Errorf("Latest = %+v of a check that was given up", got)
	}
	r.Recover()
	w.start()
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got == nil || got.Failure != nil {
		t.Errorf("Latest = %+v", got)
	}
}
