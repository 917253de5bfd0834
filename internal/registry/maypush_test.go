// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// refusing answers with a status, in the words of a registry.
func refusing(status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		registrytest.Refuse(w, status, code)
		return true
	}
}

func silent(_ http.ResponseWriter, req *http.Request) bool {
	<-req.Context().Done()
	return true
}

func TestMayPush(t *testing.T) {
	tests := map[string]struct {
		// post answers the POST; by default the registry does.
		post func(http.ResponseWriter, *http.Request) bool
		// want is nil where the answer is yes, or cannot be told.
		want        *registry.Error
		wantText    string
		wantDeletes int
	}{
		"allowed: the upload is given up again": {wantDeletes: 1},
		"allowed, without an upload to give up": {post: bare(202)},
		"a blob at once: it is not deleted":     {post: bare(201, "Location", "/v2/team/app/blobs/sha256:1")},
		"allowed, in a way that is not known":   {post: bare(200, "Location", "/v2/team/app/blobs/uploads/1")},
		"wrong credentials, or without the right": {
			post: refusing(401, "UNAUTHORIZED"), want: &registry.Error{Class: registry.Unauthorized, Status: 401},
			wantText: "credentials are missing or wrong, or do not allow it",
		},
		"credentials without the right": {
			post: refusing(403, "DENIED"), want: &registry.Error{Class: registry.Forbidden, Status: 403},
			wantText: "the credentials do not allow it",
		},
		"a refusal by a long web page is one": {
			post: func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(strings.Repeat("secret-body", 10000)))
				return true
			},
			want: &registry.Error{Class: registry.Forbidden, Status: 403}, wantText: "the credentials do not allow it",
		},
		"a repository that has to be created first": {
			post: refusing(404, "NAME_UNKNOWN"), want: &registry.Error{Class: registry.Forbidden, Status: 404},
			wantText: "the repository does not exist, and the registry does not create it by itself",
		},
		"a 404 in other words cannot be told":   {post: refusing(404, "NOT_FOUND")},
		"a proxy's 404 cannot be told":          {post: bare(404)},
		"uploads of another kind":               {post: refusing(405, "UNSUPPORTED")},
		"uploads of no kind":                    {post: refusing(501, "UNSUPPORTED")},
		"an upload that is not understood":      {post: refusing(400, "BLOB_UPLOAD_INVALID")},
		"a redirect is not followed":            {post: bare(307, "Location", "/v2/team/other/blobs/uploads/")},
		"a redirect to a login is not followed": {post: bare(302, "Location", "/login")},
		"a broken registry": {
			post: bare(500), want: &registry.Error{Class: registry.Unavailable, Status: 500}, wantText: "500 Internal Server Error",
		},
		"a registry in maintenance tells how long": {
			post: bare(503, "Retry-After", "60"), want: &registry.Error{Class: registry.Unavailable, Status: 503, RetryAfter: time.Minute},
			wantText: "503 Service Unavailable",
		},
		"a limited rate, and the wait is told": {
			post: bare(429, "Retry-After", "17"), want: &registry.Error{Class: registry.RateLimited, Status: 429, RetryAfter: 17 * time.Second},
			wantText: "429 Too Many Requests",
		},
		// AWS ECR is said to do this where the repository does not exist.
		"a connection that breaks": {
			post: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
			want: &registry.Error{Class: registry.Unavailable}, wantText: "broke off",
		},
		"silence": {post: silent, want: &registry.Error{Class: registry.Unavailable}, wantText: "no answer in time"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method == http.MethodPost && (req.URL.Path != "/v2/team/app/blobs/uploads/" || req.Header.Get("Content-Length") != "0") {
					t.Errorf("POST %s with Content-Length %q", req.URL, req.Header.Get("Content-Length"))
				}
				return req.Method == http.MethodPost && tt.post != nil && tt.post(w, req)
			})
			client := registry.NewClient(registry.Options{Rules: plainHTTP(r.Host), Timeout: 300 * time.Millisecond})
			err := client.MayPush(t.Context(), r.Reference(t, "team/app:stable"), anonymous)
			checkRefusal(t, r, err, tt.want, tt.wantText)
			if posts, deletes := r.Requests("POST", ""), r.Requests("DELETE", ""); posts != 1 || deletes != tt.wantDeletes {
				t.Errorf("%d POSTs and %d DELETEs, want 1 and %d", posts, deletes, tt.wantDeletes)
			}
			checkNothingWritten(t, r)
		})
	}
}

