// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func TestPublish(t *testing.T) {
	const absent = v1alpha1.ExpectedAbsent
	tests := map[string]struct {
		// tag before, and what was expected of it: old, new, other or absent.
		tag, expected string
		want          registry.Outcome
		wantTag       string
		wantPuts      int
	}{
		"the tag is as it was: it moves":               {"old", "old", registry.Moved, "new", 1},
		"the tag never existed: it is made":            {absent, absent, registry.Moved, "new", 1},
		"the tag has vanished: it is put back":         {absent, "old", registry.Moved, "new", 1},
		"somebody else pushed: theirs wins":            {"other", "old", registry.Superseded, "other", 0},
		"somebody else pushed first: theirs wins":      {"other", absent, registry.Superseded, "other", 0},
		"a crash came after the write: nothing to do":  {"new", "old", registry.AlreadyThere, "new", 0},
		"the build made what is there: nothing to do":  {"new", "new", registry.AlreadyThere, "new", 0},
		"a crash came after the first write: the same": {"new", absent, registry.AlreadyThere, "new", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			digests := map[string]string{absent: absent}
			for _, which := range []string{"old", "new", "other"} {
				digests[which] = r.Push(t, ref.WithTag("made-"+which))
			}
			if tt.tag != absent {
				r.Move(t, ref, digests[tt.tag])
			}
			got, err := newClient(r.Host).Publish(t.Context(), ref, digests["new"], digests[tt.expected], anonymous)
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcome != tt.want || got.Found != digests[tt.tag] || got.Finished.IsZero() {
				t.Errorf("Publish = %+v, want %s, found %s", got, tt.want, tt.tag)
			}
			if shows := r.Digest(t, ref); shows != digests[tt.wantTag] {
				t.Errorf("the tag shows %s, want %s", shows, tt.wantTag)
			}
			if n := r.Requests(http.MethodPut, ""); n != tt.wantPuts {
				t.Errorf("%d PUTs, want %d", n, tt.wantPuts)
			}
			if n := r.Requests("", "/blobs/"); n != 0 {
				t.Errorf("%d requests for layers", n)
			}
		})
	}
}

// TestPublishReadsAndWritesBackToBack: nothing may stand between the two, neither
// a ping nor a token.
func TestPublishReadsAndWritesBackToBack(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	old, made := r.Push(t, ref), r.Push(t, ref.WithTag("made"))
	r.RequireBasic("me", "word")
	var mu sync.Mutex
	var order []string
	r.Intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, req.Method+" "+req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:])
		return false
	})
	if _, err := newClient(r.Host).Publish(t.Context(), ref, made, old, keychain(t, r.Host, "me", "word")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"GET ", "GET " + made, "HEAD stable", "PUT stable"}; !slices.Equal(order, want) {
		t.Errorf("requests %v, want %v", order, want)
	}
}

func TestPublishFailures(t *testing.T) {
	put := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodPut {
				registrytest.Refuse(w, status, "DENIED")
			}
			return req.Method == http.MethodPut
		}
	}
	tests := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		digest    string
		wantClass registry.Class
		wantText  string
	}{
		"no right to write":               {intercept: put(403), wantClass: registry.Forbidden, wantText: "publishing team/app:stable"},
		"wrong credentials":               {intercept: put(401), wantClass: registry.Unauthorized, wantText: "publishing team/app:stable"},
		"an immutable tag":                {intercept: put(409), wantClass: registry.Invalid, wantText: "409 Conflict"},
		"a broken registry":               {intercept: put(500), wantClass: registry.Unavailable, wantText: "500"},
		"a web page instead of an answer": {intercept: putWebPage, wantClass: registry.Invalid, wantText: "web page"},
		"a redirected write":              {intercept: put(307), wantClass: registry.Invalid, wantText: "307"},
		"the digest is not there":         {digest: "sha256:" + strings.Repeat("0", 64), wantClass: registry.Absent, wantText: "reading team/app@000000000000"},
		"the digest is none":              {digest: "latest", wantClass: registry.Invalid, wantText: "is not one"},
		"a token without the push right":  {intercept: pullTokens(401), wantClass: registry.Unauthorized, wantText: "publishing team/app:stable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			old, made := r.Push(t, ref), r.Push(t, ref.WithTag("made"))
			if tt.digest != "" {
				made = tt.digest
			}
			r.Intercept(tt.intercept)
			_, err := newClient(r.Host).Publish(t.Context(), ref, made, old, anonymous)
			if registry.ClassOf(err) != tt.wantClass || !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("error %v, want %s that says %q", err, tt.wantClass, tt.wantText)
			}
			if shows := r.Digest(t, ref); shows != old {
				t.Errorf("the tag has moved to %s", shows)
			}
		})
	}
}

// putWebPage is what a proxy answers writes with, with status 200.
func putWebPage(w http.ResponseWriter, req *http.Request) bool {
	if req.Method != http.MethodPut {
		return false
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>please log in</html>"))
	return true
}

// pullTokens is a registry that hands out tokens for reading only, and answers
// whoever writes with them by a status.
func pullTokens(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		known := req.Header.Get("Authorization") == "Bearer reader"
		switch {
		case req.URL.Path == "/token":
			_, _ = w.Write([]byte(`{"token":"reader"}`))
		case known && (req.Method == http.MethodGet || req.Method == http.MethodHead):
			return false
		case known && status != http.StatusUnauthorized:
			registrytest.Refuse(w, status, "DENIED")
		default:
			w.Header().Set("WWW-Authenticate",
				fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:team/app:pull,push"`, req.Host))
			registrytest.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		}
		return true
	}
}
