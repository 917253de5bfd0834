// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// bench is where copies are made that end when the test says so.
type bench struct {
	t      *testing.T
	clock  *clocktesting.FakeClock
	copier *registry.Copier
	begun  chan flight
	stop   func()
}

// flight is a copy under way; it ends with what is sent to end, or with its context.
type flight struct {
	digest string
	ctx    context.Context //nolint:containedctx // the test looks whether it has ended
	end    chan error
}

func (b *bench) Copy(ctx context.Context, from reference.Reference, digest string, to reference.Reference, _, _ registry.Keychain) (registry.Copied, error) {
	f := flight{digest: digest, ctx: ctx, end: make(chan error, 1)}
	b.begun <- f
	select {
	case err := <-f.end:
		return registry.Copied{Reference: to.WithTag(registry.KeptTag(from.Tag, digest))}, err
	case <-ctx.Done():
		return registry.Copied{}, ctx.Err()
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), begun: make(chan flight)}
	b.copier = registry.NewCopier(registry.CopierOptions{
		Copies: b, Secrets: registry.NewCredentials(&cluster{}, b.clock), Clock: b.clock,
	})
	b.start()
	return b
}

func (b *bench) start() {
	b.t.Helper()
	b.stop = started(b.t, b.copier)
}

// started runs a copier until the test ends, or the function is called.
func started(t *testing.T, copier *registry.Copier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- copier.Start(ctx) }()
	t.Cleanup(cancel)
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	}
}

func request(digest string) registry.CopyRequest {
	return registry.CopyRequest{
		From:   reference.Reference{Repository: "docker.io/library/debian", Tag: "12"},
		Digest: "sha256:" + strings.Repeat(digest, 64),
		To:     reference.Reference{Repository: "registry.example.com/mirror/debian", Tag: "latest"},
	}
}

// next is the copy that begins next.
func (b *bench) next() flight {
	b.t.Helper()
	select {
	case f := <-b.begun:
		return f
	case <-time.After(5 * time.Second):
		b.t.Fatal("no copy begins")
		return flight{}
	}
}

// idle fails the test where a copy begins.
func (b *bench) idle() {
	b.t.Helper()
	select {
	case f := <-b.begun:
		b.t.Fatalf("a copy of %s begins", f.digest)
	case <-time.After(30 * time.Millisecond):
	}
}

func woken(t *testing.T, copier *registry.Copier, n int) map[types.NamespacedName]int {
	t.Helper()
	got := map[types.NamespacedName]int{}
	for range n {
		select {
		case e := <-copier.Events():
			got[e.Object]++
		case <-time.After(5 * time.Second):
			t.Fatalf("woken: %v; want %d events", got, n)
		}
	}
	select {
	case e := <-copier.Events():
		t.Fatalf("%s was woken for nothing", e.Object)
	case <-time.After(20 * time.Millisecond):
	}
	return got
}

func TestCopierCopiesOnceForAll(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		if got := b.copier.Ensure(owner(i), request("a")); !cmp.Equal(got, registry.CopyState{UnderWay: true}) {
			t.Errorf("Ensure = %+v", got)
		}
	}
	f := b.next()
	b.copier.Ensure(owner(3), request("a"))
	b.idle()
	f.end <- nil
	if got := woken(t, b.copier, 4); len(got) != 4 {
		t.Errorf("woken: %v", got)
	}
	want := registry.CopyState{Copy: reference.Reference{
		Repository: "registry.example.com/mirror/debian", Tag: "12-" + strings.Repeat("a", 32),
	}}
	if got := b.copier.Ensure(owner(4), request("a")); !cmp.Equal(got, want) {
		t.Errorf("Ensure = %+v, want %+v", got, want)
	}
	b.idle()
}

