// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func TestHint(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 100, r.Host)
	refs := w.follow(r, 0, 3)
	w.elapse(5*time.Second, tenth)
	w.drain()
	r.ResetRequests()
	if got := w.poller.Hint(r.Reference(t, "nobody/follows:this")); got != 0 {
		t.Errorf("%d checks of what nobody follows", got)
	}
	r.Push(t, refs[0])
	if got := w.poller.Hint(refs[0], refs[0]); got != 1 {
		t.Errorf("Hint = %d, want 1", got)
	}
	w.settle()
	if n := r.Requests("HEAD", ""); n != 1 {
		t.Fatalf("%d HEADs at once, want 1", n)
	}
	w.woken(1)
	woken := 0
	for range 10_000 {
		woken += w.poller.Hint(refs...)
	}
	if woken < 3 || woken > 5 { // once at once, and once in a second, but the first only then
		t.Errorf("ten thousand hints brought %d checks forward, want 3 to 5", woken)
	}
	w.elapse(900*time.Millisecond, tenth)
	if n := r.Requests("HEAD", ""); n < 3 || n > 5 {
		t.Errorf("%d HEADs, want 3 to 5: one for each tag, and one more where nothing was new", n)
	}
	w.quiet() // nothing has changed
	w.elapse(10*time.Second, tenth)
	n := r.Requests("HEAD", "")
	if most := 1 + woken + 3*len(refs); n > most {
		t.Errorf("%d HEADs, want %d at most: three more for what a hint did not show", n, most)
	}
	w.elapse(10*time.Second, tenth)
	if more := r.Requests("HEAD", "") - n; more != 0 {
		t.Errorf("%d HEADs more: from here on the interval counts", more)
	}
}

// TestSteadyHints: one check a second, however many there are, and the last one is
// followed up.
func TestSteadyHints(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 100, r.Host)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w.poller.Follow(owner(0), []registry.Target{{Reference: ref, Interval: time.Hour}})
	w.elapse(5*time.Second, tenth)
	r.ResetRequests()
	for range 600 {
		w.poller.Hint(ref)
		w.elapse(tenth, 50*time.Millisecond)
	}
	if n := r.Requests(http.MethodHead, ""); n < 58 || n > 63 {
		t.Errorf("%d HEADs in a minute of hints, want 60 and two", n)
	}
	w.drain()
	w.elapse(tenth, tenth)
	digest := r.Push(t, ref)
	w.elapse(8*time.Second, tenth)
	if got := w.poller.Latest(owner(0), ref); string(got.Digest) != digest {
		t.Errorf("%s is known, want what was pushed after the last hint", got.Digest)
	}
}

// TestHintBeforeAnOutage: what a hint is followed up with is over with the outage.
func TestHintBeforeAnOutage(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 100, r.Host)
	refs := w.follow(r, 0, 1)
	w.elapse(5*time.Second, tenth)
	r.Fail("", "", http.StatusInternalServerError)
	w.poller.Hint(refs[0])
	w.elapse(time.Minute, tenth)
	r.Recover()
	r.ResetRequests()
	for w.poller.Latest(owner(0), refs[0]).Failure != nil {
		w.elapse(tenth, tenth)
	}
	w.elapse(10*time.Second, tenth)
	if n := r.Requests(http.MethodHead, ""); n != 1 {
		t.Errorf("%d HEADs in the ten seconds after the first answer, want that one", n)
	}
}

// TestHintBeforeThePush: a registry that tells of a push before it moves the tag is
// asked again.
func TestHintBeforeThePush(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"at once": 0, "after some seconds": 4 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			w := newPoliteWorld(t, 100, r.Host)
			refs := w.follow(r, 0, 1)
			w.elapse(5*time.Second, tenth)
			w.drain()
			w.poller.Hint(refs[0])
			w.settle()
			w.elapse(late, tenth)
			digest := r.Push(t, refs[0])
			w.elapse(7*time.Second-late, tenth)
			w.woken(1)
			if got := w.poller.Latest(owner(0), refs[0]); got == nil || string(got.Digest) != digest {
				t.Errorf("Latest = %+v, want %s", got, digest)
			}
		})
	}
}

func TestHintDuringACheck(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w := newWorld(t, r.Host)
	land := landing(r)
	t.Cleanup(r.Recover)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.heads(r, 1)
	if first, second := w.poller.Hint(ref), w.poller.Hint(ref); first != 1 || second != 0 {
		t.Errorf("Hint = %d and %d, want 1 and 0", first, second)
	}
	land <- struct{}{}
	w.woken(1)
	w.heads(r, 1)
	w.pass(time.Second)
	w.heads(r, 2)
	close(land)
}
