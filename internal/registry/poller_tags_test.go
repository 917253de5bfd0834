// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// listingAsker answers with the lists of tags that it has.
type listingAsker struct {
	*registry.Client

	lists map[string][]string
}

func (a *listingAsker) Tags(_ context.Context, ref reference.Reference, _ registry.Keychain) ([]string, error) {
	return a.lists[ref.Repository], nil
}

// TestLargeListsShareARoom: lists of tags cannot fill the memory, and those that are
// large are in nobody's way whose list is small.
func TestLargeListsShareARoom(t *testing.T) {
	const large = 14 // each takes 5 MiB, and 64 MiB is the room
	asker := &listingAsker{Client: registry.NewClient(registry.Options{}), lists: map[string][]string{}}
	repository := func(name string) reference.Reference {
		return reference.Reference{Repository: "registry.example.com/" + name}
	}
	tags := make([]string, 40_000)
	for i := range tags {
		tags[i] = fmt.Sprintf("%0115d", i)
	}
	refs := make([]reference.Reference, large)
	for i := range refs {
		refs[i] = repository(fmt.Sprintf("large-%d", i))
		asker.lists[refs[i].Repository] = tags
	}
	small := repository("small")
	asker.lists[small.Repository] = []string{"1.0"}
	w := newWorldOf(t, registry.PollerOptions{Asker: asker}, "registry.example.com")
	told := func(i int, ref reference.Reference) string {
		w.poller.Follow(owner(i), []registry.Target{{Reference: ref}})
		w.eventually("an answer", func() bool { return w.poller.Listing(owner(i), ref) != nil })
		got := w.poller.Listing(owner(i), ref)
		if got.Failure != nil {
			return got.Failure.Message
		}
		return strconv.Itoa(len(got.Tags))
	}
	kept := 0
	for i, ref := range refs {
		switch got := told(i, ref); {
		case got == "40000":
			kept++
		case !strings.Contains(got, "no room"):
			t.Errorf("large list %d: %s", i, got)
		}
	}
	if kept != 12 {
		t.Errorf("%d large lists are kept, want 12", kept)
	}
	if got := told(large, small); got != "1" {
		t.Errorf("the small list: %s", got)
	}
	w.poller.Forget(owner(0))
	w.poller.Check(refs[large-1])
	w.eventually("the room of the one that left", func() bool { return w.poller.Listing(owner(large-1), refs[large-1]).Failure == nil })
}

// TestTagsOfTooManyBytes: few enough tags may still be too long ones.
func TestTagsOfTooManyBytes(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	tags := make([]string, 60_000)
	for i := range tags {
		tags[i] = fmt.Sprintf("%0128d", i)
	}
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/tags/list") {
			return false
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "team/app", "tags": tags})
		return true
	})
	_, err := newClient(r.Host).Tags(t.Context(), ref, anonymous)
	if registry.ClassOf(err) != registry.Invalid || !strings.Contains(err.Error(), "6 MiB") {
		t.Errorf("error %v, want one that says how much is too much", err)
	}
}
