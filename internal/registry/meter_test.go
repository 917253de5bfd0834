// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// TestTokensAreChargedToTheRegistry: a question pays for its ping, its token, which
// comes from another server, and its answer.
func TestTokensAreChargedToTheRegistry(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Ratelimit-Remaining", "1") // of the token server, and nobody's business
		_, _ = w.Write([]byte(`{"token":"t","expires_in":3600}`))
	}))
	defer tokens.Close()
	w := newPoliteWorld(t, 10, r.Host, "localhost")
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Ratelimit-Remaining", "76;w=21600")
		if req.Header.Get("Authorization") == "Bearer t" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1)+`/token",service="r"`)
		registrytest.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return true
	})
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	w.poller.Follow(owner(1), []registry.Target{target(ref)})
	w.settle()
	if got := w.poller.Latest(owner(1), ref); got == nil || got.Failure != nil {
		t.Fatalf("Latest = %+v", got)
	}
	if got := w.limits.Tokens(r.Host); got != 1-3 {
		t.Errorf("%v tokens after ping, token and HEAD, want -2", got)
	}
	w.elapse(time.Minute, time.Second)
	if got := w.limits.Tokens(r.Host); got != 0 {
		t.Errorf("%v tokens after another check, want 0", got)
	}
	label := `{host="` + r.Host + `"`
	want := `# HELP imagelineage_registry_quota_remaining Requests left in the registry's window, as its last answer that told said.
# TYPE imagelineage_registry_quota_remaining gauge
imagelineage_registry_quota_remaining` + label + `} 76
# HELP imagelineage_registry_requests_total Requests to registries and their token servers, by the registry that was asked about.
# TYPE imagelineage_registry_requests_total counter
imagelineage_registry_requests_total` + label + `,kind="head",result="ok"} 2
imagelineage_registry_requests_total` + label + `,kind="ping",result="unauthorized"} 1
imagelineage_registry_requests_total` + label + `,kind="token",result="ok"} 1
# HELP imagelineage_poll_references References that are polled, each once for every credential.
# TYPE imagelineage_poll_references gauge
imagelineage_poll_references 1
`
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(want), "imagelineage_registry_quota_remaining",
		"imagelineage_registry_requests_total", "imagelineage_poll_references", "imagelineage_registry_throttled_total"); err != nil {
		t.Error(err)
	}
	w.poller.Forget(owner(1))
	w.eventually("the host's series to go", func() bool {
		n, err := testutil.GatherAndCount(w.metrics, "imagelineage_registry_requests_total", "imagelineage_poll_lag_seconds", "imagelineage_registry_breaker_state")
		return err == nil && n == 0
	})
}

// TestLagIsMeasured: from when a check was due, also where the registry asked to be left
// alone.
func TestLagIsMeasured(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	w := newPoliteWorld(t, 10, r.Host)
	refs := w.follow(r, 0, 1)
	w.elapse(10*time.Second, time.Second)
	r.Intercept(throttles("600"))
	w.elapse(30*time.Second, time.Second)
	r.Recover()
	w.poller.Check(refs[0])
	w.elapse(11*time.Minute, time.Second)
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "imagelineage_poll_lag_seconds" {
			continue
		}
		lag := family.GetMetric()[0].GetHistogram()
		if sum := lag.GetSampleSum(); sum < 580 || sum > 600 || lag.GetSampleCount() < 3 {
			t.Errorf("%v s in %d checks; want the pause that one had to wait for", sum, lag.GetSampleCount())
		}
	}
}

// TestGHCRsHint: it stands in the body, and the reader of the body gets it all the same.
func TestGHCRsHint(t *testing.T) {
	t.Parallel()
	r := registrytest.New(t)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/v2/" {
			return false
		}
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 1.17ms, allowed: 44000/minute"}]}`))
		return true
	})
	_, err := newClient(r.Host).Describe(t.Context(), r.Reference(t, "team/app:stable"), "sha256:"+strings.Repeat("a", 64), registry.Detail{}, anonymous)
	if registry.ClassOf(err) != registry.RateLimited || registry.RetryAfter(err) != 1170*time.Microsecond {
		t.Errorf("error %v, retry after %s", err, registry.RetryAfter(err))
	}
	if strings.Contains(err.Error(), "44000") {
		t.Errorf("the error quotes the registry: %v", err)
	}
}