// checkRefusal compares what MayPush fails with, want filled in.
func checkRefusal(t *testing.T, r *registrytest.Registry, err error, want *registry.Error, text string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return
	}
	var got *registry.Error
	if !errors.As(err, &got) {
		t.Fatalf("error %v is no *Error", err)
	}
	want.Host, want.Op = r.Host, "pushing to team/app"
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(registry.Error{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if said := err.Error(); !strings.Contains(said, text) || strings.Contains(said, "body") || strings.Contains(said, "http://") {
		t.Errorf("error says %q, want %q", said, text)
	}
	if registry.RetryAfter(err) != want.RetryAfter {
		t.Errorf("RetryAfter = %s, want %s", registry.RetryAfter(err), want.RetryAfter)
	}
}

func checkNothingWritten(t *testing.T, r *registrytest.Registry) {
	t.Helper()
	if puts, patches, manifests := r.Requests("PUT", ""), r.Requests("PATCH", ""), r.Requests("", "/manifests/"); puts+patches+manifests != 0 {
		t.Errorf("%d PUTs, %d PATCHes, %d requests for manifests", puts, patches, manifests)
	}
}

// TestMayPushGivesUpItsUpload: with the same credentials, and of the registry
// itself only.
func TestMayPushGivesUpItsUpload(t *testing.T) {
	tests := map[string]struct {
		// location as the registry names it, HOST and ELSEWHERE filled in.
		location string
		// answer to the DELETE; by default 204.
		answer func(http.ResponseWriter, *http.Request) bool
		want   []string
	}{
		"by its path":                          {location: "/v2/team/app/blobs/uploads/1?_state=a%3D%3D", want: []string{"/v2/team/app/blobs/uploads/1?_state=a%3D%3D"}},
		"by a path that begins where it is":    {location: "2", want: []string{"/v2/team/app/blobs/uploads/2"}},
		"by its whole address":                 {location: "http://HOST/uploads/3", want: []string{"/uploads/3"}},
		"on another host: it expires":          {location: "http://ELSEWHERE/v2/team/app/blobs/uploads/1"},
		"by another scheme: it expires":        {location: "https://HOST/v2/team/app/blobs/uploads/1"},
		"with somebody's credentials":          {location: "http://you:secret@HOST/v2/team/app/blobs/uploads/1"},
		"at an address that is none":           {location: "http://[::1/"},
		"of a registry that does not do that":  {location: "/uploads/4", answer: refusing(405, "UNSUPPORTED"), want: []string{"/uploads/4"}},
		"of one that wants another right":      {location: "/uploads/5", answer: refusing(403, "DENIED"), want: []string{"/uploads/5"}},
		"of one that sends elsewhere":          {location: "/uploads/6", answer: bare(307, "Location", "/uploads/7"), want: []string{"/uploads/6"}},
		"of one that does not answer any more": {location: "/uploads/8", answer: silent, want: []string{"/uploads/8"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, elsewhere := registrytest.New(t), registrytest.New(t)
			r.RequireBasic("me", "word")
			var mu sync.Mutex
			var deleted []string
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				user, password, _ := req.BasicAuth()
				switch req.Method {
				case http.MethodPost:
					location := strings.NewReplacer("HOST", r.Host, "ELSEWHERE", elsewhere.Host).Replace(tt.location)
					return bare(202, "Location", location)(w, req)
				case http.MethodDelete:
					mu.Lock()
					deleted = append(deleted, req.URL.String())
					mu.Unlock()
					if user != "me" || password != "word" {
						t.Errorf("the DELETE is %q's, with %q", user, password)
					}
					if tt.answer != nil {
						return tt.answer(w, req)
					}
					w.WriteHeader(http.StatusNoContent)
					return true
				}
				return false
			})
			client := registry.NewClient(registry.Options{Rules: plainHTTP(r.Host, elsewhere.Host), Timeout: 300 * time.Millisecond})
			if err := client.MayPush(t.Context(), r.Reference(t, "team/app:stable"), keychain(t, r.Host, "me", "word")); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(deleted, tt.want) {
				t.Errorf("DELETEs of %q, want %q", deleted, tt.want)
			}
			if n := elsewhere.Requests("", ""); n != 0 {
				t.Errorf("%d requests elsewhere", n)
			}
		})
	}
}

