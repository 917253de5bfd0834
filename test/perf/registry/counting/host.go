// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package counting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// mediaType of every image.
const mediaType = "application/vnd.oci.image.manifest.v1+json"

// Host is one registry, made by Start or Serve.
type Host struct {
	// Name is host:port; clients have to speak plain HTTP to it.
	Name string

	clock  clock.PassiveClock
	server *http.Server
	// moves is how often all tags were moved.
	moves atomic.Int64

	mu sync.Mutex
	// noted are the requests so far, in the order in which they came.
	noted Requests
	// retryAfter is what clients are told by 429; 0 is no limit.
	retryAfter time.Duration
	// hanging is closed when requests are answered again; nil where they are.
	hanging chan struct{}
}

// Start starts a host on a port of the loopback address; it lives until Close.
func Start(ctx context.Context) (*Host, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return Serve(listener, listener.Addr().String(), clock.RealClock{}), nil
}

// Serve starts a host behind a listener, by the name that clients know it by. The
// clock tells when requests came and how long a token lives.
func Serve(listener net.Listener, name string, clock clock.PassiveClock) *Host {
	h := &Host{Name: name, clock: clock}
	h.server = &http.Server{
		Handler: h, ReadHeaderTimeout: time.Minute,
		// Clients that give up while it hangs are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		// Close is the only way in which it ends.
		_ = h.server.Serve(listener)
	}()
	return h
}

// Close ends the host and every connection to it.
func (h *Host) Close() error {
	h.Answer()
	if err := h.server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Move has every tag show another image.
func (h *Host) Move() { h.moves.Add(1) }

// Digest is what every tag of a repository shows.
func (h *Host) Digest(repository string) string {
	sum := sha256.Sum256(h.manifest(repository))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// manifest is an image of no layers that no other repository has, nor this one
// after the next move.
func (h *Host) manifest(repository string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json",`+
		`"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[],`+
		`"annotations":{"repository":%q,"move":"%d"}}`, mediaType, repository, h.moves.Load())
}

// Limit has every request answered by 429 and a Retry-After, in whole seconds.
func (h *Host) Limit(retryAfter time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retryAfter = retryAfter
}

// Hang leaves every request that comes from now on without an answer.
func (h *Host) Hang() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hanging == nil {
		h.hanging = make(chan struct{})
	}
}

// Answer ends Limit and Hang; requests that hang are answered.
func (h *Host) Answer() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retryAfter = 0
	if h.hanging != nil {
		close(h.hanging)
		h.hanging = nil
	}
}

// Requests are those that came so far.
func (h *Host) Requests() Requests {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(Requests(nil), h.noted...)
}

// ServeHTTP notes a request and answers it.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := parse(r)
	h.mu.Lock()
	place := len(h.noted)
	h.noted = append(h.noted, Request{Kind: asked.kind, Repository: asked.repository, At: h.clock.Now()})
	retryAfter, hanging := h.retryAfter, h.hanging
	h.mu.Unlock()

	if hanging != nil {
		select {
		case <-hanging:
		case <-r.Context().Done():
			return
		}
	}
	// An answer is smaller than net/http's buffer, so it leaves after its status is
	// noted: whoever has an answer finds it here.
	status := h.answer(w, r, asked, retryAfter)
	h.mu.Lock()
	h.noted[place].Status = status
	h.mu.Unlock()
}

// answer writes the answer, and tells its status.
func (h *Host) answer(w http.ResponseWriter, r *http.Request, asked question, retryAfter time.Duration) int {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		return refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
	}
	if asked.kind == Token {
		return write(w, "application/json", h.grant(r.URL.Query().Get("scope")))
	}
	if !h.admits(r, asked) {
		w.Header().Set("WWW-Authenticate", h.challenge(asked))
		return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	}
	switch asked.kind {
	case Ping:
		return write(w, "application/json", []byte("{}"))
	case List:
		body, _ := json.Marshal(map[string]any{"name": asked.repository, "tags": []string{"stable"}})
		return write(w, "application/json", body)
	case ManifestHead, ManifestGet:
		digest := h.Digest(asked.repository)
		if strings.Contains(asked.reference, ":") && asked.reference != digest {
			return refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		}
		w.Header().Set("Docker-Content-Digest", digest)
		return write(w, mediaType, h.manifest(asked.repository))
	default:
		return refuse(w, http.StatusNotFound, "UNSUPPORTED")
	}
}

// write answers with a body; net/http leaves it out where a HEAD asked for it.
func write(w http.ResponseWriter, contentType string, body []byte) int {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return http.StatusOK
}

// refuse answers with a registry's error document.
func refuse(w http.ResponseWriter, status int, code string) int {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q}]}`, code)
	return status
}
