// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// throttles answers everything with a 429.
func throttles(retryAfter string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
}

// hangs answers nothing while the test lasts, or until the client gives up.
func hangs(t *testing.T) func(http.ResponseWriter, *http.Request) bool {
	t.Helper()
	return func(_ http.ResponseWriter, req *http.Request) bool {
		select {
		case <-req.Context().Done():
		case <-t.Context().Done():
		}
		return true
	}
}

// TestThrottledForAMinute: a minute of 429 with Retry-After: 30 costs three requests at
// most, other hosts notice nothing, and within an interval all is caught up.
func TestThrottledForAMinute(t *testing.T) {
	t.Parallel()
	limited, other := registrytest.New(t), registrytest.New(t)
	w := newPoliteWorld(t, 10, limited.Host, other.Host)
	refs, others := w.follow(limited, 0, 60), w.follow(other, 100, 60)
	w.elapse(45*time.Second, tenth)
	limited.Intercept(throttles("30"))
	limited.ResetRequests()
	other.ResetRequests()
	w.elapse(time.Minute, tenth)
	if n := limited.Requests("", ""); n < 1 || n > 3 {
		t.Errorf("%d requests while the registry said no, want 3 at most", n)
	}
	if total, least, most := headsOf(other, others); total != 120 || least != 2 || most != 2 {
		t.Errorf("%d HEADs at the other host, %d to %d for each tag; want 2 for each", total, least, most)
	}
	limited.Recover()
	limited.ResetRequests()
	w.elapse(30*time.Second, tenth)
	if total, least, most := headsOf(limited, refs); least != 1 || most > 2 || total > 120 {
		t.Errorf("%d HEADs in the interval after, %d to %d for each tag; want all caught up", total, least, most)
	}
}

// TestThrottledWithoutATime: each probe that is refused doubles the wait.
func TestThrottledWithoutATime(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 10)
	w.elapse(5*time.Second, tenth)
	r.Intercept(throttles(""))
	r.ResetRequests()
	w.elapse(10*time.Minute, time.Second)
	// The first, and probes 10, 20, 40, 80, 160 and 300 seconds after one another: the
	// last is later.
	if n := r.Requests("", ""); n != 6 {
		t.Errorf("%d requests in ten minutes, want 6", n)
	}
	for i, ref := range refs {
		if got := w.poller.Latest(owner(i), ref); got.Failure == nil || got.Failure.Count < 3 || !strings.Contains(got.Failure.Message, "429") {
			t.Errorf("%s: %+v, want the 429 that the probes met", ref.Name(), got.Failure)
		}
	}
}

// TestForgottenWhileTheyWait: nothing of them is kept.
func TestForgottenWhileTheyWait(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 10)
	w.elapse(5*time.Second, tenth)
	r.Intercept(throttles("600"))
	w.elapse(time.Minute, time.Second)
	if n := w.poller.Queued(); n < 9 {
		t.Fatalf("%d tags wait for the end of the pause, want all but the one that met it", n)
	}
	for i := range refs[1:] {
		w.poller.Forget(owner(i + 1))
	}
	if n := w.poller.Queued(); n > 1 {
		t.Errorf("%d tags wait that nobody follows", n-1)
	}
}

// TestQuotaThatIsUsedUp: a registry that still answers, and says that it will not, is
// left alone before it has to refuse.
func TestQuotaThatIsUsedUp(t *testing.T) {
	tests := map[string]struct {
		header       map[string]string
		wantRequests int
	}{
		"nothing left for a minute":                         {map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "60"}, 1},
		"Docker Hub's form has no time, and counts no HEAD": {map[string]string{"RateLimit-Remaining": "0;w=21600"}, 10},
		"something left":                                    {map[string]string{"RateLimit-Remaining": "9", "RateLimit-Reset": "60"}, 10},
		"a form that cannot be read":                        {map[string]string{"RateLimit-Remaining": ";w=21600", "RateLimit-Reset": "60"}, 10},
		"nothing left in older words":                       {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			w := newPoliteWorld(t, 10, r.Host)
			w.follow(r, 0, 10)
			w.elapse(5*time.Second, tenth)
			r.ResetRequests()
			r.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				for key, value := range tt.header {
					w.Header().Set(key, value)
				}
				return false
			})
			w.elapse(30*time.Second, tenth)
			if n := r.Requests("", ""); n != tt.wantRequests {
				t.Errorf("%d requests in an interval, want %d", n, tt.wantRequests)
			}
		})
	}
}

