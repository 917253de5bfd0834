// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ggcrregistry "github.com/google/go-containerregistry/pkg/registry"

	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// fault answers a request in the registry's place, or has it answered by next. The
// request's context ends when the client goes away, and with the world.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// faults is the world's registry as the operator sees it. What the test and the
// stand-ins do goes to the same registry by another listener, behind the faults.
type faults struct {
	backend http.Handler

	mu     sync.Mutex
	faults map[string]fault
	hooks  []*hook
	seen   []request
}

type request struct{ method, path string }

func (r request) matches(method, pathPart string) bool {
	return (method == "" || r.method == method) && strings.Contains(r.path, pathPart)
}

type hook struct {
	on  request
	do  func()
	ran chan struct{}
}

// newFaults starts a registry in memory, and tells where it is with faults, and
// where without.
func newFaults(t *testing.T) (f *faults, host, direct string) {
	t.Helper()
	f = &faults{
		backend: ggcrregistry.New(ggcrregistry.Logger(log.New(io.Discard, "", 0))),
		faults:  map[string]fault{},
	}
	ctx, end := context.WithCancel(context.Background())
	serve := func(handler http.Handler) string {
		server := httptest.NewUnstartedServer(handler)
		server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.Start()
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	host, direct = serve(f), serve(f.backend)
	// Before the servers are closed: that waits for requests that hang.
	t.Cleanup(end)
	return f, host, direct
}

// set has every request to a repository meet a fault, in place of the one that it
// met before. An empty repository is the whole registry, its ping included; of
// several that match, the longest counts.
func (f *faults) set(repo string, to fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[repo] = to
}

// clear ends what set began.
func (f *faults) clear(repo string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.faults, repo)
}

// requests counts those that have the method and whose path contains the text; an
// empty method or text is any. Only the operator's are counted.
func (f *faults) requests(method, pathPart string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.seen {
		if r.matches(method, pathPart) {
			n++
		}
	}
	return n
}

// before runs do once, just before the next such request of the operator is
// served; the channel is closed when it has run. do may set faults, which that
// request meets already.
func (f *faults) before(method, pathPart string, do func()) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &hook{on: request{method, pathPart}, do: do, ran: make(chan struct{})}
	f.hooks = append(f.hooks, h)
	return h.ran
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, h := range f.note(request{r.Method, r.URL.Path}) {
		h.do()
		close(h.ran)
	}
	if found := f.find(r.URL.Path); found != nil {
		found(w, r, f.backend)
		return
	}
	f.backend.ServeHTTP(w, r)
}

// note counts a request, and takes the hooks that waited for it.
func (f *faults) note(r request) []*hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r)
	var due, waiting []*hook
	for _, h := range f.hooks {
		if r.matches(h.on.method, h.on.path) {
			due = append(due, h)
		} else {
			waiting = append(waiting, h)
		}
	}
	f.hooks = waiting
	return due
}

func (f *faults) find(path string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	longest, found := "", f.faults[""]
	for repo, candidate := range f.faults {
		if len(repo) > len(longest) && strings.HasPrefix(path, "/v2/"+repo+"/") {
			longest, found = repo, candidate
		}
	}
	return found
}

// answers with a status and a registry's error document. Headers are names and
// values in turn.
func answers(status int, code string, headers ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		registrytest.Refuse(w, status, code)
	}
}

// hidden404 is the 404 of something that is no registry, such as a proxy.
func hidden404() fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "404 page not found", http.StatusNotFound)
	}
}

// answersHTML is the login page of a captive portal.
func answersHTML() fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sign in</title>")
	}
}

