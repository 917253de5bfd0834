// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// TestADigestIsToldWithItsIdentity: who builds on the content hears of no digest
// before its content is known, and others hear of it at once.
func TestADigestIsToldWithItsIdentity(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	layer, platform := randomLayer(t), v1.Platform{OS: "linux", Architecture: "amd64"}
	first := r.PushImage(t, ref, platformImage(t, layer, platform, "a"))
	w := newWorld(t, r.Host)
	detailed := target(ref)
	detailed.Detail = registry.Detail{Kind: v1alpha1.IdentityContent}
	w.poller.Follow(owner(1), []registry.Target{detailed})
	w.woken(1)
	before := w.poller.Latest(owner(1), ref)
	if before == nil || string(before.Digest) != first || !detailed.Detail.Made(before.Identity) {
		t.Fatalf("Latest = %+v", before)
	}
	w.poller.Follow(owner(2), []registry.Target{target(ref)})

	second := r.PushImage(t, ref, platformImage(t, layer, platform, "b"))
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		registrytest.Refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE")
		return true
	})
	w.pass(time.Minute)
	w.woken(2)
	if got := w.poller.Latest(owner(2), ref); string(got.Digest) != second {
		t.Errorf("who wants the digest alone hears %+v", got)
	}
	if got := w.poller.Latest(owner(1), ref); got.Answered() || got.Failure == nil {
		t.Errorf("a digest without its identity is told: %+v", got)
	}
	r.Recover()
	w.pass(20 * time.Second)
	w.woken(2)
	if got := w.poller.Latest(owner(1), ref); string(got.Digest) != second || got.Identity != before.Identity || got.Failure != nil {
		t.Errorf("Latest = %+v, want %s with %v", got, second, before.Identity)
	}
}

// TestWhatIsKnownIsNotReadAgain: after a restart the status tells of the digest.
func TestWhatIsKnownIsNotReadAgain(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	w := newWorld(t, r.Host)
	known := target(ref)
	known.Detail, known.Known = registry.Detail{Kind: v1alpha1.IdentityContent}, v1alpha1.Digest(digest)
	w.poller.Follow(owner(1), []registry.Target{known})
	w.woken(1)
	if got := w.poller.Latest(owner(1), ref); string(got.Digest) != digest {
		t.Errorf("Latest = %+v, want %s", got, digest)
	}
	if n := r.Requests("GET", "/manifests/"); n != 0 {
		t.Errorf("%d descriptions of what is known", n)
	}
}

// TestNoneOfThePlatforms: an image that lacks all that counts is a failure that says
// so, and no change.
func TestNoneOfThePlatforms(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.PushImage(t, ref, platformImage(t, randomLayer(t), v1.Platform{OS: "linux", Architecture: "amd64"}, "a"))
	w := newWorld(t, r.Host)
	detailed := target(ref)
	detailed.Detail = registry.Detail{Kind: v1alpha1.IdentityPlatforms, Platforms: []v1alpha1.Platform{"linux/s390x"}}
	w.poller.Follow(owner(1), []registry.Target{detailed})
	w.woken(1)
	got := w.poller.Latest(owner(1), ref)
	if got == nil || got.Answered() || got.Failure == nil || !strings.Contains(got.Failure.Message, "poll.platforms") {
		t.Errorf("Latest = %+v", got)
	}
}

// TestADigestIsLookedFor: a digest that leaves its registry is told, and one tag is
// no other's business.
func TestADigestIsLookedFor(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	r.Push(t, ref) // the tag moves on
	pinned := reference.Reference{Repository: ref.Repository, Digest: digest}
	w := newWorld(t, r.Host)
	w.poller.Follow(owner(1), []registry.Target{target(ref), target(pinned)})
	w.eventually("both answers", func() bool {
		return w.poller.Latest(owner(1), ref) != nil && w.poller.Latest(owner(1), pinned) != nil
	})
	if got := w.poller.Latest(owner(1), pinned); string(got.Digest) != digest {
		t.Errorf("Latest = %+v, want %s", got, digest)
	}
	r.Delete(t, ref.WithTag(digest))
	w.pass(time.Minute)
	w.eventually("that it is gone", func() bool { return w.poller.Latest(owner(1), pinned).Absent })
	if got := w.poller.Latest(owner(1), ref); got.Absent || got.Failure != nil {
		t.Errorf("the tag: %+v", got)
	}
}

// TestListing: the tags of a repository are told where they change.
func TestListing(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:1.0")
	r.Push(t, ref)
	repository := reference.Reference{Repository: ref.Repository}
	w := newWorld(t, r.Host)
	if w.poller.Listing(owner(1), repository) != nil {
		t.Error("a listing that nobody asked for")
	}
	w.poller.Follow(owner(1), []registry.Target{target(repository)})
	w.woken(1)
	if got := w.poller.Listing(owner(1), repository); got == nil || !slices.Equal(got.Tags, []string{"1.0"}) {
		t.Fatalf("Listing = %+v", got)
	}
	w.pass(time.Minute)
	w.eventually("a second list", func() bool { return w.poller.Listing(owner(1), repository).Repeats == 2 })
	w.quiet()
	r.Push(t, ref.WithTag("1.1"))
	w.pass(time.Minute)
	w.woken(1)
	if got := w.poller.Listing(owner(1), repository); !slices.Equal(got.Tags, []string{"1.0", "1.1"}) || got.Repeats != 1 {
		t.Errorf("Listing = %+v", got)
	}
	r.Fail("GET", "tags/list", http.StatusServiceUnavailable)
	w.pass(time.Minute)
	w.woken(1)
	if got := w.poller.Listing(owner(1), repository); len(got.Tags) != 2 || got.Failure == nil {
		t.Errorf("Listing = %+v, want the last answer and a failure", got)
	}
}

// TestDetailsOfNeighbours: who wants other details of a tag than those before is told,
// and the registry is not asked for the one and the other in turn.
func TestDetailsOfNeighbours(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	amd64, arm64 := v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"}
	var index v1.ImageIndex = empty.Index
	for _, platform := range []v1.Platform{amd64, arm64} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: platformImage(t, randomLayer(t), platform, "a"), Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	r.PushIndex(t, ref, index)
	w := newWorld(t, r.Host)
	details := []registry.Detail{
		{Kind: v1alpha1.IdentityPlatforms},
		{Kind: v1alpha1.IdentityContent, Platforms: []v1alpha1.Platform{"linux/amd64"}},
	}
	for i, detail := range details {
		wanted := target(ref)
		wanted.Detail = detail
		w.poller.Follow(owner(i), []registry.Target{wanted})
		w.eventually("the identity that was asked for", func() bool {
			got := w.poller.Latest(owner(i), ref)
			return got != nil && detail.Made(got.Identity)
		})
	}
	w.heads(r, 2)
	for i, detail := range details {
		if got := w.poller.Latest(owner(i), ref); got == nil || !detail.Made(got.Identity) {
			t.Errorf("%+v is not told: %+v", detail, got)
		}
	}
}
