// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// newRuledWorld is a polite world by the rules of an administrator.
func newRuledWorld(t *testing.T, rules registry.Rules) *politeWorld {
	t.Helper()
	w := &politeWorld{}
	w.begin(t, rules, rules.For)
	return w
}

// hubRules are a host's that are as Docker Hub's.
func hubRules(host string) registry.Rules {
	return registry.Rules{Hosts: []registry.HostRule{{Host: host, RequestsPerSecond: 10, AnonymousRequestsPerSecond: 1}}}.WithPlainHTTP(host)
}

// withDeadCredential has one owner each follow some tags every 30 seconds with a
// password that is wrong by now.
func (w *politeWorld) withDeadCredential(r *registrytest.Registry, first, n int) []reference.Reference {
	w.t.Helper()
	w.cluster.set("late/pull", pullSecret(r.Host, "gone", "word"))
	refs := make([]reference.Reference, 0, n)
	for i := range n {
		ref := r.Reference(w.t, fmt.Sprintf("late/app-%d:stable", i))
		r.Push(w.t, ref)
		refs = append(refs, ref)
		w.poller.Follow(owner(first+i), []registry.Target{{CredentialSource: named("late", "pull"), Reference: ref, Interval: 30 * time.Second}})
	}
	return refs
}

// TestDeadCredential: what is answered without a credential in the end goes at the rate
// of those without, and leaves them their turns.
func TestDeadCredential(t *testing.T) {
	everyLogin(t, func(t *testing.T, token bool) {
		t.Helper()
		t.Parallel()
		r := registrytest.New(t)
		w := newRuledWorld(t, hubRules(r.Host))
		r.RequireLogin(token, public)
		w.withDeadCredential(r, 1000, 60)
		w.elapse(6*time.Minute, time.Second) // until it is known of all
		ref := r.Reference(t, "team/app:stable")
		r.Push(t, ref)
		w.poller.Follow(owner(1), []registry.Target{{Reference: ref, Interval: 30 * time.Second}})
		w.elapse(2*time.Minute, tenth)
		r.ResetRequests()
		w.elapse(10*time.Minute, time.Second)
		if n := r.Requests("", ""); n > 610 {
			t.Errorf("%d requests in ten minutes, all of them anonymous, at one a second", n)
		}
		if n := r.Requests(http.MethodHead, "/team/app/"); n < 8 {
			t.Errorf("the honest tag was checked %d times in ten minutes, want its share of 600 for 61 tags", n)
		}
	})
}

// TestDeadCredentialPausesTheAddress: a limit of the anonymous holds for those whom it
// was not told to, with one probe for all of them; who has a credential goes on.
func TestDeadCredentialPausesTheAddress(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	r.RequireLogin(false, public, me)
	w.withDeadCredential(r, 1000, 10)
	w.follow(r, 0, 10)
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "word"))
	known := r.Reference(t, "team/private:stable")
	r.Push(t, known)
	w.poller.Follow(owner(100), []registry.Target{private(known, "shop")})
	w.elapse(45*time.Second, tenth)
	r.Recover()
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if user, _, _ := req.BasicAuth(); user == "me" {
			return false
		}
		return throttles("40")(w, req)
	})
	r.ResetRequests()
	w.elapse(2*time.Minute, tenth)
	if n := r.Requests(http.MethodHead, "/private/"); n != 2 {
		t.Errorf("%d checks with the credential that is let in, want 2", n)
	}
	if n := r.Requests("", "") - 2; n < 3 || n > 4 {
		t.Errorf("%d anonymous requests in two minutes of 429 with Retry-After: 40, want 3 or 4", n)
	}
}

// mirroredWorld is a ruled world with a registry that may be asked once a second, and its
// mirror, which may be asked a hundred times.
func mirroredWorld(t *testing.T) (w *politeWorld, origin, mirror *registrytest.Registry) {
	t.Helper()
	origin, mirror = registrytest.New(t), registrytest.New(t)
	rules := registry.Rules{Hosts: []registry.HostRule{{Host: origin.Host, Mirrors: []string{mirror.Host + "/cache"}, RequestsPerSecond: 1}}}
	return newRuledWorld(t, rules.WithPlainHTTP(origin.Host, mirror.Host)), origin, mirror
}

