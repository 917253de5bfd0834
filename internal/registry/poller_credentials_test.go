// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// newMirroredWorld is a world whose poller asks as the client of m does.
func newMirroredWorld(t *testing.T, m *mirrored) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakeClock(m.clock.Now()), cluster: &cluster{}}
	w.poller = registry.NewPoller(registry.PollerOptions{
		Asker: m.client, Secrets: registry.NewCredentials(w.cluster, w.clock), Clock: w.clock,
		Random: func() float64 { return 0.5 },
	})
	w.start()
	return w
}

// shows waits until an owner is told of a digest, without a failure.
func (w *world) shows(i int, ref reference.Reference, digest string) {
	w.t.Helper()
	w.eventually("the digest", func() bool {
		o := w.poller.Latest(owner(i), ref)
		return o != nil && o.Failure == nil && string(o.Digest) == digest
	})
}

// refusedSaying waits until an owner is told that the registry refuses.
func (w *world) refusedSaying(i int, ref reference.Reference, text string) {
	w.t.Helper()
	w.eventually("a refusal that says "+text, func() bool {
		o := w.poller.Latest(owner(i), ref)
		return o != nil && o.Digest == "" && o.Failure != nil &&
			o.Failure.Reason == v1alpha1.ReasonUnauthorized && strings.Contains(o.Failure.Message, text)
	})
}

// TestOtherCredentialsShareNothing: a namespace is told only what its own credentials,
// in its own order, are shown.
func TestOtherCredentialsShareNothing(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	you := registrytest.Login{User: "you", Password: "word"}
	door := r.RequireLogin(false, me, you)
	w := newWorld(t, r.Host)
	for namespace, logins := range map[string][2][]string{
		"a": {{r.Host, "me", "word"}, {r.Host, "you", "word"}},
		"b": {{r.Host, "me", "word"}, {r.Host, "you", "word"}},
		"c": {{r.Host, "you", "word"}, {r.Host, "me", "word"}}, // only the order differs
		"d": {{r.Host, "me", "guess"}, {r.Host, "you", "guess"}},
	} {
		w.cluster.set(namespace+"/one", pullSecret(logins[0]...))
		w.cluster.set(namespace+"/two", pullSecret(logins[1]...))
	}
	for i, namespace := range []string{"a", "b", "c", "d"} {
		from := registry.Target{CredentialSource: named(namespace, "one", "two"), Reference: ref, Interval: time.Minute}
		w.poller.Follow(owner(i), []registry.Target{from})
	}
	w.refusedSaying(3, ref, "401")
	for i := range 3 {
		w.shows(i, ref, digest)
	}
	// a and b share a check as me, c has its own as you, and d tried to be both.
	if asMe, asYou := door.Came("me"), door.Came("you"); asMe != 2 || asYou != 2 {
		t.Errorf("me came %d times and you %d times, want 2 and 2", asMe, asYou)
	}
}

// TestRulesChangeWhileAFeedIsShared: credentials for what becomes a mirror do not serve
// those who have only the host's in common.
func TestRulesChangeWhileAFeedIsShared(t *testing.T) {
	m := newMirrored(t)
	m.configure(t, m.mirrors())
	m.mirror.RequireLogin(false, registrytest.Login{User: "there", Password: "word"})
	w := newMirroredWorld(t, m)
	w.cluster.set("a/pull", pullSecret(m.origin.Host, "me", "word", m.mirror.Host, "there", "word"))
	w.cluster.set("b/pull", pullSecret(m.origin.Host, "me", "word"))
	w.poller.Follow(owner(1), []registry.Target{private(m.ref, "a")})
	w.poller.Follow(owner(2), []registry.Target{private(m.ref, "b")})
	w.shows(1, m.ref, m.here)
	w.shows(2, m.ref, m.here)
	w.heads(m.origin, 1)

	m.configure(t, m.mirrors(m.mirror.Host+"/cache"))
	for range 3 {
		w.pass(time.Minute)
		if o := w.poller.Latest(owner(2), m.ref); string(o.Digest) != m.here {
			t.Fatalf("b is told %s, which it may not read", o.Digest)
		}
	}
	w.shows(1, m.ref, m.there)
	w.shows(2, m.ref, m.here)
}