// TestBreaker: a host that gives no answers is asked by one check at a time, everyone
// who waits for it hears so, and its first answer lets all go.
func TestBreaker(t *testing.T) {
	t.Parallel()
	dead, alive := registrytest.New(t), registrytest.New(t)
	w := newPoliteWorld(t, 10, dead.Host, alive.Host)
	refs, others := w.follow(dead, 0, 20), w.follow(alive, 100, 20)
	w.elapse(15*time.Second, tenth)
	dead.Fail("", "", http.StatusServiceUnavailable)
	dead.ResetRequests()
	alive.ResetRequests()
	down := w.clock.Now()
	w.elapse(25*time.Second, tenth)
	if n := dead.Requests("", ""); n != 5 {
		t.Fatalf("%d requests, want 5 before it counts as down", n)
	}
	w.state(dead, 2)
	// Probes come 10, 20, 40, 80, 160 and then 300 seconds after one another.
	w.elapse(10*time.Minute, time.Second)
	if n := dead.Requests("", ""); n != 5+5 {
		t.Errorf("%d probes in ten minutes, want 5", n-5)
	}
	if total, _, _ := headsOf(alive, others); total < 20*20 {
		t.Errorf("%d HEADs at the other host", total)
	}
	for i, ref := range refs {
		got := w.poller.Latest(owner(i), ref)
		if got.Failure == nil || got.Failure.Count < 3 || got.Failure.Count > 8 || got.Failure.Reason != v1alpha1.ReasonRegistryUnreachable ||
			got.Failure.Since.Before(down) || !strings.Contains(got.Failure.Message, ref.Repository[len(ref.Host())+1:]) || !got.Answered() {
			t.Errorf("%s: %+v, want a failure of its own, after the last answer", ref.Name(), got.Failure)
		}
	}
	dead.Recover()
	dead.ResetRequests()
	w.elapse(5*time.Minute, time.Second)
	if _, least, _ := headsOf(dead, refs); least < 1 {
		t.Error("some were not asked for after the first answer")
	}
	w.state(dead, 0)
	if got := w.poller.Latest(owner(3), refs[3]); got.Failure != nil {
		t.Errorf("a failure is left: %+v", got.Failure)
	}
}

// TestRepositoriesThatAil: trouble that a registry has with some repositories is theirs
// alone, and all others are checked in time.
func TestRepositoriesThatAil(t *testing.T) {
	tests := map[string]struct {
		status, repositories int
		wantOpen             bool
	}{
		"four, each of which seems not to be there":   {http.StatusServiceUnavailable, 4, false},
		"five are the registry":                       {http.StatusBadGateway, 5, true},
		"any number by the registry's own words":      {http.StatusInternalServerError, 20, false},
		"any number that take it too long":            {http.StatusRequestTimeout, 20, false},
		"a proxy that waits for it in vain is enough": {http.StatusGatewayTimeout, 20, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			w := newPoliteWorld(t, 10, r.Host)
			refs := w.follow(r, 0, tt.repositories)
			rare := r.Reference(t, "rare/app:stable")
			r.Push(t, rare)
			w.poller.Follow(owner(100), []registry.Target{{Reference: rare, Interval: 10 * time.Minute}})
			w.elapse(5*time.Second, tenth)
			r.Fail("", "/team/", tt.status)
			w.elapse(5*time.Minute, time.Second)
			want := 0
			if tt.wantOpen {
				want = 2
			}
			w.state(r, want)
			if got := w.poller.Latest(owner(0), refs[0]); got.Failure == nil || got.Failure.Count < 3 {
				t.Errorf("the owner is told %+v, want the failure", got.Failure)
			}
		})
	}
}

