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

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/semaphore"
	"k8s.io/utils/clock"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	// DefaultTimeout is how long a registry has for one answer.
	DefaultTimeout = 30 * time.Second
	// sessionAge is how long a session is used, and how long it is remembered with
	// which credential a repository is to be asked for.
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
	Clock clock.Clock
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
	base      http.RoundTripper
	userAgent string
	meter     *meter
	setup     atomic.Pointer[setup]
	clock     clock.Clock
	timeout   time.Duration
	// choices are the candidates that were not refused.
	choices *recall[choiceKey, int]
	// pauses are the mirrors, and what was asked at them, that had no answer.
	pauses *recall[string, struct{}]
	// rests are until when registries want to be left alone.
	rests *recall[budget, time.Time]
	// headless are the hosts that are asked by GET.
	headless *recall[string, struct{}]
	// room for large answers.
	room *semaphore.Weighted

	mu       sync.Mutex
	sessions *recall[sessionKey, *session]
}

type sessionKey struct{ repository, credential string }

// session is a conversation about one repository under one credential: a ping and a
// token at its beginning, and from then on one request for each question.
type session struct {
	key    sessionKey
	puller *remote.Puller
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
		meter:     &meter{clock: o.Clock, limits: o.Limits, copies: o.Limits.half(), metrics: o.Metrics},
		clock:     o.Clock,
		timeout:   o.Timeout,
		choices:   newRecall[choiceKey, int](o.Clock),
		pauses:    newRecall[string, struct{}](o.Clock),
		rests:     newRecall[budget, time.Time](o.Clock),
		sessions:  newRecall[sessionKey, *session](o.Clock),
		headless:  newRecall[string, struct{}](o.Clock),
		room:      semaphore.NewWeighted(maxLargeBodies),
	}
	c.setup.Store(newSetup(c.base, o.Rules, nil))
	return c
}

// transport is for the requests of one session with a host.
func (c *Client) transport(host string) http.RoundTripper {
	return transport.NewUserAgent(&guard{home: host, setup: &c.setup, meter: c.meter, clock: c.clock, room: c.room}, c.userAgent)
}

// question is one operation on one repository.
type question struct {
	ref reference.Reference
	// origin is what a mirror is asked for; zero where it is no mirror that is asked.
	origin reference.Reference
	auth   Keychain
	// with is the candidate of auth that asks, once it is its turn.
	with candidate
	// op is what errors say was asked.
	op string
	// push is set where the right to write is needed.
	push bool
}

// operation is what is done within a session. The question is the one that the
// session is for: the repository may be a mirror's.
type operation func(context.Context, question, *session, name.Repository) error

// named is the reference that a user names: that of a mirror is the administrator's.
func (q question) named() reference.Reference {
	if q.origin.IsZero() {
		return q.ref
	}
	return q.origin
}

func (q question) host() string { return q.ref.Host() }

// invalid is the error for an answer that came, and cannot be used.
func (q question) invalid(cause string) *Error {
	return &Error{Class: Invalid, Host: q.host(), Op: q.op, Status: http.StatusOK, cause: cause}
}

// askHost runs an operation at the question's own host, with each of its candidates in turn.
func (c *Client) askHost(ctx context.Context, q question, f operation) error {
	return c.inTurn(ctx, q, func(with candidate) error { return c.askAs(ctx, q, with, f) })
}

// askAs runs an operation in the session for its repository and credential. Where a
// session that worked is refused all of a sudden, the token or the registry's
// rules may have changed: it is tried once more in a new one.
func (c *Client) askAs(ctx context.Context, q question, with candidate, f operation) error {
	q.with = with
	for {
		s, repository, err := c.session(q, with)
		if err != nil {
			return err
		}
		visitOf(ctx).asks(q.budget())
		err = c.bounded(ctx, q, func(ctx context.Context) error {
			defer func() { c.endsWith(s, witnessOf(ctx).tokenLife()) }()
			return f(ctx, q, s, repository)
		})
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

// bounded runs one request under the timeout, once it is its turn, and makes an *Error of
// its error.
func (c *Client) bounded(ctx context.Context, q question, f func(context.Context) error) error {
	if err := c.turn(ctx, q); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, w := withWitness(charging(ctx, q.account()))
	if err := f(ctx); err != nil {
		failed := classify(ctx, q.host(), q.op, err, w.sighting())
		c.rest(q, failed)
		return failed
	}
	return nil
}

// session finds or begins the session for a question.
func (c *Client) session(q question, with candidate) (*session, name.Repository, error) {
	repository, err := c.repository(q)
	if err != nil {
		return nil, repository, err
	}
	s, err := c.sessionFor(sessionKey{repository: q.ref.Repository, credential: with.hash()}, with)
	if err != nil {
		return nil, repository, &Error{Class: Invalid, Host: q.host(), Op: q.op, cause: "the session cannot be set up"}
	}
	return s, repository, nil
}

func (c *Client) sessionFor(key sessionKey, with candidate) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.sessions.get(key); ok {
		return s, nil
	}
	puller, err := remote.NewPuller(
		remote.WithAuth(with.authenticator()),
		remote.WithTransport(c.transport(reference.Reference{Repository: key.repository}.Host())),
		// No retries: a blind one costs the caller's time and the registry's
		// patience, and the library does not look at Retry-After.
		remote.WithRetryStatusCodes(),
		remote.WithRetryPredicate(func(error) bool { return false }),
	)
	if err != nil {
		return nil, err
	}
	s := &session{key: key, puller: puller}
	c.sessions.put(key, s, sessionAge)
	return s, nil
}

// endsWith has a session end before its token does; a life of 0 changes nothing.
func (c *Client) endsWith(s *session, life time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current, _ := c.sessions.get(s.key); current == s && life > 0 {
		c.sessions.put(s.key, s, life)
	}
}

func (c *Client) end(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current, _ := c.sessions.get(s.key); current == s {
		c.sessions.drop(s.key)
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
