// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
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
	w := &world{t: t, clock: clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), cluster: &cluster{}}
	w.poller = registry.NewPoller(registry.PollerOptions{
		Asker:   registry.NewClient(registry.Options{PlainHTTP: hosts, Clock: w.clock, Timeout: 5 * time.Second}),
		Secrets: registry.NewCredentials(w.cluster, w.clock),
		Clock:   w.clock,
		Random:  func() float64 { return 0.5 }, // no jitter
	})
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
	return registry.Target{Reference: ref, Namespace: "shop", Interval: time.Minute}
}

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
	land := make(chan struct{})
	r.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodHead {
			<-land
		}
		return false
	})
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

func TestFailuresAreToldOnce(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	w := newWorld(t, r.Host)
	follow := target(ref)
	follow.Interval = 30 * time.Second
	w.poller.Follow(owner(1), []registry.Target{follow})
	w.woken(1)
	r.Fail("", "/manifests/", http.StatusBadGateway)
	r.ResetRequests()
	begun := w.clock.Now().Add(30 * time.Second)
	w.pass(30 * time.Second)
	w.heads(r, 1)
	w.woken(1) // the first
	got := w.poller.Latest(owner(1), ref)
	if got.Failure == nil || got.Failure.Reason != v1alpha1.ReasonRegistryUnreachable || !got.Failure.Since.Equal(begun) ||
		!strings.Contains(got.Failure.Message, r.Host) || string(got.Digest) != digest {
		t.Fatalf("Latest = %+v, %+v", got, got.Failure)
	}
	w.pass(10 * time.Second)
	w.heads(r, 2)
	w.quiet() // the second
	w.pass(20 * time.Second)
	w.heads(r, 3)
	w.woken(1)               // the third
	w.pass(30 * time.Second) // never longer than the interval
	w.heads(r, 4)
	w.quiet()
	r.Fail("", "/manifests/", http.StatusForbidden)
	w.pass(30 * time.Second)
	w.woken(1) // another reason
	r.Recover()
	w.pass(30 * time.Second)
	w.woken(1) // over
	if got := w.poller.Latest(owner(1), ref); got.Failure != nil || got.Repeats != 2 {
		t.Errorf("Latest = %+v", got)
	}
	w.pass(30 * time.Second)
	w.quiet()
}

func TestRateLimitIsHonoured(t *testing.T) {
	r := registrytest.New(t)
	ref, other := r.Reference(t, "team/app:stable"), r.Reference(t, "team/other:stable")
	r.Push(t, ref)
	r.Push(t, other)
	w := newWorld(t, r.Host)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodHead {
			return false
		}
		w.Header().Set("Retry-After", "300")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.woken(1)
	w.heads(r, 1)
	w.poller.Follow(owner(2), []registry.Target{target(other)}) // the same budget
	w.poller.Check(ref)
	w.pass(4 * time.Minute)
	w.heads(r, 1)
	r.Recover()
	w.pass(time.Minute)
	if got := w.woken(2); len(got) != 2 {
		t.Errorf("woken: %v", got)
	}
}

func TestAbsentTag(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	w := newWorld(t, r.Host)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); !got.Absent || got.Repeats != 1 || got.Failure != nil {
		t.Fatalf("Latest = %+v, want absent once", got)
	}
	w.poller.Check(ref)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); !got.Absent || got.Repeats != 2 {
		t.Errorf("Latest = %+v, want absent twice", got)
	}
	digest := r.Push(t, ref)
	w.pass(time.Minute)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Absent || string(got.Digest) != digest || got.Repeats != 1 {
		t.Errorf("Latest = %+v, want %s", got, digest)
	}
}

func TestDescribeOncePerDigest(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	baseDigest := "sha256:" + strings.Repeat("b", 64)
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.woken(1)
	described := target(ref)
	described.Describe = true
	w.poller.Follow(owner(2), []registry.Target{described}) // wants more than is known, and is told at once
	w.woken(2)
	if got := w.poller.Latest(owner(2), ref); got == nil || got.Digest == "" {
		t.Fatalf("Latest = %+v", got)
	}
	second := r.Push(t, ref, registrytest.WithBase("debian:12", baseDigest))
	w.pass(time.Minute)
	w.woken(2)
	want := plan.BaseAnnotation{Name: "debian:12", Digest: v1alpha1.Digest(baseDigest)}
	if got := w.poller.Latest(owner(2), ref); string(got.Digest) != second || got.Base != want {
		t.Errorf("Latest = %+v, want %v", got, want)
	}
	w.pass(time.Minute)
	w.pass(time.Minute)
	if n := r.Requests("GET", "/manifests/"); n != 2 {
		t.Errorf("%d descriptions of two digests", n)
	}
	w.quiet()
}

// TestFailedDescriptionHidesNothing: the digest is told, and the annotations
// follow.
func TestFailedDescriptionHidesNothing(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref, registrytest.WithBase("debian:12", "sha256:"+strings.Repeat("b", 64)))
	w := newWorld(t, r.Host)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/manifests/") {
			return false
		}
		_, _ = w.Write([]byte(`{"schemaVersion":2}`)) // of another digest
		return true
	})
	follow := target(ref)
	follow.Describe = true
	w.poller.Follow(owner(1), []registry.Target{follow})
	w.woken(1)
	got := w.poller.Latest(owner(1), ref)
	if got == nil || string(got.Digest) != digest || got.Failure != nil || got.Base != (plan.BaseAnnotation{}) {
		t.Fatalf("Latest = %+v", got)
	}
	r.Recover()
	w.pass(time.Minute)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Base.Name != "debian:12" || got.Repeats != 2 {
		t.Errorf("Latest = %+v", got)
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
