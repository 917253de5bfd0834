// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// TestCopiesLeaveHalf: a copy of many requests takes half of a host's rate, and leaves no
// debt that polling would have to pay.
func TestCopiesLeaveHalf(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	limits := registry.NewLimits(func(string) registry.HostRule { return registry.HostRule{RequestsPerSecond: 1} }, clock)
	client := registry.NewClient(registry.Options{Rules: plainHTTP(source.Host, target.Host), Clock: clock, Limits: limits})
	w := &world{t: t, clock: clock}
	begun := clock.Now()
	done := make(chan error, 1)
	go func() {
		_, err := o.copy(client, target.Reference(t, "mirror/app"))
		done <- err
	}()
	ended := false
	for !ended {
		w.eventually("a request that waits, or the end", func() bool {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				ended = true
			default:
			}
			return ended || clock.HasWaiters()
		})
		for _, host := range []string{source.Host, target.Host} {
			// The first question has a ping before it.
			if tokens := limits.Tokens(host); tokens < -3 {
				t.Fatalf("%s has %v tokens", host, tokens)
			}
		}
		clock.Step(time.Second)
	}
	took := clock.Now().Sub(begun).Seconds()
	for _, r := range []*registrytest.Registry{source, target} {
		if n := r.Requests("", ""); float64(n) > took/2+3 {
			t.Errorf("%s was asked %d times in %v s, want half of its rate", r.Host, n, took)
		}
	}
}

// TestCopiesLeaveAlone: of many copies, those that are under way hear that a source limits its
// clients, or that it did so to polling; the others do not ask, and ask the target nothing
// but for what it has.
func TestCopiesLeaveAlone(t *testing.T) {
	for name, polled := range map[string]bool{"the first copies are told": false, "a check was told": true} {
		t.Run(name, func(t *testing.T) {
			source, target := registrytest.New(t), registrytest.New(t)
			w := newPoliteWorld(t, 1e6, source.Host, target.Host)
			ref := source.Reference(t, "team/app:stable")
			var digests []string
			for range 50 {
				digests = append(digests, source.Push(t, ref))
			}
			want := 2
			source.Intercept(throttles("30"))
			if polled {
				w.poller.Follow(owner(1), []registry.Target{{Reference: ref, Interval: time.Minute}})
				w.settle()
				want = 0
			}
			source.ResetRequests()
			copier := registry.NewCopier(registry.CopierOptions{Copies: w.client, Secrets: registry.NewCredentials(w.cluster, w.clock), Clock: w.clock})
			ensure := func(i int) registry.CopyState {
				return copier.Ensure(owner(i), registry.CopyRequest{From: ref, Digest: digests[i], To: target.Reference(t, "mirror/app")})
			}
			started(t, copier)
			for i := range digests {
				ensure(i)
			}
			woken(t, copier, len(digests))
			if n := source.Requests("", ""); n > want {
				t.Errorf("%d requests to a source that wants to be left alone, want %d", n, want)
			}
			if n := target.Requests("POST", ""); n > want {
				t.Errorf("%d uploads were begun, want %d", n, want)
			}
			for i := range digests {
				got := ensure(i)
				if got.Failure == nil || got.Failure.Err.Class != registry.RateLimited || !got.Failure.Next.Equal(w.clock.Now().Add(30*time.Second)) {
					t.Fatalf("Ensure = %+v, want it to be tried after 30 s", got)
				}
			}
			source.Recover()
			w.clock.Step(30 * time.Second)
			ensure(0)
			woken(t, copier, 1)
			if got := ensure(0); got.Copy.IsZero() {
				t.Errorf("Ensure = %+v, afterwards", got)
			}
		})
	}
}

// TestPollingHearsOfACopy: where a copy was told to ask less, a check does not ask either.
func TestPollingHearsOfACopy(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	w := newPoliteWorld(t, 1e6, source.Host, target.Host)
	o := newOriginal(t, source, true)
	source.Intercept(throttles("30"))
	if _, err := o.copy(w.client, target.Reference(t, "mirror/app")); registry.ClassOf(err) != registry.RateLimited {
		t.Fatalf("error %v", err)
	}
	source.Recover()
	source.ResetRequests()
	w.poller.Follow(owner(1), []registry.Target{{Reference: o.ref, Interval: time.Minute}})
	w.elapse(29*time.Second, time.Second)
	if n := source.Requests("", ""); n > 0 {
		t.Errorf("%d requests to a source that wants to be left alone", n)
	}
	w.elapse(3*time.Second, time.Second)
	if got := w.poller.Latest(owner(1), o.ref); got == nil || string(got.Digest) != o.digest {
		t.Errorf("Latest = %+v, afterwards", got)
	}
}
