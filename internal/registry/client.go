// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
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
	// PlainHTTP are the hosts that speak plain HTTP: host:port, or host for all of
	// its ports. Every other host is spoken to by HTTPS only, whatever its address.
	PlainHTTP []string
	// UserAgent that registries see in front of the library's own.
	UserAgent string
	// Transport to registries, for a proxy or certificate authorities; the
	// default is one like net/http's. Of an *http.Transport a copy is used that
	// connects to no link-local address; any other has to see to that itself.
	Transport http.RoundTripper
	// Clock; the default is the real one.
	Clock clock.PassiveClock
	// Timeout for each question, DefaultTimeout by default.
	Timeout time.Duration
	// Limits that requests are charged to; none by default.
	Limits *Limits
	// Metrics count the requests; none by default.
	Metrics *Metrics
}

// Client asks registries, one question at a time. It never retries. It is safe
// for concurrent use, and meant to be the only one of the process, because it
// keeps connections and tokens.
type Client struct {
	transport http.RoundTripper
	plain     map[string]bool
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
	plain := make(map[string]bool, len(o.PlainHTTP))
	for _, host := range o.PlainHTTP {
		plain[strings.ToLower(strings.TrimSpace(host))] = true
	}
	wire := &meter{next: guarded(o.Transport), clock: o.Clock, limits: o.Limits, metrics: o.Metrics}
	return &Client{
		transport: transport.NewUserAgent(&guard{next: wire, plain: plain, clock: o.Clock}, o.UserAgent),
		plain:     plain,
		clock:     o.Clock,
		timeout:   o.Timeout,
		sessions:  map[sessionKey]*session{},
		headless:  map[string]time.Time{},
	}
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
	for {
		s, repository, err := c.session(ctx, q)
		if err != nil {
			return err
		}
		paying := charging(ctx, account{host: q.host(), anonymous: s.key.credential == ""})
		err = c.bounded(paying, q, func(ctx context.Context) error { return f(ctx, s, repository) })
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
	ctx, w := withWitness(charged(ctx, q))
	if err := f(ctx); err != nil {
		return classify(ctx, q.host(), q.op, err, w.sighting())
	}
	return nil
}

// session finds or begins the session for a question.
func (c *Client) session(ctx context.Context, q question) (*session, name.Repository, error) {
	repository, err := c.repository(q.ref)
	if err != nil {
		return nil, repository, &Error{Class: Invalid, Host: q.host(), Op: q.op, cause: "the repository's name cannot be used"}
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
		remote.WithTransport(c.transport),
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

// repository is the library's form of a reference's repository.
func (c *Client) repository(ref reference.Reference) (name.Repository, error) {
	if ref.IsZero() {
		return name.Repository{}, errors.New("no repository")
	}
	var options []name.Option
	if isPlain(c.plain, ref.Host()) {
		options = append(options, name.Insecure)
	}
	return name.NewRepository(ref.Repository, options...)
}

// path is the repository without its host, for errors, which name the host.
func path(ref reference.Reference) string {
	return strings.TrimPrefix(ref.Repository, ref.Host()+"/")
}
