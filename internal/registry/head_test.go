// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// webPage is what a login portal answers.
func webPage(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>secret-body</html>"))
	return true
}

// bare answers with a status, at most one header, and no word of a registry.
func bare(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte("secret-body"))
		return true
	}
}

var headFailures = map[string]struct {
	intercept      func(http.ResponseWriter, *http.Request) bool
	wantClass      registry.Class
	wantStatus     int
	wantRetryAfter time.Duration
	wantReason     string
	wantText       string
	wantRequests   int // on manifests
}{
	"a tag that does not exist is absent by the registry's own word": {
		intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			registrytest.Refuse(w, 404, "MANIFEST_UNKNOWN")
			return true
		},
		wantClass: registry.Absent, wantStatus: 404, wantReason: v1alpha1.ReasonTagAbsent, wantText: "does not exist", wantRequests: 2,
	},
	"Harbor has its own word for it": {
		intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			registrytest.Refuse(w, 404, "NOT_FOUND")
			return true
		},
		wantClass: registry.Absent, wantStatus: 404, wantReason: v1alpha1.ReasonTagAbsent, wantText: "does not exist", wantRequests: 2,
	},
	"a proxy's 404 says nothing of the tag": {
		intercept: bare(404), wantClass: registry.Invalid, wantStatus: 404,
		wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "not in the words of a registry", wantRequests: 2,
	},
	"wrong credentials": {
		intercept: bare(401), wantClass: registry.Unauthorized, wantStatus: 401,
		wantReason: v1alpha1.ReasonUnauthorized, wantText: "credentials are missing or wrong", wantRequests: 1,
	},
	"credentials without the right": {
		intercept: bare(403), wantClass: registry.Forbidden, wantStatus: 403,
		wantReason: v1alpha1.ReasonUnauthorized, wantText: "do not allow", wantRequests: 1,
	},
	"a limited rate is not asked again, and the wait is told": {
		intercept: bare(429, "Retry-After", "17"), wantClass: registry.RateLimited, wantStatus: 429, wantRetryAfter: 17 * time.Second,
		wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "429 Too Many Requests", wantRequests: 1,
	},
	"a broken registry is not asked again": {
		intercept: bare(503), wantClass: registry.Unavailable, wantStatus: 503,
		wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "503 Service Unavailable", wantRequests: 1,
	},
	"a web page is no image": {
		intercept: webPage, wantClass: registry.Invalid, wantStatus: 200,
		wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "web page", wantRequests: 2,
	},
	// net/http itself asks once more where a kept connection ends without an answer.
	"a connection that breaks": {
		intercept: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		wantClass: registry.Unavailable, wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "broke off", wantRequests: 2,
	},
	"silence": {
		intercept: func(_ http.ResponseWriter, req *http.Request) bool { <-req.Context().Done(); return true },
		wantClass: registry.Unavailable, wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "no answer in time", wantRequests: 1,
	},
}

func TestHeadFailures(t *testing.T) {
	for name, tt := range headFailures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				return strings.Contains(req.URL.Path, "/manifests/") && tt.intercept(w, req)
			})
			client := registry.NewClient(registry.Options{Rules: plainHTTP(r.Host), Timeout: 300 * time.Millisecond})
			_, err := client.Head(t.Context(), ref, anonymous)
			var got *registry.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v is no *Error", err)
			}
			want := &registry.Error{Class: tt.wantClass, Host: r.Host, Op: "reading team/app:stable", Status: tt.wantStatus, RetryAfter: tt.wantRetryAfter}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(registry.Error{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Reason() != tt.wantReason {
				t.Errorf("Reason = %s, want %s", got.Reason(), tt.wantReason)
			}
			if text := err.Error(); !strings.Contains(text, tt.wantText) || !strings.HasPrefix(text, r.Host+": reading") ||
				strings.Contains(text, "body") || strings.Contains(text, "http://") {
				t.Errorf("error says %q, want host, question and %q", text, tt.wantText)
			}
			if n := r.Requests("", "/manifests/"); n != tt.wantRequests {
				t.Errorf("%d requests, want %d", n, tt.wantRequests)
			}
		})
	}
}
