// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"k8s.io/utils/clock"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	// DefaultTimeout is how long a registry has for one answer.
	DefaultTimeout = 30 * time.Second
	// sessionAge is how long a session is used. Sessions remember each repository
	// they were asked for, and how the registry wanted to be spoken to.
	sessionAge = 12 * time.Hour
	// headlessAge is how long a host is asked by GET that does not answer HEAD
	// with a digest. Where a GET counts as a pull, a lasting mistake is dear.
	headlessAge = 24 * time.Hour
)

// Options say how registries are spoken to.
type Options struct {
	// Rules of the operator's configuration. They have to be valid: see
	// Rules.Validate. Configure changes them.
	Rules Rules
	// UserAgent that registries see in front of the library's own.
	UserAgent string
	// Transport to registries; the default is one like net/http's. Of an
	// *http.Transport copies are used that connect to no address that they must not
	// and trust the authorities of the rules; any other has to see to that itself.
	Transport http.RoundTripper
	// Clock; the default is the real one.
	Clock clock.PassiveClock
	// Timeout for each question, DefaultTimeout by default.
	Timeout time.Duration
}

// Client asks registries, one question at a time. It never retries. It is safe
// for concurrent use, and meant to be the only one of the process, because it
// keeps connections and tokens.
type Client struct {
	base      http.RoundTripper
	userAgent string
	setup     atomic.Pointer[setup]
	clock     clock.PassiveClock
	timeout   time.Duration

	mu       sync.Mutex
	sessions map[sessionKey]*session
	headless map[string]time.Time
}

type sessionKey struct{ host, credential string }

// session is a conversation with one registry under one credential: a ping and a
// token at its beginning, and from then on one request for each question.
type session struct {
	key    sessionKey
	puller *remote.Puller
	begun  time.Time
	// proven is set once the registry has answered in this session.
	proven atomic.Bool
}

// NewClient makes a client.
func NewClient(o Options) *Client {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Transport == nil {
		o.Transport = defaultTransport()
	}
	c := &Client{
		base:      o.Transport,
		userAgent: o.UserAgent,
		clock:     o.Clock,
		timeout:   o.Timeout,
		sessions:  map[sessionKey]*session{},
		headless:  map[string]time.Time{},
	}
	c.setup.Store(newSetup(c.base, o.Rules, nil))
	return c
}

// transport is for the requests of one session with a host.
func (c *Client) transport(host string) http.RoundTripper {
	return transport.NewUserAgent(&guard{home: host, setup: &c.setup, clock: c.clock}, c.userAgent)
}

// question is one operation on one repository.
type question struct {
	ref  reference.Reference
	auth Keychain
	// op is what errors say was asked.
	op string
}

func (q question) host() string { return q.ref.Host() }

// invalid is the error for an answer that came, and cannot be used.
func (q question) invalid(cause string) *Error {
	return &Error{Class: Invalid, Host: q.host(), Op: q.op, Status: http.StatusOK, cause: cause}
}

// ask runs an operation in the session for its host and credential. Where a
// session that worked is refused all of a sudden, the token or the registry's
// rules may have changed: it is tried once more in a new one.
func (c *Client) ask(ctx context.Context, q question, f func(context.Context, *session, name.Repository) error) error {
	if err := c.allowed(q); err != nil {
		return err
	}
	for {
		s, repository, err := c.session(ctx, q)
		if err != nil {
			return err
		}
		err = c.bounded(ctx, q, func(ctx context.Context) error { return f(ctx, s, repository) })
		class := ClassOf(err)
		if class != Unauthorized && class != Forbidden {
			s.proven.Store(s.proven.Load() || err == nil || class == Absent)
			return err
		}
		c.end(s)
		if !s.proven.Load() {
			return err
		}
	}
}

// bounded runs one request under the timeout, and makes an *Error of its error.
func (c *Client) bounded(ctx context.Context, q question, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, w := withWitness(ctx)
	if err := f(ctx); err != nil {
		return classify(ctx, q.host(), q.op, err, w.sighting())
	}
	return nil
}

// session finds or begins the session for a question.
func (c *Client) session(ctx context.Context, q question) (*session, name.Repository, error) {
	repository, err := c.repository(q)
	if err != nil {
		return nil, repository, err
	}
	auth, credential, err := q.auth.authenticator(ctx, q.ref)
	if err != nil {
		return nil, repository, err
	}
	s, err := c.sessionFor(sessionKey{host: q.host(), credential: credential}, auth)
	if err != nil {
		return nil, repository, &Error{Class: Invalid, Host: q.host(), Op: q.op, cause: "the session cannot be set up"}
	}
	return s, repository, nil
}

func (c *Client) sessionFor(key sessionKey, auth authn.Authenticator) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if s, ok := c.sessions[key]; ok && now.Sub(s.begun) < sessionAge {
		return s, nil
	}
	for old, s := range c.sessions {
		if now.Sub(s.begun) >= sessionAge {
			delete(c.sessions, old)
		}
	}
	puller, err := remote.NewPuller(
		remote.WithAuth(auth),
		remote.WithTransport(c.transport(key.host)),
		// No retries: a blind one costs the caller's time and the registry's
		// patience, and the library does not look at Retry-After.
		remote.WithRetryStatusCodes(),
		remote.WithRetryPredicate(func(error) bool { return false }),
	)
	if err != nil {
		return nil, err
	}
	s := &session{key: key, puller: puller, begun: now}
	c.sessions[key] = s
	return s, nil
}

func (c *Client) end(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions[s.key] == s {
		delete(c.sessions, s.key)
	}
}

// repository is the library's form of a question's repository.
func (c *Client) repository(q question) (name.Repository, error) {
	var options []name.Option
	if c.Rules().For(q.host()).PlainHTTP {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(q.ref.Repository, options...)
	if err != nil || q.ref.IsZero() {
		return name.Repository{}, &Error{Class: Invalid, Host: q.host(), Op: q.op, cause: "the repository's name cannot be used"}
	}
	return repository, nil
}

// path is the repository without its host, for errors, which name the host.
func path(ref reference.Reference) string {
	return strings.TrimPrefix(ref.Repository, ref.Host()+"/")
}
