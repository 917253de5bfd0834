// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// world is a poller under a clock that stands still until it is told otherwise.
type world struct {
	t       *testing.T
	clock   *clocktesting.FakeClock
	cluster *cluster
	poller  *registry.Poller
	stop    func()
}

func newWorld(t *testing.T, hosts ...string) *world {
	t.Helper()
	return newWorldOf(t, registry.PollerOptions{}, hosts...)
}

// newWorldOf is newWorld with options for the poller.
func newWorldOf(t *testing.T, o registry.PollerOptions, hosts ...string) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), cluster: &cluster{}}
	if o.Asker == nil {
		o.Asker = registry.NewClient(registry.Options{Rules: plainHTTP(hosts...), Clock: w.clock, Timeout: 5 * time.Second})
	}
	o.Secrets = registry.NewCredentials(w.cluster, w.clock)
	o.Clock = w.clock
	o.Random = func() float64 { return 0.5 } // no jitter
	w.poller = registry.NewPoller(o)
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.poller.Start(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Start: %v", err)
		}
	}
	w.t.Cleanup(cancel)
}

func owner(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("web-%d", i)}
}

// woken waits for n events, and returns how often each owner was woken.
func (w *world) woken(n int) map[types.NamespacedName]int {
	w.t.Helper()
	got := map[types.NamespacedName]int{}
	for range n {
		select {
		case e := <-w.poller.Events():
			got[e.Object]++
		case <-time.After(5 * time.Second):
			w.t.Fatalf("woken: %v; want %d events", got, n)
		}
	}
	return got
}

// quiet fails the test where an event comes.
func (w *world) quiet() {
	w.t.Helper()
	select {
	case e := <-w.poller.Events():
		w.t.Fatalf("%s was woken for nothing", e.Object)
	case <-time.After(30 * time.Millisecond):
	}
}

// eventually waits for something that happens in another goroutine, without the
// clock.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	deadline := time.After(5 * time.Second)
	for !condition() {
		select {
		case <-deadline:
			w.t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// pass lets time go by, in steps small enough that no timer is set too late.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	const steps = 4
	for range steps {
		w.eventually("a timer", w.clock.HasWaiters)
		w.clock.Step(d / steps)
	}
}

// heads waits until the registry has got n HEADs, and then makes sure that there
// is not one more.
func (w *world) heads(r *registrytest.Registry, n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%d HEADs, got %d", n, r.Requests("HEAD", "")), func() bool { return r.Requests("HEAD", "") >= n })
	select {
	case <-w.t.Context().Done():
	case <-time.After(20 * time.Millisecond):
	}
	if got := r.Requests("HEAD", ""); got != n {
		w.t.Fatalf("%d HEADs, want %d", got, n)
	}
}

func target(ref reference.Reference) registry.Target {
	return registry.Target{CredentialSource: named("shop"), Reference: ref, Interval: time.Minute}
}

// landing has each HEAD of a registry wait until it is let land.
func landing(r *registrytest.Registry) chan struct{} {
	land := make(chan struct{})
	r.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodHead {
			<-land
		}
		return false
	})
	return land
}