// TestCopierGivesTurns: a namespace with many copies, or with slow ones, delays its own.
func TestCopierGivesTurns(t *testing.T) {
	b := newBench(t)
	b.stop()
	digests := "0123456789abcdef"
	want := []string{"crowd", "crowd", "second", "third"}
	for i, namespace := range []string{"crowd", "crowd", "crowd", "crowd", "crowd", "second", "second", "third"} {
		b.copier.Ensure(types.NamespacedName{Namespace: namespace, Name: "base"}, request(digests[i:i+1]))
	}
	namespaceOf := func(f flight) string {
		switch i := strings.Index(digests, f.digest[len(f.digest)-1:]); {
		case i < 5:
			return "crowd"
		case i < 7:
			return "second"
		default:
			return "third"
		}
	}
	b.start()
	var got []string
	begun := map[string]flight{}
	for range want {
		f := b.next()
		begun[namespaceOf(f)] = f
		got = append(got, namespaceOf(f))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("copies of %v begin, want %v", got, want)
	}
	b.idle() // all workers
	begun["third"].end <- nil
	if f := b.next(); namespaceOf(f) != "second" {
		t.Errorf("a copy of %s is next, which has two already", namespaceOf(f))
	}
	begun["second"].end <- nil
	b.idle() // the others are the crowd's
	begun["crowd"].end <- nil
	if f := b.next(); namespaceOf(f) != "crowd" {
		t.Errorf("a copy of %s is next", namespaceOf(f))
	}
}

// TestCopierEndsWhatTakesTooLong: it has failed, and waits for its next turn.
func TestCopierEndsWhatTakesTooLong(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.copier.EndAfter(20 * time.Millisecond)
	b.copier.Ensure(owner(1), request("a"))
	b.start()
	b.next()
	woken(t, b.copier, 1)
	got := b.copier.Ensure(owner(1), request("a"))
	if got.Failure == nil || got.UnderWay || !strings.Contains(got.Failure.Err.Error(), "not complete after 20ms") {
		t.Errorf("Ensure = %+v", got)
	}
}

// TestCopierIsFair: two at once for a namespace, the others in their order; and a digest goes to one
// repository once at a time, also for owners with other Secrets.
func TestCopierIsFair(t *testing.T) {
	b := newBench(t)
	other := request("a")
	other.From.Tag = "bookworm"
	for i, r := range []registry.CopyRequest{request("a"), other, request("b"), request("c"), request("d")} {
		b.copier.Ensure(owner(i), r)
	}
	first, second := b.next(), b.next()
	began := map[string]bool{first.digest: true, second.digest: true}
	if want := map[string]bool{request("a").Digest: true, request("b").Digest: true}; !maps.Equal(began, want) {
		t.Fatalf("copies of %v begin, want %v", began, want)
	}
	b.idle()
	if first.digest != request("a").Digest {
		first, second = second, first
	}
	first.end <- nil
	again := b.next()
	if again.digest != request("a").Digest {
		t.Errorf("%s is next, want the second request for the first digest", again.digest)
	}
	second.end <- nil
	if f := b.next(); f.digest != request("c").Digest {
		t.Errorf("%s is next", f.digest)
	}
	again.end <- nil
	if f := b.next(); f.digest != request("d").Digest {
		t.Errorf("%s is next", f.digest)
	}
}

func TestCopierTriesAgain(t *testing.T) {
	b := newBench(t)
	begun := b.clock.Now()
	refused := &registry.Error{Class: registry.Forbidden, Host: "registry.example.com", Op: "copying"}
	waits := []time.Duration{
		10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second,
		10 * time.Minute, 10 * time.Minute,
	}
	for i, wait := range waits {
		b.copier.Ensure(owner(1), request("a"))
		b.next().end <- refused
		woken(t, b.copier, 1)
		want := &registry.CopyFailure{Err: refused, Since: begun, Count: i + 1, Next: b.clock.Now().Add(wait)}
		got := b.copier.Ensure(owner(1), request("a"))
		if got.UnderWay || got.Failure.Err != refused || got.Failure.Count != want.Count || !got.Failure.Since.Equal(want.Since) || !got.Failure.Next.Equal(want.Next) {
			t.Errorf("failure %d: %+v, want %+v", i+1, got.Failure, want)
		}
		b.clock.Step(wait - time.Second)
		b.copier.Ensure(owner(1), request("a"))
		b.idle()
		b.clock.Step(time.Second)
	}
	b.idle() // nobody has asked
	got := b.copier.Ensure(owner(1), request("a"))
	if !got.UnderWay || got.Failure == nil {
		t.Errorf("Ensure = %+v, want one under way that has failed before", got)
	}
	b.next().end <- &registry.Error{Class: registry.RateLimited, RetryAfter: 30 * time.Minute}
	woken(t, b.copier, 1)
	if got := b.copier.Ensure(owner(1), request("a")); !got.Failure.Next.Equal(b.clock.Now().Add(30 * time.Minute)) {
		t.Errorf("%+v, want the time that the registry says", got.Failure)
	}
	b.clock.Step(30 * time.Minute)
	b.copier.Ensure(owner(1), request("a"))
	b.next().end <- nil
	woken(t, b.copier, 1)
	if got := b.copier.Ensure(owner(1), request("a")); got.Copy.IsZero() || got.Failure != nil {
		t.Errorf("Ensure = %+v", got)
	}
}

