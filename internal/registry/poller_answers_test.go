// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

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