// TestRotation: what one Secret holds is looked at every five minutes, and at once where
// all of it is refused, never because one of several is.
func TestRotation(t *testing.T) {
	everyLogin(t, func(t *testing.T, token bool) {
		t.Helper()
		r := registrytest.New(t)
		ref := r.Reference(t, "team/app:stable")
		digest := r.Push(t, ref)
		r.RequireLogin(token, me)
		w := newWorld(t, r.Host)
		hold := func(passwords ...string) {
			w.cluster.set("shop/pull", pullSecret(r.Host+"/team", "robot", passwords[0], r.Host, "me", passwords[1]))
		}
		hold("wrong", "word")
		w.poller.Follow(owner(1), []registry.Target{private(ref, "shop")})
		w.shows(1, ref, digest)
		checked := func(times int) {
			t.Helper()
			w.pass(time.Minute)
			w.eventually("one more answer", func() bool { return w.poller.Latest(owner(1), ref).Repeats == times })
		}
		for i := range 4 {
			checked(i + 2)
		}
		if n := w.cluster.readCount(); n != 1 {
			t.Errorf("the Secret was read %d times in five minutes", n)
		}
		// Both passwords change, and the owner hears nothing of it.
		w.woken(1)
		r.RequireLogin(token, registrytest.Login{User: "robot", Password: "new"})
		hold("new", "other")
		checked(6)
		w.shows(1, ref, digest)
		w.quiet()
		if n := w.cluster.readCount(); n != 2 {
			t.Errorf("the Secret was read %d times, want twice", n)
		}
	})
}

// TestRotationOfWhatWorks: a credential that is renewed before it ends costs no checks
// but those that are due.
func TestRotationOfWhatWorks(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 100, r.Host)
	r.RequireLogin(false, me, registrytest.Login{User: "me", Password: "new"})
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "word"))
	for i := range 20 {
		ref := r.Reference(t, fmt.Sprintf("team/app-%d:stable", i))
		r.Push(t, ref)
		w.poller.Follow(owner(i), []registry.Target{private(ref, "shop")})
	}
	w.elapse(4*time.Minute+30*time.Second, time.Second)
	w.cluster.set("shop/pull", pullSecret(r.Host, "me", "new"))
	r.ResetRequests()
	w.elapse(4*time.Minute, time.Second)
	if n := r.Requests("HEAD", ""); n != 4*20 {
		t.Errorf("%d HEADs for 20 tags in four minutes, want 80", n)
	}
	if n := r.Requests("GET", ""); n == 0 {
		t.Error("no session was begun: the credential was not renewed")
	}
}

// TestServiceAccount: its pull secrets count as a pod's would.
func TestServiceAccount(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	r.RequireLogin(true, me)
	w := newWorld(t, r.Host)
	w.cluster.set("shop/login", pullSecret(r.Host, "me", "word"))
	w.cluster.set("shop/wrong", pullSecret(r.Host, "gone", "word"))
	w.cluster.account("shop/puller", "gone", "login") // gone does not exist
	w.cluster.account("shop/bare")
	follow := func(i int, account string, secrets ...string) {
		from := named("shop", secrets...)
		from.ServiceAccount = account
		w.poller.Follow(owner(i), []registry.Target{{CredentialSource: from, Reference: ref, Interval: time.Minute}})
	}
	follow(1, "puller")
	w.shows(1, ref, digest)
	if n := w.cluster.readCount(); n != 3 {
		t.Errorf("%d reads, want one of each object", n)
	}
	follow(2, "puller", "wrong")
	w.shows(2, ref, digest)
	follow(3, "bare")
	w.refusedSaying(3, ref, "401")
	follow(4, "missing")
	w.refusedSaying(4, ref, "ServiceAccount shop/missing: it does not exist")
	// The account gets a pull secret: where it was refused, the next check knows.
	w.cluster.account("shop/bare", "login")
	w.poller.Check(ref)
	w.shows(3, ref, digest)
}
