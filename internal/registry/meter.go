// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

type accountKey struct{}

// account is who the requests for a question are charged to.
func (q question) account() account {
	return account{host: q.host(), anonymous: q.with == anonymous}
}

// budget is what the registry limits of who asks.
func (q question) budget() budget {
	return budget{host: q.host(), credential: q.with.hash()}
}

// charging has the requests of a context charged to an account.
func charging(ctx context.Context, a account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// visit is one check of the poller, on its way through the client.
type visit struct {
	// home is the host of what is checked.
	home string
	// paid is the account that the check had a token of: home's, or that of a mirror.
	paid account

	mu sync.Mutex
	// prepaid is set until the request is made that the token was for.
	prepaid bool
	// asked is who was asked last, and as whom.
	asked budget
	// turnedAway is set where no mirror answered a check that was to ask mirrors only.
	turnedAway bool
	// rest is how long the host wants to be left alone although it answered: nothing
	// is left of its quota.
	rest time.Duration
}

type visitKey struct{}

func visiting(ctx context.Context, v *visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

// visitOf is nil where it is not the poller who asks.
func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// asks notes who is asked now, and as whom.
func (v *visit) asks(of budget) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = of
}

// turnsAway is true where a host must not be asked, since the check has waited for a
// mirror's turn and not for the host's.
func (v *visit) turnsAway(host string) bool {
	if v == nil || host != v.home || v.paid.host == v.home {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turnedAway = true
	return true
}

func (v *visit) wasTurnedAway() bool {
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.turnedAway
}

// lastAsked is the budget that the check drew on in the end.
func (v *visit) lastAsked() budget {
	if v == nil {
		return budget{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

// pays is true once, for the first request that is charged to the account with the
// token.
func (v *visit) pays(a account) bool {
	if v == nil || v.paid != a {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	paid := v.prepaid
	v.prepaid = false
	return paid
}

func (v *visit) told(a account, q quota) {
	if v == nil || v.home != a.host || !q.usedUp() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rest = max(v.rest, q.reset)
}

func (v *visit) wantsRest() time.Duration {
	if v == nil {
		return 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rest
}

// meter charges and counts the requests that go out.
type meter struct {
	clock   clock.PassiveClock
	limits  *Limits
	copies  *Limits
	metrics *Metrics
}

// send sends a request on its way.
func (m *meter) send(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	a, _ := ctx.Value(accountKey{}).(account)
	v := visitOf(ctx)
	if !v.pays(a) {
		m.limits.charge(a)
	}
	if isCopying(ctx) {
		m.copies.charge(a)
	}
	resp, err := next.RoundTrip(req)
	kind := kindOf(req)
	if err != nil {
		m.metrics.request(a.host, kind, 0)
		return nil, err
	}
	m.metrics.request(a.host, kind, resp.StatusCode)
	if kind == kindToken {
		return resp, nil // its limits are those of a token server
	}
	left := quotaOf(resp.Header, m.clock.Now())
	v.told(a, left)
	m.metrics.quota(a.host, left)
	return resp, nil
}

// The kinds of requests, as metrics call them.
const (
	kindHead  = "head"
	kindGet   = "get"
	kindList  = "list"
	kindToken = "token"
	kindPing  = "ping"
	kindPut   = "put"
	kindPost  = "post"
	kindOther = "other"
)

// kindOf tells what a request asks for. A GET or POST of what is not below the path of a
// registry's API, or with the parameters of a token request as Quay's has, is for a token;
// uploads may go to any path.
func kindOf(req *http.Request) string {
	path, query := req.URL.Path, req.URL.Query()
	switch {
	case path == pingPath:
		return kindPing
	case req.Response == nil && (req.Method == http.MethodGet || req.Method == http.MethodPost) &&
		(!strings.HasPrefix(path, pingPath) || query.Has("service") || query.Has("scope")):
		return kindToken
	case req.Method == http.MethodGet && strings.HasSuffix(path, "/tags/list"):
		return kindList
	}
	switch req.Method {
	case http.MethodHead:
		return kindHead
	case http.MethodGet:
		return kindGet
	case http.MethodPut:
		return kindPut
	case http.MethodPost:
		return kindPost
	default:
		return kindOther
	}
}
