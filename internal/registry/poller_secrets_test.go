// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func private(ref reference.Reference, namespace string) registry.Target {
	return registry.Target{CredentialSource: named(namespace, "pull"), Reference: ref, Interval: time.Minute}
}

// TestEqualCredentialsShareACheck: what counts is the credential for the
// registry, not the Secret that it stands in.
func TestEqualCredentialsShareACheck(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	w.cluster.set("a/pull", pullSecret(r.Host, "me", "word"))
	w.cluster.set("b/pull", pullSecret(r.Host, "me", "word"))
	w.cluster.set("c/pull", pullSecret("elsewhere.example.com", "me", "word"))
	w.poller.Follow(owner(1), []registry.Target{private(ref, "a")})
	w.poller.Follow(owner(2), []registry.Target{private(ref, "b")})
	w.poller.Follow(owner(3), []registry.Target{private(ref, "c")})
	w.poller.Follow(owner(4), []registry.Target{target(ref)})
	w.eventually("an answer for everyone", func() bool {
		for i := 1; i <= 4; i++ {
			if w.poller.Latest(owner(i), ref) == nil {
				return false
			}
		}
		return true
	})
	w.heads(r, 2) // with the credential, and without
	w.pass(time.Minute)
	w.heads(r, 4)
}

func TestRenewedSecret(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	r.RequireBasic("me", "one")
	w := newWorld(t, r.Host)
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "one"))
	w.poller.Follow(owner(1), []registry.Target{private(ref, "shop")})
	w.woken(1)
	// The registry's password changes, and the Secret with it: nobody hears of it.
	r.RequireBasic("me", "two")
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "two"))
	w.pass(time.Minute)
	w.eventually("an answer to the new password", func() bool {
		o := w.poller.Latest(owner(1), ref)
		return o.Failure == nil && o.Repeats == 2 && string(o.Digest) == digest
	})
	w.quiet()
	// It changes again, and the Secret does not.
	r.RequireBasic("me", "three")
	w.pass(time.Minute)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Failure == nil || got.Failure.Reason != v1alpha1.ReasonUnauthorized {
		t.Fatalf("Latest = %+v, want a failure", got)
	}
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "three"))
	w.pass(10 * time.Second)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Failure != nil || string(got.Digest) != digest {
		t.Errorf("Latest = %+v, want it mended", got)
	}
}

func TestMissingSecret(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	w := newWorld(t, r.Host)
	w.poller.Follow(owner(1), []registry.Target{private(ref, "shop")})
	w.woken(1)
	got := w.poller.Latest(owner(1), ref)
	if got == nil || got.Failure == nil || got.Failure.Reason != v1alpha1.ReasonUnauthorized ||
		!strings.Contains(got.Failure.Message, "shop/pull") {
		t.Fatalf("Latest = %+v, want a failure that names the Secret", got)
	}
	if n := r.Requests("", ""); n != 0 {
		t.Errorf("%d requests without the Secret", n)
	}
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "word"))
	w.poller.Check(ref)
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Failure != nil || string(got.Digest) != digest {
		t.Fatalf("Latest = %+v", got)
	}
	// It goes missing again: the last answer stays, and the failure is told.
	w.cluster.set("shop/pull", nil)
	for range 6 {
		w.pass(time.Minute)
	}
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); got.Failure == nil || string(got.Digest) != digest {
		t.Errorf("Latest = %+v", got)
	}
}

// TestSecretsHoldUpNoRegistry: a cluster that does not answer, when a Secret is read
// again, takes nobody's turn at the registry.
func TestSecretsHoldUpNoRegistry(t *testing.T) {
	r := registrytest.New(t)
	seldom, often := r.Reference(t, "team/app:stable"), r.Reference(t, "team/other:stable")
	r.Push(t, seldom)
	r.Push(t, often)
	w := newWorldOf(t, registry.PollerOptions{PerHost: 1}, r.Host)
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "word"))
	withSecret := private(seldom, "shop")
	withSecret.Interval = 6 * time.Minute
	w.poller.Follow(owner(1), []registry.Target{withSecret})
	w.woken(1)
	w.cluster.hangs.Store(true)
	w.pass(withSecret.Interval)
	w.heads(r, 2)
	w.poller.Follow(owner(2), []registry.Target{{Reference: often, Interval: time.Minute}})
	w.woken(1)
	w.heads(r, 3)
}