func TestCopierForgets(t *testing.T) {
	b := newBench(t)
	for i, digest := range []string{"a", "b", "c", "d"} {
		b.copier.Ensure(owner(i), request(digest))
	}
	flights := map[string]flight{}
	for range 2 {
		f := b.next()
		flights[f.digest] = f
	}
	b.copier.Ensure(owner(9), request("b"))
	for i := range 3 {
		b.copier.Forget(owner(i))
	}
	<-flights[request("a").Digest].ctx.Done() // nobody waits for it
	last := b.next()
	if last.digest != request("d").Digest { // c was dropped in the queue
		t.Errorf("%s is next", last.digest)
	}
	flights[request("b").Digest].end <- nil
	if got := woken(t, b.copier, 1); got[owner(9)] != 1 {
		t.Errorf("woken: %v", got)
	}
	b.copier.Ensure(owner(0), request("a")) // wanted after all
	if f := b.next(); f.digest != request("a").Digest {
		t.Errorf("%s is next", f.digest)
	}
}

func TestCopierStoppedAndStartedAgain(t *testing.T) {
	b := newBench(t)
	b.copier.Ensure(owner(1), request("a"))
	b.next()
	b.stop()
	if got := b.copier.Ensure(owner(1), request("a")); !cmp.Equal(got, registry.CopyState{UnderWay: true}) {
		t.Errorf("Ensure = %+v of a copy that was given up", got)
	}
	b.start()
	b.next().end <- nil
	woken(t, b.copier, 1)
}

// TestCopierRemembersADay: what nobody asks for any more takes no memory for ever.
func TestCopierRemembersADay(t *testing.T) {
	b := newBench(t)
	fails := func(digest string) {
		b.copier.Ensure(owner(1), request(digest))
		b.next().end <- &registry.Error{Class: registry.Unavailable}
		woken(t, b.copier, 1)
	}
	fails("a")
	fails("b")
	b.clock.Step(23 * time.Hour)
	fails("b")
	b.clock.Step(2 * time.Hour)
	if got := b.copier.Ensure(owner(1), request("b")); got.Failure == nil || got.Failure.Count != 2 {
		t.Errorf("Ensure = %+v", got)
	}
	if got := b.copier.Ensure(owner(1), request("a")); got.Failure != nil {
		t.Errorf("Ensure = %+v", got)
	}
}

