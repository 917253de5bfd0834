// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestKindsOfRequests(t *testing.T) {
	tests := map[string]struct{ method, url, want string }{
		"the ping":                     {http.MethodGet, "https://quay.io/v2/", kindPing},
		"a tag":                        {http.MethodHead, "https://quay.io/v2/team/app/manifests/1", kindHead},
		"a manifest":                   {http.MethodGet, "https://quay.io/v2/team/app/manifests/1", kindGet},
		"the tags":                     {http.MethodGet, "https://quay.io/v2/team/app/tags/list?n=100", kindList},
		"an image called tags/list":    {http.MethodGet, "https://quay.io/v2/tags/list/manifests/1", kindGet},
		"a manifest that is written":   {http.MethodPut, "https://quay.io/v2/team/app/manifests/1", kindPut},
		"an upload":                    {http.MethodPost, "https://quay.io/v2/team/app/blobs/uploads/", kindPost},
		"an upload that is given up":   {http.MethodDelete, "https://quay.io/v2/team/app/blobs/uploads/7", kindOther},
		"an upload to somewhere else":  {http.MethodPut, "https://europe-docker.pkg.dev/artifacts-uploads/namespaces/x/uploads/7?digest=x", kindPut},
		"a token of a token server":    {http.MethodGet, "https://auth.docker.io/token?service=registry.docker.io", kindToken},
		"a token in OAuth's way":       {http.MethodPost, "https://corp.azurecr.io/oauth2/token", kindToken},
		"Quay's tokens are below /v2/": {http.MethodGet, "https://quay.io/v2/auth?service=quay.io&scope=x", kindToken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := kindOf(httptest.NewRequestWithContext(t.Context(), tt.method, tt.url, nil)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("where a blob is redirected to", func(t *testing.T) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://cdn.example/blob?signature=x", nil)
		req.Response = &http.Response{}
		if got := kindOf(req); got != kindGet {
			t.Errorf("got %s, want %s", got, kindGet)
		}
	})
}

func TestResultsOfRequests(t *testing.T) {
	for status, want := range map[int]string{
		0: resultUnavailable, 200: resultOK, 202: resultOK, 307: resultOK, 400: resultInvalid, 401: resultUnauthorized, 403: resultForbidden,
		404: resultAbsent, 405: resultInvalid, 408: resultUnavailable, 429: resultThrottled, 500: resultUnavailable, 503: resultUnavailable,
	} {
		if got := resultOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

// TestMetricsAreWellNamed: promtool would find nothing to say.
func TestMetricsAreWellNamed(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	m.followed("quay.io")
	m.request("quay.io", kindHead, 429)
	m.quota("quay.io", quota{remaining: 7, known: true})
	m.breakerIs("quay.io", breakerOpen)
	m.lagged("quay.io", time.Second)
	m.polled(3)
	m.Hint("harbor", "woken")
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 7 {
		t.Errorf("%d series, want 7: one of each; error %v", n, err)
	}
	m.unfollowed("quay.io")
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 2 {
		t.Errorf("%d series after the host was left, want 2; error %v", n, err)
	}
}

func TestHostsOfMetricsAreBounded(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	for i := range 10 * maxHosts {
		host := fmt.Sprintf("host-%d.example", i)
		m.followed(host)
		m.request(host, kindHead, 200)
		m.quota(host, quota{remaining: 1, known: true})
		m.breakerIs(host, breakerOpen)
		m.lagged(host, time.Second)
	}
	for name, collector := range map[string]prometheus.Collector{"requests": m.requests, "remaining": m.remaining, "breaker": m.breaker, "lag": m.lag} {
		if n := testutil.CollectAndCount(collector); n > maxHosts+1 {
			t.Errorf("%d series of %s", n, name)
		}
	}
	if got := testutil.ToFloat64(m.requests.WithLabelValues(otherHosts, kindHead, resultOK)); got != 9*maxHosts {
		t.Errorf("%v requests to others, want %d", got, 9*maxHosts)
	}
}

func TestNoMetrics(*testing.T) {
	var m *Metrics
	m.followed("quay.io")
	m.request("quay.io", kindHead, 200)
	m.quota("quay.io", quota{known: true})
	m.breakerIs("quay.io", breakerOpen)
	m.lagged("quay.io", time.Second)
	m.polled(1)
	m.Hint("harbor", "woken")
	m.unfollowed("quay.io")
}