// TestMayPushWithTokens: the token server says nothing of what it leaves out.
func TestMayPushWithTokens(t *testing.T) {
	tests := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		want      *registry.Error
		wantText  string
		wantPosts int
	}{
		// The library asks for another token, and tries it.
		"a token for pulling, and the registry wants another": {
			intercept: pullTokens(401), want: &registry.Error{Class: registry.Unauthorized, Status: 401},
			wantText: "or do not allow it", wantPosts: 2,
		},
		"a token for pulling, and the registry refuses": {
			intercept: pullTokens(403), want: &registry.Error{Class: registry.Forbidden, Status: 403},
			wantText: "the credentials do not allow it", wantPosts: 1,
		},
		"no token at all": {
			intercept: tokens(refusing(401, "UNAUTHORIZED")), want: &registry.Error{Class: registry.Unauthorized, Status: 401},
			wantText: "credentials are missing or wrong",
		},
		"no token for pushing": {
			intercept: tokens(refusing(403, "DENIED")), want: &registry.Error{Class: registry.Forbidden, Status: 403},
			wantText: "the credentials do not allow it",
		},
		// That is no answer to the POST, so it is not taken for one.
		"a token server that is not there": {
			intercept: tokens(bare(404)), want: &registry.Error{Class: registry.Invalid, Status: 404}, wantText: "404 Not Found",
		},
		"a token server that limits the rate": {
			intercept: tokens(bare(429, "Retry-After", "17")),
			want:      &registry.Error{Class: registry.RateLimited, Status: 429, RetryAfter: 17 * time.Second}, wantText: "429 Too Many Requests",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			var mu sync.Mutex
			var scopes []string
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				mu.Lock()
				scopes = append(scopes, req.URL.Query()["scope"]...)
				mu.Unlock()
				return tt.intercept(w, req)
			})
			err := newClient(r.Host).MayPush(t.Context(), r.Reference(t, "team/app:stable"), anonymous)
			checkRefusal(t, r, err, tt.want, tt.wantText)
			if posts, deletes := r.Requests("POST", ""), r.Requests("DELETE", ""); posts != tt.wantPosts || deletes != 0 {
				t.Errorf("%d POSTs and %d DELETEs, want %d and none", posts, deletes, tt.wantPosts)
			}
			if want := "repository:team/app:push,pull"; len(scopes) == 0 || scopes[0] != want {
				t.Errorf("tokens for %q, want %q first", scopes, want)
			}
			checkNothingWritten(t, r)
		})
	}
}

// tokens is a registry that wants tokens, and whose token server answers so.
func tokens(answer func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	wanted := pullTokens(http.StatusUnauthorized)
	return func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/token" {
			return answer(w, req)
		}
		return wanted(w, req)
	}
}

func TestMayPushNeedsARepository(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	ref.Repository = r.Host + "/NO"
	if err := newClient(r.Host).MayPush(t.Context(), ref, anonymous); registry.ClassOf(err) != registry.Invalid {
		t.Errorf("error %v", err)
	}
	if n := r.Requests("", ""); n != 0 {
		t.Errorf("%d requests", n)
	}
}
