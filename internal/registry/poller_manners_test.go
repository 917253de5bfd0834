// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// politeWorld is a world whose poller and client share limits and metrics.
type politeWorld struct {
	*world

	client  *registry.Client
	limits  *registry.Limits
	metrics *prometheus.Registry
	hosts   []string
	// rate of every host, in requests a second.
	rate atomic.Int64
}

func newPoliteWorld(t *testing.T, rate int64, hosts ...string) *politeWorld {
	t.Helper()
	w := &politeWorld{hosts: slices.Sorted(slices.Values(hosts))}
	w.rate.Store(rate)
	w.begin(t, plainHTTP(hosts...), func(string) registry.HostRule {
		return registry.HostRule{RequestsPerSecond: float64(w.rate.Load())}
	})
	return w
}

// begin starts the poller, with a client by some rules and the rates of others.
func (w *politeWorld) begin(t *testing.T, rules registry.Rules, rates func(string) registry.HostRule) {
	t.Helper()
	w.metrics = prometheus.NewRegistry()
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	w.world = &world{t: t, clock: clock, cluster: &cluster{}}
	w.limits = registry.NewLimits(rates, clock)
	metrics := registry.NewMetrics(w.metrics)
	w.client = registry.NewClient(registry.Options{Rules: rules, Clock: clock, Timeout: time.Minute, Limits: w.limits, Metrics: metrics})
	w.poller = registry.NewPoller(registry.PollerOptions{
		Asker: w.client, Secrets: registry.NewCredentials(w.cluster, clock), Clock: clock,
		Random: func() float64 { return 0.5 }, Limits: w.limits, Metrics: metrics,
	})
	w.start()
}

// follow has one owner each follow some tags of a registry, every 30 seconds.
func (w *politeWorld) follow(r *registrytest.Registry, first, n int) []reference.Reference {
	w.t.Helper()
	refs := make([]reference.Reference, 0, n)
	for i := range n {
		ref := r.Reference(w.t, fmt.Sprintf("team/app-%d:stable", i))
		r.Push(w.t, ref)
		refs = append(refs, ref)
		w.poller.Follow(owner(first+i), []registry.Target{{Reference: ref, Interval: 30 * time.Second}})
	}
	return refs
}

// settle waits until nothing happens any more without the clock.
func (w *politeWorld) settle() {
	w.t.Helper()
	calm := 0
	w.eventually("the poller to settle", func() bool {
		if !w.poller.Settled() || !w.clock.HasWaiters() {
			calm = 0
			return false
		}
		calm++
		return calm == 2 // the loop may have been about to set its timer
	})
}

// elapse lets time go by in steps, and lets the poller settle after each.
func (w *politeWorld) elapse(d, step time.Duration) {
	w.t.Helper()
	for left := d; left > 0; left -= step {
		w.settle()
		w.clock.Step(min(step, left))
	}
	w.settle()
}

// drain fetches the events that are there, and counts them by owner.
func (w *politeWorld) drain() map[types.NamespacedName]int {
	got := map[types.NamespacedName]int{}
	for {
		select {
		case e := <-w.poller.Events():
			got[e.Object]++
		case <-time.After(20 * time.Millisecond):
			return got
		}
	}
}

// headsOf counts the HEADs for some tags: all of them, and those of the tag with the
// fewest and with the most.
func headsOf(r *registrytest.Registry, refs []reference.Reference) (total, least, most int) {
	least = 1 << 30
	for _, ref := range refs {
		n := r.Requests(http.MethodHead, ref.Repository[len(ref.Host()):]+"/manifests/")
		total, least, most = total+n, min(least, n), max(most, n)
	}
	return total, least, most
}

const tenth = 100 * time.Millisecond

// TestRateIsKept: forty tags that are due at once are asked for at the host's rate, each
// of them in its turn, and from then on in time. The first check of a repository has a
// ping before it.
func TestRateIsKept(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 40)
	w.elapse(2*time.Second, tenth)
	if n := r.Requests("", ""); n < 20 || n > 22 {
		t.Errorf("%d requests in 2 s at 10 a second", n)
	}
	w.elapse(6*time.Second, tenth)
	if total, least, most := headsOf(r, refs); total != 40 || least != 1 || most != 1 {
		t.Errorf("%d HEADs, %d to %d for each tag; want one for each", total, least, most)
	}
	r.ResetRequests()
	w.elapse(30*time.Second, tenth)
	if total, least, most := headsOf(r, refs); total != 40 || least != 1 || most != 1 {
		t.Errorf("%d HEADs in an interval, %d to %d for each tag", total, least, most)
	}
	if n := r.Requests("", ""); n != 40 {
		t.Errorf("%d requests; a check is one", n)
	}
}

