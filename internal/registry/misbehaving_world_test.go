// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// The registry of these tests, and where it sends clients on.
const (
	liarHost = "registry.corp.example"
	dead     = "127.0.0.1:1"
	aDigest  = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// liar is a registry that misbehaves, on a real port, behind a name that looks
// like a public one.
type liar struct {
	// elsewhere is the address:port of another server, which nobody should need.
	elsewhere string

	requests, away atomic.Int32
	// sent is how many bytes the registry got rid of.
	sent atomic.Int64
	// names that are dialled, besides addresses.
	names map[string]string

	mu sync.Mutex
	// seen are the Host and the credentials of each request elsewhere.
	seen []string
}

// newLiar serves what the functions write; elsewhere may be nil.
func newLiar(t *testing.T, serve, elsewhere func(*liar, http.ResponseWriter, *http.Request)) *liar {
	t.Helper()
	l := &liar{}
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.away.Add(1)
		l.mu.Lock()
		l.seen = append(l.seen, r.Method+" "+r.Host+" "+r.Header.Get("Authorization"))
		l.mu.Unlock()
		if elsewhere != nil {
			elsewhere(l, w, r)
		}
	}))
	t.Cleanup(there.Close)
	l.elsewhere = strings.TrimPrefix(there.URL, "http://")
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.requests.Add(1)
		serve(l, counted{w, &l.sent}, r)
	}))
	t.Cleanup(here.Close)
	l.names = map[string]string{
		liarHost + ":80":               strings.TrimPrefix(here.URL, "http://"),
		"elsewhere.corp.example:80":    l.elsewhere,
		"10.1.2.3:80":                  l.elsewhere,
		"[fd00::5]:8080":               l.elsewhere,
		"metadata.corp.example:80":     "169.254.169.254:80",
		"unresolvable.corp.example:80": "",
	}
	return l
}

// counted counts what is written.
type counted struct {
	http.ResponseWriter

	sent *atomic.Int64
}

// Write implements io.Writer.
func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// Unwrap serves http.ResponseController.
func (c counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// dial stands in for the network's names and routes.
func (l *liar) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, ok := l.names[address]
	switch {
	case !ok:
		to = address
	case to == "":
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	case strings.HasPrefix(to, "169.254."):
		return pretender{to: to}, nil
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// pretender is a connection to an address that no test may have.
type pretender struct {
	net.Conn

	to string
}

// RemoteAddr implements net.Conn.
func (p pretender) RemoteAddr() net.Addr {
	address, _ := net.ResolveTCPAddr("tcp", p.to)
	return address
}

// Close implements net.Conn.
func (p pretender) Close() error { return nil }

// Write implements net.Conn.
func (p pretender) Write([]byte) (int, error) { panic("a request to a metadata service") }

// client of the liar. Plain HTTP is spoken to all that it may name, so that nothing
// else keeps a request back.
func (l *liar) client(rules registry.Rules, timeout time.Duration) *registry.Client {
	plain := rules.WithPlainHTTP("127.0.0.1", "10.1.2.3", "[fd00::5]:8080", "*.corp.example", "169.254.169.254", liarHost)
	return registry.NewClient(registry.Options{Rules: plain, Timeout: timeout, Transport: &http.Transport{DialContext: l.dial}})
}

func (l *liar) reference() reference.Reference {
	return reference.Reference{Repository: liarHost + "/team/app", Tag: "stable"}
}

// asPublic is a rule that the liar is no registry of the organisation, whatever its
// address, and asPrivate that it is.
func asPublic() registry.Rules { return host(registry.HostRule{Host: liarHost, Private: new(bool)}) }

func asPrivate() registry.Rules { return host(registry.HostRule{Host: liarHost, Private: new(true)}) }

// lie serves the ping, and everything else with a function.
func lie(f func(*liar, http.ResponseWriter, *http.Request)) func(*liar, http.ResponseWriter, *http.Request) {
	return func(l *liar, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			f(l, w, r)
		}
	}
}

// challenge serves a ping that sends for tokens.
func challenge(realm string) func(*liar, http.ResponseWriter, *http.Request) {
	return func(l *liar, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token" {
			showsDigest(l, w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+strings.ReplaceAll(realm, "ELSEWHERE", l.elsewhere)+`",service="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// redirect sends manifests on.
func redirect(to string) func(*liar, http.ResponseWriter, *http.Request) {
	return lie(func(l *liar, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.ReplaceAll(to, "ELSEWHERE", l.elsewhere), http.StatusTemporaryRedirect)
	})
}

// showsDigest answers as a registry does.
func showsDigest(_ *liar, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	w.Header().Set("Docker-Content-Digest", aDigest)
	w.Header().Set("Content-Length", "10")
}

// givesToken answers as a token server does.
func givesToken(_ *liar, w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"token":"token"}`))
}

// answered is the error, as it has to be: an *Error that names the host, holds no
// address that the liar named, and came in time.
func (l *liar) answered(t *testing.T, err error, wantClass registry.Class, wantText string) {
	t.Helper()
	var told *registry.Error
	if !errors.As(err, &told) {
		t.Fatalf("error %v is no *Error", err)
	}
	if told.Class != wantClass || told.Host != liarHost || !strings.Contains(err.Error(), wantText) {
		t.Errorf("%s error %q, want %s %q", told.Class, err, wantClass, wantText)
	}
	if strings.Contains(err.Error(), "://") || strings.Contains(err.Error(), "169.254") || strings.Contains(err.Error(), l.elsewhere) {
		t.Errorf("error %q says what the registry said", err)
	}
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