// TestTroubleWithATime: where a registry says when to come back, no check is made before,
// whoever asks for it.
func TestTroubleWithATime(t *testing.T) {
	tests := map[string]func(*registry.Poller, reference.Reference){
		"by nobody":                        func(*registry.Poller, reference.Reference) {},
		"by Check":                         func(p *registry.Poller, ref reference.Reference) { p.Check(ref) },
		"by a hint":                        func(p *registry.Poller, ref reference.Reference) { p.Hint(ref) },
		"because a failure may be mended":  func(p *registry.Poller, _ reference.Reference) { p.CheckFailing() },
		"because another one wants it too": func(p *registry.Poller, ref reference.Reference) { p.Follow(owner(7), []registry.Target{target(ref)}) },
	}
	for name, asked := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			w := newPoliteWorld(t, 10, r.Host)
			refs := w.follow(r, 0, 1)
			w.elapse(5*time.Second, time.Second)
			r.Intercept(bare(http.StatusServiceUnavailable, "Retry-After", "600"))
			w.elapse(30*time.Second, time.Second)
			r.ResetRequests()
			for range 60 {
				asked(w.poller, refs[0])
				w.elapse(9*time.Second, time.Second)
			}
			if n := r.Requests("", ""); n != 0 {
				t.Errorf("%d requests in nine of ten minutes, want none", n)
			}
			r.Recover()
			w.elapse(time.Minute, time.Second)
			if n := r.Requests(http.MethodHead, ""); n == 0 {
				t.Error("it was not asked when the time was over")
			}
		})
	}
}

// TestWaitingCountsNoFailures: between two probes nobody's failures grow.
func TestWaitingCountsNoFailures(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 20)
	w.elapse(15*time.Second, tenth)
	r.Fail("", "", http.StatusServiceUnavailable)
	w.elapse(2*time.Minute, time.Second)
	failures := func() (sum int) {
		for i, ref := range refs {
			if got := w.poller.Latest(owner(i), ref); got.Failure != nil {
				sum += got.Failure.Count
			}
		}
		return sum
	}
	for range 300 {
		asked, before := r.Requests("", ""), failures()
		w.elapse(time.Second, time.Second)
		probes, grown := r.Requests("", "")-asked, failures()-before
		if probes > 1 || grown > 0 && probes == 0 || grown > len(refs) {
			t.Fatalf("%d failures more by %d probes", grown, probes)
		}
	}
}

// TestCheckOfADeadHost: who had it checked is told once that it does not answer.
func TestCheckOfADeadHost(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 10)
	w.elapse(15*time.Second, tenth)
	r.Fail("", "", http.StatusServiceUnavailable)
	w.elapse(4*time.Minute, time.Second)
	w.drain()
	w.poller.Check(refs[4])
	w.elapse(2*time.Second, time.Second)
	w.quiet()
	w.elapse(10*time.Minute, time.Second)
	if got := w.drain(); got[owner(4)] != 1 {
		t.Errorf("the owner was woken %d times, want once", got[owner(4)])
	}
	r.Recover()
	w.elapse(5*time.Minute, time.Second)
	if got := w.drain(); got[owner(4)] != 1 {
		t.Errorf("the owner was woken %d times by the answer, want once", got[owner(4)])
	}
}

// TestHangingHosts: however many hosts hang, the others' checks come in time.
func TestHangingHosts(t *testing.T) {
	tests := map[string]struct {
		hanging  int
		answered bool // before they began to hang
		tags     int
		wantAt   int // each of them
	}{
		"one that has answered before is asked by four":    {hanging: 1, answered: true, tags: 20, wantAt: registry.DefaultPerHost},
		"one that never has is asked by one":               {hanging: 1, tags: 20, wantAt: 1},
		"thirty at once take no more than their own turns": {hanging: 30, tags: 5, wantAt: 1},
		"also if they have answered before":                {hanging: 30, answered: true, tags: 5, wantAt: registry.DefaultPerHost},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			healthy := registrytest.New(t)
			hanging := make([]*registrytest.Registry, tt.hanging)
			hosts := []string{healthy.Host}
			for i := range hanging {
				hanging[i] = registrytest.New(t)
				hosts = append(hosts, hanging[i].Host)
			}
			w := newPoliteWorld(t, 10, hosts...)
			refs := w.follow(healthy, 0, 20)
			w.elapse(5*time.Second, tenth)
			for i, r := range hanging {
				if !tt.answered {
					r.Intercept(hangs(t))
				}
				w.follow(r, 1000*(i+1), tt.tags)
			}
			if tt.answered {
				w.elapse(5*time.Second, tenth)
				for _, r := range hanging {
					r.Intercept(hangs(t))
					r.ResetRequests()
				}
			}
			healthy.ResetRequests()
			w.unsettled(2*time.Minute, tenth, healthy)
			if total, least, most := headsOf(healthy, refs); total != 80 || least != 4 || most != 4 {
				t.Errorf("%d HEADs at the healthy host in 4 intervals, %d to %d for each tag; want 4 for each", total, least, most)
			}
			for _, r := range hanging {
				if n := r.Requests("", ""); n != tt.wantAt {
					t.Errorf("%d requests at a host that hangs, want %d", n, tt.wantAt)
				}
			}
		})
	}
}