// TestNobodyStarves: who has a tag checked all the time does not get the others' turns,
// though there are twice as many as the rate allows. Such a tag is due as soon as it was
// checked, and all others 30 seconds later, so it has two turns for each of theirs.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 1, r.Host)
	refs := w.follow(r, 0, 60)
	w.elapse(2*time.Minute, time.Second) // the first round, with a ping before each
	r.ResetRequests()
	for range 120 {
		w.poller.Check(refs[7])
		w.elapse(time.Second, time.Second)
	}
	if total, least, most := headsOf(r, refs); total != 120 || least < 1 || most > 4 {
		t.Errorf("%d HEADs in 120 s at one a second, %d to %d for each of 60 tags", total, least, most)
	}
}

// TestLanesOfAHostTakeTurns: one tag that is read with a credential does not wait for
// all that are read without.
func TestLanesOfAHostTakeTurns(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 1, r.Host)
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "word"))
	w.follow(r, 0, 60)
	w.settle()
	ref := r.Reference(t, "team/private:stable")
	r.Push(t, ref)
	w.poller.Follow(owner(100), []registry.Target{private(ref, "shop")})
	w.elapse(10*time.Second, time.Second)
	if got := w.poller.Latest(owner(100), ref); !got.Answered() {
		t.Errorf("Latest = %+v after ten turns", got)
	}
}

// TestPublishingGoesFirst: it waits for nothing, and polling pays for it.
func TestPublishingGoesFirst(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 1, r.Host)
	refs := w.follow(r, 0, 1)
	made := r.Push(t, refs[0].WithTag("made"))
	w.elapse(3*time.Second, time.Second)
	if got := w.limits.Tokens(r.Host); got != 1 {
		t.Fatalf("%v tokens, want 1", got)
	}
	r.ResetRequests()
	if _, err := w.client.Publish(t.Context(), refs[0], made, r.Digest(t, refs[0]), anonymous); err != nil {
		t.Fatal(err)
	}
	cost := r.Requests("", "")
	if got, want := w.limits.Tokens(r.Host), float64(1-cost); cost < 3 || got != want {
		t.Fatalf("%v tokens after %d requests, want %v", got, cost, want)
	}
	w.poller.Check(refs[0])
	w.elapse(time.Duration(cost-1)*time.Second, time.Second)
	if n := r.Requests("", ""); n != cost {
		t.Errorf("%d requests before the debt was paid", n-cost)
	}
	w.elapse(time.Second, time.Second)
	if n := r.Requests("", ""); n != cost+1 {
		t.Errorf("%d requests as soon as it was, want 1", n-cost)
	}
	if got := w.limits.Tokens(r.Host); got != 0 {
		t.Errorf("%v tokens after the check, want 0: a check pays its first request once", got)
	}
}

func TestRuleThatChanges(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 1, r.Host)
	refs := w.follow(r, 0, 10)
	w.elapse(3*time.Second, time.Second)
	if total, _, _ := headsOf(r, refs); total != 2 {
		t.Fatalf("%d HEADs in 3 s at one request a second, want 2, each after a ping", total)
	}
	w.rate.Store(1000)
	w.poller.RulesChanged()
	w.elapse(tenth, time.Millisecond)
	if total, least, _ := headsOf(r, refs); total != 10 || least != 1 {
		t.Errorf("%d HEADs by the new rule, want 10", total)
	}
}

// TestAfterARestart: all is due at once, and spread by the rate; fifty thousand
// lineages on five hundred references are five hundred checks.
func TestAfterARestart(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := make([]reference.Reference, 0, 500)
	for i := range 500 {
		refs = append(refs, r.Reference(t, fmt.Sprintf("team/app-%d:stable", i)))
	}
	r.PushManifest(t, refs[0], "application/vnd.oci.image.manifest.v1+json", []byte(`{"schemaVersion":2}`))
	r.Intercept(func(out http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodHead {
			out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			out.Header().Set("Content-Length", "19")
			out.Header().Set("Docker-Content-Digest", r.Digest(t, refs[0]))
			out.WriteHeader(http.StatusOK)
			return true
		}
		return false
	})
	for i := range 50_000 {
		w.poller.Follow(owner(i), []registry.Target{{Reference: refs[i%len(refs)], Interval: 2 * time.Minute}})
	}
	w.elapse(10*time.Second, tenth)
	if n := r.Requests("", ""); n < 98 || n > 102 {
		t.Errorf("%d requests in the first 10 s at 10 a second", n)
	}
	w.elapse(91*time.Second, tenth) // the first check of a repository is a ping and a HEAD
	if total, least, most := headsOf(r, refs); total != 500 || least != 1 || most != 1 {
		t.Errorf("%d HEADs, %d to %d for each of 500 tags", total, least, most)
	}
	for _, i := range []int{0, 499, 500, 49_999} {
		if got := w.poller.Latest(owner(i), refs[i%len(refs)]); !got.Answered() {
			t.Errorf("owner %d knows nothing", i)
		}
	}
	r.ResetRequests()
	w.elapse(2*time.Minute, tenth)
	if total, least, most := headsOf(r, refs); total != 500 || least != 1 || most != 1 {
		t.Errorf("%d HEADs in the next interval, %d to %d for each", total, least, most)
	}
}