// TestCopierNoticesWhatIsDeleted: a copy is looked for again after an hour, by one HEAD,
// and made again where it is gone; where it is nowhere, that is told.
func TestCopierNoticesWhatIsDeleted(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	clock := clocktesting.NewFakeClock(time.Now())
	copier := registry.NewCopier(registry.CopierOptions{
		Copies: newClient(source.Host, target.Host), Secrets: registry.NewCredentials(&cluster{}, clock), Clock: clock,
	})
	started(t, copier)
	r := registry.CopyRequest{From: o.ref, Digest: o.digest, To: target.Reference(t, "mirror/app")}
	// look asks, waits where that takes a look, and asks again.
	look := func() registry.CopyState {
		if state := copier.Ensure(owner(1), r); !state.UnderWay {
			return state
		}
		woken(t, copier, 1)
		return copier.Ensure(owner(1), r)
	}
	counts := func(what string, wantTarget, wantSource int) {
		t.Helper()
		if got := look(); got.Copy.IsZero() {
			t.Errorf("%s: Ensure = %+v", what, got)
		}
		if s, m := source.Requests("", ""), target.Requests("", "/manifests/"); s > 0 != (wantSource > 0) || wantTarget >= 0 && m != wantTarget {
			t.Errorf("%s: %d requests at the source, and %d at the target", what, s, m)
		}
		source.ResetRequests()
		target.ResetRequests()
	}
	counts("the copy", -1, 1)
	clock.Step(time.Hour - time.Second)
	counts("within the hour", 0, 0)
	clock.Step(time.Second)
	counts("after an hour", 1, 0)
	target.Delete(t, o.kept(r.To))
	clock.Step(time.Minute)
	counts("deleted a minute ago", 0, 0)
	clock.Step(time.Hour)
	counts("deleted, and made again", -1, 1)
	if got := target.Digest(t, o.kept(r.To)); got != o.digest {
		t.Errorf("the kept tag shows %q", got)
	}
	target.Delete(t, o.kept(r.To))
	source.Intercept(on("GET", "/manifests/", refusing(404, "MANIFEST_UNKNOWN")))
	clock.Step(time.Hour)
	if got := look(); got.Failure == nil || got.Failure.Err.Class != registry.Absent || !got.Copy.IsZero() {
		t.Errorf("nowhere: Ensure = %+v", got)
	}
}

// TestCopierWithRegistries: Secrets that were renewed are noticed; a restart finds the
// copy with one HEAD; and who has other Secrets hears nothing of these.
func TestCopierWithRegistries(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	target.RequireBasic("me", "word")
	clock := clocktesting.NewFakeClock(time.Now())
	c := &cluster{}
	c.set("shop/push", pullSecret(target.Host, "me", "old"))
	client := newClient(source.Host, target.Host)
	newCopier := func() *registry.Copier {
		return registry.NewCopier(registry.CopierOptions{Copies: client, Secrets: registry.NewCredentials(c, clock), Clock: clock})
	}
	copier := newCopier()
	stop := started(t, copier)
	r := registry.CopyRequest{From: o.ref, Digest: o.digest, To: target.Reference(t, "mirror/app"), Write: registry.CredentialSource{Namespace: "shop", Secrets: []string{"push"}}}
	copier.Ensure(owner(1), r)
	woken(t, copier, 1)
	got := copier.Ensure(owner(1), r)
	if got.Failure == nil || got.Failure.Err.Class != registry.Unauthorized || got.Failure.Err.Host != target.Host {
		t.Fatalf("Ensure = %+v", got)
	}
	elsewhere := r
	elsewhere.Write.Namespace = "other"
	if got := copier.Ensure(owner(2), elsewhere); got.Failure != nil {
		t.Errorf("Ensure = %+v, of Secrets that are not theirs", got.Failure)
	}
	woken(t, copier, 1)
	if got := copier.Ensure(owner(2), elsewhere); got.Failure == nil || !strings.Contains(got.Failure.Err.Error(), "Secret other/push: it does not exist") {
		t.Errorf("Ensure = %+v", got)
	}
	c.set("shop/push", pullSecret(target.Host, "me", "word"))
	clock.Step(10 * time.Second)
	copier.Ensure(owner(1), r)
	woken(t, copier, 1)
	if got := copier.Ensure(owner(1), r); got.Copy.Name() != o.kept(r.To).Name() || got.Copy.Digest != o.digest {
		t.Fatalf("Ensure = %+v", got)
	}
	stop()
	source.ResetRequests()
	target.ResetRequests()
	copier = newCopier()
	started(t, copier)
	copier.Ensure(owner(1), r)
	woken(t, copier, 1)
	if got := copier.Ensure(owner(1), r); got.Copy.IsZero() {
		t.Errorf("Ensure = %+v", got)
	}
	if n := source.Requests("", ""); n != 0 || target.Requests("", "/manifests/") != 1 || target.Requests(http.MethodHead, "") != 1 {
		t.Errorf("a restart costs %d requests at the source, and %d of %d at the target", n, target.Requests(http.MethodHead, ""), target.Requests("", ""))
	}
}
