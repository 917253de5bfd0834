// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// maxBody is the most that is read of any answer, in bytes. The
// distribution-spec asks registries to take manifests of 4 MiB at least; nobody
// takes more than twice that.
const maxBody = 8 << 20

// pingPath is where a session begins.
const pingPath = "/v2/"

var (
	errLinkLocal = errors.New("link-local and metadata addresses are never asked")
	errTooLarge  = errors.New("the answer has more than 8 MiB")
	errScheme    = errors.New("plain HTTP is not allowed for this host")
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
	// refused is set where the guard stopped a request or an answer.
	refused error
}

// witness collects the sighting of one operation; the library may have two
// requests at once under way.
type witness struct {
	mu   sync.Mutex
	seen sighting
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

// guard is the last stop before the network. It lets plain HTTP go only to hosts
// that the operator's configuration names, nothing to link-local addresses, and
// bounds what comes back.
type guard struct {
	next  http.RoundTripper
	plain map[string]bool
	clock clock.PassiveClock
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	w := witnessOf(req.Context())
	if err := g.check(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		// A ping is tried with both schemes; the one that is let through counts.
		if errors.Is(err, errLinkLocal) || req.URL.Path != pingPath {
			w.saw(sighting{refused: err})
		}
		return nil, err
	}
	req, err := rewound(req)
	if err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		seen := sighting{failed: true}
		if errors.Is(err, errLinkLocal) {
			seen.refused = errLinkLocal
		}
		w.saw(seen)
		return nil, err
	}
	w.saw(sighting{
		status:      resp.StatusCode,
		contentType: resp.Header.Get("Content-Type"),
		retryAfter:  patience(resp, g.clock.Now()),
	})
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxBody, witness: w}
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

// check decides over the scheme by our own rule. The library tries plain HTTP by
// itself for private addresses and localhost, and tries HTTPS first for hosts
// that are named as plain; here the one is refused, and the other is spared.
func (g *guard) check(req *http.Request) error {
	if address, err := netip.ParseAddr(req.URL.Hostname()); err == nil && forbidden(address) {
		return errLinkLocal
	}
	plain := isPlain(g.plain, req.URL.Host)
	if req.URL.Scheme == "http" && !plain {
		return errScheme
	}
	if req.URL.Scheme == "https" && plain && req.URL.Path == pingPath {
		return errScheme
	}
	return nil
}

// isPlain is true for a host that is named with its port, or without any.
func isPlain(plain map[string]bool, host string) bool {
	if plain[host] {
		return true
	}
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return plain[host[:colon]]
	}
	return false
}

// boundedBody ends with an error where more follows than is allowed.
type boundedBody struct {
	io.ReadCloser

	left    int64
	witness *witness
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		b.witness.saw(sighting{refused: errTooLarge})
		return 0, errTooLarge
	}
	return n, err
}