// hangs until the client goes away, and does nothing.
func hangs() fault {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		// The server sees that the client is gone only once the body is read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// resetsInBody does what is asked for, and resets the connection in the middle of
// the answer's body, or of its headers where it has none.
func resetsInBody() fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		answer := recorder.Result()
		answer.Request = r
		answer.ContentLength = int64(recorder.Body.Len())
		var raw bytes.Buffer
		_ = answer.Write(&raw)
		head := raw.Len() - recorder.Body.Len()
		cut := head + recorder.Body.Len()/2
		if recorder.Body.Len() == 0 {
			cut = head / 2
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write(raw.Bytes()[:cut])
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// noDigestHeader answers as the registry does, without Docker-Content-Digest.
func noDigestHeader() fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		for name, values := range recorder.Result().Header {
			if name != "Docker-Content-Digest" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}
}

// only lets those requests meet the fault that it is for.
func only(applies func(r *http.Request) bool, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if applies(r) {
			f(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func onMethod(method string, f fault) fault {
	return only(func(r *http.Request) bool { return r.Method == method }, f)
}

func onPath(part string, f fault) fault {
	return only(func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }, f)
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

func refusesReads(status int, code string) fault { return only(isRead, answers(status, code)) }

func refusesWrites(status int, code string) fault {
	return only(func(r *http.Request) bool {
		return r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	}, answers(status, code))
}

// seen is what a client sees of an answer.
type seen struct {
	Status  int
	Failed  bool // no answer, or not the whole of it
	Digest  bool
	Type    string
	Retry   string
	Written bool // whether the registry has what was sent
}

// ask sends a manifest, or asks for one that the registry has.
func ask(ctx context.Context, t *testing.T, method, host, direct, repo string) seen {
	t.Helper()
	path := "/v2/" + repo + "/manifests/1"
	var body io.Reader
	if method == http.MethodPut {
		path, body = "/v2/"+repo+"/manifests/2", strings.NewReader(`{"schemaVersion": 2}`)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		t.Fatal(err)
	}
	got := seen{}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		got = seen{
			Status: resp.StatusCode, Digest: resp.Header.Get("Docker-Content-Digest") != "",
			Type: resp.Header.Get("Content-Type"), Retry: resp.Header.Get("Retry-After"),
		}
	}
	got.Failed = err != nil
	if method == http.MethodPut {
		resp, err := http.Head("http://" + direct + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got.Written = resp.StatusCode == http.StatusOK
	}
	return got
}

func TestFaults(t *testing.T) {
	const (
		get, head, put = http.MethodGet, http.MethodHead, http.MethodPut
		oci, text      = "application/vnd.oci.image.manifest.v1+json", "text/plain; charset=utf-8"
		html, document = "text/html; charset=utf-8", "application/json"
	)
	tests := map[string]struct {
		fault fault
		want  map[string]seen // by method
	}{
		"no fault": {nil, map[string]seen{
			get:  {Status: 200, Digest: true, Type: oci},
			head: {Status: 200, Digest: true, Type: oci},
			put:  {Status: 201, Digest: true, Written: true},
		}},
		"asks to be left alone": {answers(429, "TOOMANYREQUESTS", "Retry-After", "7"), map[string]seen{
			get:  {Status: 429, Type: document, Retry: "7"},
			head: {Status: 429, Type: document, Retry: "7"},
			put:  {Status: 429, Type: document, Retry: "7"},
		}},
		"resets":      {resetsInBody(), map[string]seen{get: {Status: 200, Digest: true, Type: oci, Failed: true}, head: {Failed: true}, put: {Failed: true, Written: true}}},
		"login page":  {answersHTML(), map[string]seen{get: {Status: 200, Type: html}, head: {Status: 200, Type: html}}},
		"no digest":   {noDigestHeader(), map[string]seen{get: {Status: 200, Type: oci}, head: {Status: 200, Type: oci}, put: {Status: 201, Written: true}}},
		"no registry": {hidden404(), map[string]seen{get: {Status: 404, Type: text}, head: {Status: 404, Type: text}}},
		"read only": {refusesWrites(403, "DENIED"), map[string]seen{
			get: {Status: 200, Digest: true, Type: oci}, put: {Status: 403, Type: document},
		}},
		"write only": {refusesReads(403, "DENIED"), map[string]seen{
			get: {Status: 403, Type: document}, head: {Status: 403, Type: document}, put: {Status: 201, Digest: true, Written: true},
		}},
		"one method": {onMethod(head, answers(405, "UNSUPPORTED")), map[string]seen{
			get: {Status: 200, Digest: true, Type: oci}, head: {Status: 405, Type: document},
		}},
		"one tag": {onPath("/manifests/2", answers(500, "UNKNOWN")), map[string]seen{
			get: {Status: 200, Digest: true, Type: oci}, put: {Status: 500, Type: document},
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, host, direct := newFaults(t)
			img, err := makeImage("an image")
			if err != nil {
				t.Fatal(err)
			}
			if err := pushImage(direct+"/team/app:1", img); err != nil {
				t.Fatal(err)
			}
			if tc.fault != nil {
				f.set("team/app", tc.fault)
			}
			for method, want := range tc.want {
				if diff := cmp.Diff(want, ask(t.Context(), t, method, host, direct, "team/app")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", method, diff)
				}
			}
			if n := f.requests("", "/team/app/"); n != len(tc.want) {
				t.Errorf("%d requests counted, want %d", n, len(tc.want))
			}
		})
	}
}

func TestFaultsAreOfOneRepository(t *testing.T) {
	f, host, _ := newFaults(t)
	status := func(path string) int {
		t.Helper()
		resp, err := http.Get("http://" + host + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	f.set("team/app", answers(500, "UNKNOWN"))
	if a, b, c := status("/v2/team/app/manifests/1"), status("/v2/team/apple/manifests/1"), status("/v2/"); a != 500 || b != 404 || c != 200 {
		t.Errorf("a fault of one repository: %d there, %d elsewhere, %d for the ping", a, b, c)
	}
	f.set("", answers(503, "UNAVAILABLE"))
	if a, b, c := status("/v2/team/app/manifests/1"), status("/v2/team/apple/manifests/1"), status("/v2/"); a != 500 || b != 503 || c != 503 {
		t.Errorf("with one of the registry: %d there, %d elsewhere, %d for the ping", a, b, c)
	}
	f.clear("")
	f.clear("team/app")
	ran := f.before(http.MethodGet, "/team/app/", func() { f.set("team/app", answers(418, "UNKNOWN")) })
	if before := status("/v2/"); before != 200 {
		t.Errorf("after the faults: %d", before)
	}
	select {
	case <-ran:
		t.Error("the hook ran for another request")
	default:
	}
	if after := status("/v2/team/app/manifests/1"); after != 418 {
		t.Errorf("the request that the hook ran for came to %d, want the fault that it set", after)
	}
	<-ran
}

// TestAHangEnds with the client, and with the world: that of the inner test.
func TestAHangEnds(t *testing.T) {
	var waiting sync.WaitGroup
	t.Run("world", func(inner *testing.T) {
		f, host, direct := newFaults(inner)
		f.set("", hangs())
		ctx, cancel := context.WithCancel(t.Context())
		arrived := f.before(http.MethodPut, "", cancel)
		if got := ask(ctx, t, http.MethodPut, host, direct, "app"); !got.Failed || got.Written {
			t.Errorf("to a client that goes away: %+v", got)
		}
		<-arrived
		arrived = f.before(http.MethodGet, "", func() {})
		waiting.Go(func() {
			if got := ask(t.Context(), t, http.MethodGet, host, direct, "app"); !got.Failed {
				t.Errorf("to a client that waits: %+v", got)
			}
		})
		<-arrived
	})
	waiting.Wait()
}
