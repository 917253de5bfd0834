// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func TestRetryAfter(t *testing.T) {
	limited := func(wait time.Duration) error {
		return &registry.Error{Class: registry.RateLimited, RetryAfter: wait}
	}
	tests := map[string]struct {
		err  error
		want time.Duration
	}{
		"no error":                             {nil, 0},
		"an error of somebody else":            {errors.New("no"), 0},
		"a registry that does not say":         {limited(0), 0},
		"a registry that says":                 {limited(time.Minute), time.Minute},
		"with something around it":             {fmt.Errorf("publishing: %w", limited(time.Minute)), time.Minute},
		"a registry that says a day: one hour": {limited(24 * time.Hour), time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := registry.RetryAfter(tt.err); got != tt.want {
				t.Errorf("RetryAfter = %s, want %s", got, tt.want)
			}
		})
	}
}

// TestRetryAfterComesThrough: whichever request it is that the registry wants to
// hear later.
func TestRetryAfterComesThrough(t *testing.T) {
	tests := map[string]struct {
		method string // of the request that is answered so, and its path
		path   string
		status int
		class  registry.Class
		want   time.Duration
	}{
		"the ping is too much":               {"GET", "/v2/", 429, registry.RateLimited, time.Minute},
		"the ping comes in a bad moment":     {"GET", "/v2/", 503, registry.Unavailable, time.Minute},
		"the tag is too much":                {"HEAD", "/v2/team/app/manifests/stable", 429, registry.RateLimited, time.Minute},
		"the tag comes in a bad moment":      {"HEAD", "/v2/team/app/manifests/stable", 503, registry.Unavailable, time.Minute},
		"a refusal holds without a time":     {"HEAD", "/v2/team/app/manifests/stable", 403, registry.Forbidden, 0},
		"the manifest is too much":           {"GET", "", 429, registry.RateLimited, time.Minute},
		"the write is too much":              {"PUT", "", 429, registry.RateLimited, time.Minute},
		"the write comes in a bad moment":    {"PUT", "", 503, registry.Unavailable, time.Minute},
		"a refused write has nothing to say": {"PUT", "", 403, registry.Forbidden, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			old, made := r.Push(t, ref), r.Push(t, ref.WithTag("made"))
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				is := req.Method == tt.method && (req.URL.Path == tt.path || tt.path == "" && req.URL.Path != "/v2/")
				return is && bare(tt.status, "Retry-After", "60")(w, req)
			})
			check := func(op string, err error) {
				t.Helper()
				if registry.ClassOf(err) != tt.class || registry.RetryAfter(err) != tt.want {
					t.Errorf("%s: %s after %s (%v), want %s after %s", op, registry.ClassOf(err), registry.RetryAfter(err), err, tt.class, tt.want)
				}
			}
			_, err := newClient(r.Host).Publish(t.Context(), ref, made, old, anonymous)
			check("Publish", err)
			if tt.path != "" {
				_, err = newClient(r.Host).Head(t.Context(), ref, anonymous)
				check("Head", err)
			}
			if tt.path == "/v2/" {
				check("MayPush", newClient(r.Host).MayPush(t.Context(), ref, anonymous))
			}
		})
	}
}

// TestSilence: only a registry that says nothing at all holds up whoever asks it.
func TestSilence(t *testing.T) {
	answers := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			registrytest.Refuse(w, status, "TEST")
			return true
		}
	}
	hangsUp := func(w http.ResponseWriter, _ *http.Request) bool {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
		return true
	}
	hangs := func(_ http.ResponseWriter, req *http.Request) bool {
		<-req.Context().Done()
		return true
	}
	tests := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		want      bool
	}{
		"it hangs":                   {hangs, true},
		"it hangs up":                {hangsUp, true},
		"it answers that it is down": {answers(http.StatusServiceUnavailable), false},
		"it wants to be left alone":  {answers(http.StatusTooManyRequests), false},
		"it refuses":                 {answers(http.StatusForbidden), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			r.Intercept(tt.intercept)
			err := newClient(r.Host).MayPush(t.Context(), r.Reference(t, "team/app:stable"), anonymous)
			got := registry.Silence(err)
			if (got != "") != tt.want || tt.want && !strings.HasPrefix(got, r.Host+": ") || strings.Contains(got, "team/app") {
				t.Errorf("Silence(%v) = %q, want one: %v, without what was asked", err, got, tt.want)
			}
			if registry.HostOf(err) != r.Host {
				t.Errorf("HostOf(%v) = %q", err, registry.HostOf(err))
			}
		})
	}
	if registry.Silence(errors.New("no"))+registry.Silence(nil)+registry.HostOf(nil) != "" {
		t.Error("an error of somebody else is no silence of a registry")
	}
}