// TestHostThatAnsweredAlwaysHasATurn: not even hosts that take all the room there is
// delay one that is known to answer.
func TestHostThatAnsweredAlwaysHasATurn(t *testing.T) {
	t.Parallel()
	healthy := registrytest.New(t)
	hosts := []string{healthy.Host}
	var hanging []*registrytest.Registry
	for range 3 {
		r := registrytest.New(t)
		r.Intercept(hangs(t))
		hanging, hosts = append(hanging, r), append(hosts, r.Host)
	}
	w := newWorldOf(t, registry.PollerOptions{Total: 2}, hosts...)
	ref := healthy.Reference(t, "team/app:stable")
	healthy.Push(t, ref)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.woken(1)
	for i, r := range hanging {
		w.poller.Follow(owner(10+i), []registry.Target{target(r.Reference(t, "team/app:stable"))})
	}
	asked := func() (n int) {
		for _, r := range hanging {
			n += r.Requests("", "")
		}
		return n
	}
	w.eventually("the hanging hosts to take all the room", func() bool { return asked() == 2 })
	for n := range 3 {
		w.pass(time.Minute)
		w.heads(healthy, n+2)
	}
	if n := asked(); n != 2 {
		t.Errorf("%d checks at the hanging hosts, want 2", n)
	}
}

// state compares the breaker's metric.
func (w *politeWorld) state(r *registrytest.Registry, want int) {
	w.t.Helper()
	var expected strings.Builder
	fmt.Fprintf(&expected, "# HELP imagelineage_registry_breaker_state %s\n# TYPE imagelineage_registry_breaker_state gauge\n", breakerHelp)
	for _, host := range w.hosts {
		value := 0
		if host == r.Host {
			value = want
		}
		fmt.Fprintf(&expected, "imagelineage_registry_breaker_state{host=%q} %d\n", host, value)
	}
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(expected.String()), "imagelineage_registry_breaker_state"); err != nil {
		w.t.Error(err)
	}
}

const breakerHelp = "Whether the registry's checks go as they are due (0), wait for the one that finds out whether it answers (1), or wait for the time of the next one (2)."

// unsettled lets time go by while some hosts hang: the poller settles at one host only.
func (w *politeWorld) unsettled(d, step time.Duration, at *registrytest.Registry) {
	w.t.Helper()
	for left := d; left > 0; left -= step {
		w.calm(at)
		w.clock.Step(step)
	}
	w.calm(at)
}

// calm waits until a host has nothing to do.
func (w *politeWorld) calm(at *registrytest.Registry) {
	w.t.Helper()
	calm := 0
	w.eventually("the healthy host to settle", func() bool {
		if !w.poller.SettledAt(at.Host) || !w.clock.HasWaiters() {
			calm = 0
			return false
		}
		calm++
		return calm == 2
	})
}

// TestListingThatHadNoTurn: who waits for the first list of a registry that limits its
// clients hears why, as those do who follow a tag.
func TestListingThatHadNoTurn(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	repository := reference.Reference{Repository: ref.Repository}
	w := newWorld(t, r.Host)
	r.Intercept(throttles(""))
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.woken(1)
	w.poller.Check(ref) // it comes first when the pause is over
	w.eventually("that it waits", w.poller.Settled)
	w.poller.Follow(owner(2), []registry.Target{target(repository)})
	w.eventually("that it waits", w.poller.Settled)
	w.pass(10 * time.Second) // the tag's check is the probe, and is refused
	w.eventually("why there is no list", func() bool {
		got := w.poller.Listing(owner(2), repository)
		return got != nil && got.Tags == nil && got.Failure != nil && strings.Contains(got.Failure.Message, "429")
	})
}
