// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/time/rate"
)

const (
	// MaxBody is the largest body that is read, in bytes. Registries send some KiB.
	MaxBody = 1 << 20
	// hintsPerSecond and hintBurst are how many proven notifications one hook takes: a
	// nightly build that moves a thousand tags at once is heard of in time, and each
	// costs a few ten microseconds.
	hintsPerSecond = 100
	hintBurst      = 1000
	// failuresPerSecond and failureBurst are how many requests without a proof are
	// answered and logged as such, for one hook.
	failuresPerSecond = 1
	failureBurst      = 20
	// bodiesAtOnce is how many bodies of one hook are held at once; others wait. It
	// bounds the memory that those take who have proven nothing yet.
	bodiesAtOnce = 4
)

// hook is one entry of the configuration, ready to receive.
type hook struct {
	name   string
	source Source
	host   string
	parse  parser
	proof  proof
	// signed is whether the proof needs the body.
	signed bool
	// denied is the status for requests without a proof, and challenge the value of
	// its header WWW-Authenticate, where the scheme has a name.
	denied    int
	challenge string

	// hints is taken from by proven requests only, so that nobody else can use it
	// up; failures by all others.
	hints, failures *rate.Limiter
	bodies          chan struct{}
}

// newHook makes a hook of a valid configuration.
func newHook(c Config) *hook {
	made := &hook{
		name: c.Name, source: c.Source, host: c.Host, parse: parsers[c.Source], proof: newProof(c),
		denied:   http.StatusUnauthorized,
		hints:    rate.NewLimiter(hintsPerSecond, hintBurst),
		failures: rate.NewLimiter(failuresPerSecond, failureBurst),
		bodies:   make(chan struct{}, bodiesAtOnce),
	}
	if c.Generic != nil {
		made.parse = newGeneric(*c.Generic)
	}
	switch {
	case c.Proof.HMAC != nil:
		made.signed = true
	case c.Proof.Basic != nil:
		made.challenge = `Basic realm="hooks"`
	case c.Proof.Bearer != nil && strings.EqualFold(c.bearerHeader(), "Authorization"):
		made.challenge = "Bearer"
	case c.Proof.Path != nil:
		// A wrong secret is a path that there is not.
		made.denied = http.StatusNotFound
	}
	return made
}

// payload is the body of one request, which is read once and when it is needed.
type payload struct {
	hook *hook
	w    http.ResponseWriter
	r    *http.Request

	held    bool
	content []byte
	err     error
}

// bodyError is the error of a body that cannot be read.
type bodyError struct{ cause error }

func (e *bodyError) Error() string { return "the body cannot be read" }

func (e *bodyError) Unwrap() error { return e.cause }

// read waits for its turn, and reads. The server's time limit ends both.
func (p *payload) read() ([]byte, error) {
	if p.held {
		return p.content, p.err
	}
	if p.r.ContentLength > MaxBody {
		return nil, &bodyError{cause: &http.MaxBytesError{Limit: MaxBody}}
	}
	select {
	case p.hook.bodies <- struct{}{}:
		p.held = true
	case <-p.r.Context().Done():
		return nil, &bodyError{cause: p.r.Context().Err()}
	}
	content, err := io.ReadAll(http.MaxBytesReader(p.w, p.r.Body, MaxBody))
	if err != nil {
		p.err = &bodyError{cause: err}
		return nil, p.err
	}
	p.content = content
	return content, nil
}

// release gives the place to the next one.
func (p *payload) release() {
	if p.held {
		<-p.hook.bodies
	}
}

// answer is a status with our own words, if any.
type answer struct {
	status    int
	text      string
	challenge string
}

var (
	accepted = answer{status: http.StatusAccepted}
	tooMany  = answer{status: http.StatusTooManyRequests}
)

// unread is the answer to a body that cannot be read.
func unread(err error) answer {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return answer{status: http.StatusRequestEntityTooLarge, text: "the body has more than 1 MiB"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer{status: http.StatusRequestTimeout, text: "the body came too slowly"}
	default:
		return answer{status: http.StatusBadRequest, text: "the body cannot be read"}
	}
}

// write answers. Whoever is throttled may come back in a second: by then a hook
// has room for twenty.
func (a answer) write(w http.ResponseWriter) {
	if a.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	if a.challenge != "" {
		w.Header().Set("WWW-Authenticate", a.challenge)
	}
	if a.text != "" {
		http.Error(w, a.text, a.status)
		return
	}
	w.WriteHeader(a.status)
}
