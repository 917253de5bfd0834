// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/utils/clock"
)

// maxBody is the most that is read of any answer, in bytes. The
// distribution-spec asks registries to take manifests of 4 MiB at least; nobody
// takes more than twice that.
const maxBody = 8 << 20

// What is read whole is held in memory. That is small, save for lists and manifests of
// some tens of thousands of entries: no more than four of these are read at once.
const (
	largeBody      = 1 << 20
	maxLargeBodies = 4
)

// pingPath is where a session begins.
const pingPath = "/v2/"

var (
	errTooLarge = errors.New("the answer has more than 8 MiB")
	errCrowded  = errors.New("its answer has more than 1 MiB, and too many of that size are read at once")
	errHeaders  = errors.New("the answer's headers have more than 256 KiB")
)

// sighting is what was seen on the wire during one operation. The client library
// keeps headers to itself, and tells by text what went wrong.
type sighting struct {
	// status of the last answer, 0 without one.
	status int
	// contentType of the last answer.
	contentType string
	// retryAfter of the last answer, 0 without one.
	retryAfter time.Duration
	// failed is true where the last request got no answer.
	failed bool
	// abroad is true where that request went to another host than the registry, as
	// the registry wanted.
	abroad bool
	// refused is set where the guard stopped a request or an answer.
	refused error
}

// witness collects the sighting of one operation; the library may have two
// requests at once under way.
type witness struct {
	mu   sync.Mutex
	seen sighting
	// life of the token that was got on the way; 0 without one, or where that is not
	// told.
	life time.Duration
}

type witnessKey struct{}

func withWitness(ctx context.Context) (context.Context, *witness) {
	w := &witness{}
	return context.WithValue(ctx, witnessKey{}, w), w
}

func (w *witness) sighting() sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func witnessOf(ctx context.Context) *witness {
	if w, ok := ctx.Value(witnessKey{}).(*witness); ok {
		return w
	}
	return &witness{}
}

func (w *witness) saw(next sighting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if next.refused == nil {
		next.refused = w.seen.refused
	}
	w.seen = next
}

// got notes how long a token may be used.
func (w *witness) got(life time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life = life
}

func (w *witness) tokenLife() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.life
}

// refuses notes a refusal beside the last answer.
func (w *witness) refuses(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.refused = err
}

// guard is the last stop before the network, for the requests of one session. It
// goes by the operator's configuration: over plain HTTP only to hosts that it
// names, to private addresses only where it lets the session's registry send
// clients there, to link-local ones never. It bounds what comes back.
type guard struct {
	// home is the session's registry, as in canonical references.
	home  string
	setup *atomic.Pointer[setup]
	meter *meter
	clock clock.PassiveClock
	// room for large answers; nil for any number.
	room *semaphore.Weighted
	// dialled is set once home was found at a private address.
	dialled atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	w := witnessOf(req.Context())
	req = unaliased(req)
	leg := g.leg(req)
	if err := leg.check(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		// A ping is tried with both schemes; the one that is let through counts.
		if !errors.Is(err, errScheme) || req.URL.Path != pingPath {
			w.saw(sighting{refused: err})
		}
		return nil, err
	}
	req, err := rewound(req)
	if err != nil {
		return nil, err
	}
	resp, err := g.meter.send(leg.next, g.watched(req, leg))
	if err != nil {
		w.saw(sighting{failed: true, abroad: !leg.home, refused: refusalOf(err)})
		return nil, err
	}
	resp.Request = req
	w.saw(sighting{
		status:      resp.StatusCode,
		contentType: resp.Header.Get("Content-Type"),
		retryAfter:  patience(resp, g.clock.Now()),
	})
	if err := g.receive(resp, leg, w); err != nil {
		_ = resp.Body.Close()
		w.saw(sighting{refused: err})
		return nil, err
	}
	resp.Body = g.bounded(req, resp.Body, w)
	if kindOf(req) == kindToken {
		w.got(tokenLife(resp))
	}
	return resp, nil
}

// rewound gives a request its body from the beginning. Where a registry wants
// another token for a PUT, the library sends the same request again, with the
// body that it has already read to the end.
func rewound(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	_ = req.Body.Close()
	again := req.WithContext(req.Context())
	again.Body = body
	return again, nil
}
