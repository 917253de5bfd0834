// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// indexOf is an index with an image for each architecture, and the digests of their
// configurations.
func indexOf(t *testing.T, architectures ...string) (v1.ImageIndex, []string) {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	configs := make([]string, 0, len(architectures))
	for _, architecture := range architectures {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		image := platformImage(t, randomLayer(t), platform, "a")
		config, err := image.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, config.String())
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, configs
}

// damaged answers for a path with something else.
func damaged(path string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, path) {
			return false
		}
		_, _ = io.WriteString(w, "{}")
		return true
	}
}

// TestADetailSpoilsNothingForNeighbours: who wants all platforms of an image of which one
// cannot be read hears so, and who wants another one hears of the digest.
func TestADetailSpoilsNothingForNeighbours(t *testing.T) {
	many := []string{"bad"}
	for i := range 70 {
		many = append(many, "cpu"+strings.Repeat("x", i))
	}
	few := []string{"bad", "amd64"}
	tests := map[string]struct {
		architectures []string
		answer        func(bad string) func(http.ResponseWriter, *http.Request) bool
		allFirst      bool
		wantText      string
	}{
		"damaged":                             {architectures: few, answer: damaged, wantText: "cannot be read"},
		"damaged, and all were wanted before": {architectures: few, answer: damaged, allFirst: true, wantText: "cannot be read"},
		"no answer": {architectures: few, wantText: "503", answer: func(bad string) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, req *http.Request) bool {
				if !strings.Contains(req.URL.Path, bad) {
					return false
				}
				registrytest.Refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE")
				return true
			}
		}},
		"more than are read": {architectures: append(many, "amd64"), wantText: "more than 64", allFirst: true, answer: func(string) func(http.ResponseWriter, *http.Request) bool {
			return func(http.ResponseWriter, *http.Request) bool { return false }
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			index, configs := indexOf(t, tt.architectures...)
			digest := r.PushIndex(t, ref, index)
			r.Intercept(tt.answer(configs[0]))
			w := newWorld(t, r.Host)
			all, one := target(ref), target(ref)
			all.Detail = registry.Detail{Kind: v1alpha1.IdentityContent}
			one.Detail = registry.Detail{Kind: v1alpha1.IdentityContent, Platforms: []v1alpha1.Platform{"linux/amd64"}}
			follow := func(i int, wanted registry.Target) {
				w.poller.Follow(owner(i), []registry.Target{wanted})
				w.eventually("an answer", func() bool { return w.poller.Latest(owner(i), ref) != nil })
			}
			if tt.allFirst {
				follow(1, all)
				follow(2, one)
			} else {
				follow(2, one)
				follow(1, all)
			}
			told := func() bool {
				got := w.poller.Latest(owner(2), ref)
				return got != nil && string(got.Digest) == digest && one.Detail.Made(got.Identity) && got.Failure == nil
			}
			w.eventually("what can be read", told)
			w.eventually("why not all can be read", func() bool {
				got := w.poller.Latest(owner(1), ref)
				return got != nil && !got.Answered() && got.Failure != nil && strings.Contains(got.Failure.Message, tt.wantText)
			})
			if !told() {
				t.Errorf("Latest = %+v", w.poller.Latest(owner(2), ref))
			}
		})
	}
}

// TestWhatCannotBeReadIsSeldomReadAgain: a digest's content never changes, and to read it
// may count as a pull. The tag is looked at as before, and what it shows next is read at
// once.
func TestWhatCannotBeReadIsSeldomReadAgain(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	image := platformImage(t, randomLayer(t), v1.Platform{OS: "linux", Architecture: "amd64"}, "a")
	config, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	r.PushImage(t, ref, image)
	r.Intercept(damaged(config.String()))
	w := newWorld(t, r.Host)
	wanted := target(ref)
	wanted.Interval, wanted.Detail = 10*time.Second, registry.Detail{Kind: v1alpha1.IdentityContent}
	w.poller.Follow(owner(1), []registry.Target{wanted})
	reads := func(want int) {
		t.Helper()
		w.eventually("the end of all checks", w.poller.Settled)
		if got := r.Requests("GET", "/manifests/"); got != want {
			t.Errorf("%d reads of the manifest, want %d", got, want)
		}
	}
	w.woken(1)
	const rounds = 30
	for round := range rounds {
		w.heads(r, round+1)
		w.pass(wanted.Interval)
	}
	w.heads(r, rounds+1)
	reads(5) // after 10, 20, 40 and 80 seconds
	w.poller.Check(ref)
	w.heads(r, rounds+2)
	reads(6)
	second := r.PushImage(t, ref, platformImage(t, randomLayer(t), v1.Platform{OS: "linux", Architecture: "amd64"}, "b"))
	w.pass(wanted.Interval)
	w.eventually("the next digest", func() bool { return string(w.poller.Latest(owner(1), ref).Digest) == second })
	reads(7)
}
