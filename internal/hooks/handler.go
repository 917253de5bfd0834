// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Prefix is where the hooks are: /hooks/NAME, or /hooks/NAME/SECRET.
const Prefix = "/hooks/"

// Waker checks tags before their time; the poller is one.
type Waker interface {
	// Hint has those of the references that are followed checked soon, and tells
	// how many feeds that woke. It returns at once, and bounds itself how often one
	// reference is checked.
	Hint(refs ...reference.Reference) int
}

// Counter counts what hooks receive.
type Counter interface {
	// Hint counts one request to a hook of a source, by one of the results.
	Hint(source, result string)
}

// The results of requests, as they are counted.
const (
	// ResultWoken: a tag that is followed is checked.
	ResultWoken = "woken"
	// ResultUnknown: the payload named no tag that is followed, or none at all.
	ResultUnknown = "unknown"
	// ResultRefused: the origin was not proven.
	ResultRefused = "refused"
	// ResultMalformed: the body was too large, too slow, or nothing that the source
	// sends.
	ResultMalformed = "malformed"
	// ResultThrottled: there were too many requests, or too many without a proof.
	ResultThrottled = "throttled"
)

// Options make a Handler.
type Options struct {
	// Waker is required.
	Waker Waker
	// Counter; by default nothing is counted.
	Counter Counter
	// Clock of the limits; the default is the real one.
	Clock clock.PassiveClock
	// Log of refused requests; by default nothing is logged.
	Log logr.Logger
}

// Handler receives the notifications of the configured hooks.
type Handler struct {
	waker   Waker
	counter Counter
	clock   clock.PassiveClock
	log     logr.Logger

	hooks atomic.Pointer[map[string]*hook]
	// some is closed when there are hooks for the first time.
	some     chan struct{}
	someOnce sync.Once
	// decoding lets one payload be decoded at a time, which takes milliseconds: in
	// memory it is many times as large as on the wire.
	decoding sync.Mutex
}

// NewHandler makes a handler without hooks: it knows no name.
func NewHandler(o Options) *Handler {
	if o.Counter == nil {
		o.Counter = uncounted{}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	h := &Handler{waker: o.Waker, counter: o.Counter, clock: o.Clock, log: o.Log, some: make(chan struct{})}
	h.hooks.Store(&map[string]*hook{})
	return h
}

type uncounted struct{}

func (uncounted) Hint(string, string) {}

// Configure puts a list of hooks in place of the one before. It fails, and
// changes nothing, where one is not valid. A secret that cannot be used is logged, and
// its hook refuses what comes until it can: each request reads it anew, a Secret may
// come later than the ConfigMap that names it, and nothing but hints hangs on it.
// Requests that are under way end as they began.
func (h *Handler) Configure(configs []Config) error {
	if err := Validate(configs, field.NewPath("hooks")).ToAggregate(); err != nil {
		return err
	}
	hooks := make(map[string]*hook, len(configs))
	for _, c := range configs {
		made := newHook(c)
		if _, err := made.proof.secret().read(); err != nil {
			h.log.Error(err, "A hook refuses all notifications until its secret can be used", "hook", c.Name)
		}
		hooks[c.Name] = made
	}
	h.hooks.Store(&hooks)
	if len(hooks) > 0 {
		h.someOnce.Do(func() { close(h.some) })
	}
	return nil
}

// ServeHTTP answers 202 to every notification that proves its origin, 401 to one
// that does not, and 404 to a name that there is not and to a secret in the path
// that is wrong. See docs/webhooks.md for the rest.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	rest, below := strings.CutPrefix(r.URL.Path, Prefix)
	name, token, _ := strings.Cut(rest, "/")
	target, known := (*h.hooks.Load())[name]
	if !below || !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	result, answer := h.receive(w, r, target, token)
	h.counter.Hint(string(target.source), result)
	answer.write(w)
}

// receive takes a notification, and tells how it is counted and answered.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, target *hook, token string) (string, answer) {
	now := h.clock.Now()
	if target.signed && target.failures.TokensAt(now) < 1 {
		return ResultThrottled, tooMany
	}
	body := &payload{hook: target, w: w, r: r}
	defer body.release()
	if err := target.proof.verify(r, token, body.read); err != nil {
		return h.refuse(target, err)
	}
	if !target.hints.AllowN(now, 1) {
		return ResultThrottled, tooMany
	}
	content, err := body.read()
	if err != nil {
		return ResultMalformed, unread(err)
	}
	refs, err := h.decode(target, content)
	if err != nil {
		return ResultMalformed, answer{status: http.StatusBadRequest, text: err.Error()}
	}
	if len(refs) == 0 || h.waker.Hint(refs...) == 0 {
		return ResultUnknown, accepted
	}
	return ResultWoken, accepted
}

func (h *Handler) decode(target *hook, body []byte) ([]reference.Reference, error) {
	h.decoding.Lock()
	defer h.decoding.Unlock()
	return parse(target.parse, target.host, body)
}

// refuse answers a request that proves nothing.
func (h *Handler) refuse(target *hook, err error) (string, answer) {
	if _, bad := errors.AsType[*bodyError](err); bad {
		return ResultMalformed, unread(err)
	}
	if !target.failures.AllowN(h.clock.Now(), 1) {
		return ResultThrottled, tooMany
	}
	// At most as often as the line above allows.
	h.log.Info("A notification was refused", "hook", target.name, "source", target.source, "reason", err.Error())
	return ResultRefused, answer{status: target.denied, challenge: target.challenge}
}