// TestMirrorsRate: what a mirror answers is checked in time, though the origin's rate
// would not do for it; what it does not have is asked for at the origin at that rate.
func TestMirrorsRate(t *testing.T) {
	tests := map[string]struct {
		// has is how many of 60 tags the mirror has.
		has int
		// wantLeast of HEADs at the mirror and wantMost requests at the origin in two
		// minutes.
		wantLeast, wantMost int
	}{
		"it has all":  {has: 60, wantLeast: 240},
		"it has half": {has: 30, wantLeast: 120, wantMost: 121},
		"it has none": {wantMost: 121},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, origin, mirror := mirroredWorld(t)
			for i := range tt.has {
				mirror.Push(t, mirror.Reference(t, fmt.Sprintf("cache/team/app-%d:stable", i)))
			}
			w.follow(origin, 0, 60)
			w.elapse(4*time.Minute, time.Second) // until it is known who has what
			origin.ResetRequests()
			mirror.ResetRequests()
			w.elapse(2*time.Minute, time.Second)
			if n := mirror.Requests(http.MethodHead, ""); n < tt.wantLeast {
				t.Errorf("%d HEADs at the mirror, want %d at least", n, tt.wantLeast)
			}
			if n := origin.Requests("", ""); n > tt.wantMost {
				t.Errorf("%d requests at the origin, want %d at most", n, tt.wantMost)
			}
		})
	}
}

// TestMirrorGoesDown: all go to the origin from then on, at its rate and no faster; and
// come back.
func TestMirrorGoesDown(t *testing.T) {
	tests := map[string]func(http.ResponseWriter, *http.Request) bool{
		"it has trouble":            bare(http.StatusBadGateway),
		"it breaks off":             func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"it wants to be left alone": throttles("60"),
	}
	for name, intercept := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, origin, mirror := mirroredWorld(t)
			for i := range 60 {
				mirror.Push(t, mirror.Reference(t, fmt.Sprintf("cache/team/app-%d:stable", i)))
			}
			refs := w.follow(origin, 0, 60)
			w.elapse(2*time.Minute, time.Second)
			mirror.Intercept(intercept)
			origin.ResetRequests()
			w.elapse(4*time.Minute, time.Second)
			if n := origin.Requests("", ""); n < 200 || n > 242 {
				t.Errorf("%d requests at the origin in four minutes, at one a second", n)
			}
			if _, least, _ := headsOf(origin, refs); least < 1 {
				t.Error("a tag was not asked for at the origin")
			}
			mirror.Recover()
			w.elapse(3*time.Minute, time.Second)
			origin.ResetRequests()
			mirror.ResetRequests()
			w.elapse(time.Minute, time.Second)
			if m, o := mirror.Requests(http.MethodHead, ""), origin.Requests("", ""); m < 120 || o != 0 {
				t.Errorf("%d HEADs at the mirror and %d requests at the origin in the minute after, want 120 and none", m, o)
			}
		})
	}
}

// TestOriginIsDown: what its mirror answers does not notice.
func TestOriginIsDown(t *testing.T) {
	t.Parallel()
	w, origin, mirror := mirroredWorld(t)
	for i := range 30 {
		mirror.Push(t, mirror.Reference(t, fmt.Sprintf("cache/team/app-%d:stable", i)))
	}
	w.follow(origin, 0, 60)
	w.elapse(4*time.Minute, time.Second)
	origin.Fail("", "", http.StatusServiceUnavailable)
	w.elapse(2*time.Minute, time.Second)
	mirror.ResetRequests()
	w.elapse(2*time.Minute, time.Second)
	if n := mirror.Requests(http.MethodHead, ""); n < 120 {
		t.Errorf("%d HEADs at the mirror in two minutes, want 120", n)
	}
}
