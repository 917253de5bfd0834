// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	right = "correct-horse-battery-staple"
	wrong = "incorrect-horse-battery-staple"
)

var began = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// follower is a poller that follows some tags.
type follower struct {
	follows map[string]bool
	calls   atomic.Int64
	mu      sync.Mutex
	hinted  []string
}

func (f *follower) Hint(refs ...reference.Reference) int {
	f.calls.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	woken := 0
	f.hinted = nil
	for _, ref := range refs {
		f.hinted = append(f.hinted, ref.String())
		if f.follows[ref.String()] {
			woken++
		}
	}
	return woken
}

// counts is how often each result was counted.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) Hint(source, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[source+" "+result]++
}

func secretIn(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// receiver is a handler with one hook, and what it acts on.
type receiver struct {
	*Handler

	follower follower
	counts   counts
	clock    *clocktesting.FakePassiveClock
}

func receive(t *testing.T, configs ...Config) *receiver {
	t.Helper()
	r := &receiver{clock: clocktesting.NewFakePassiveClock(began)}
	r.follower.follows = map[string]bool{"harbor.corp.example/platform/base:12": true, "docker.io/acme/web:stable": true}
	r.Handler = NewHandler(Options{Waker: &r.follower, Counter: &r.counts, Clock: r.clock})
	if err := r.Configure(configs); err != nil {
		t.Fatal(err)
	}
	return r
}

// post is the answer to one request.
func (r *receiver) post(path string, body []byte, change func(*http.Request)) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	r.ServeHTTP(recorder, request)
	return recorder
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestHints(t *testing.T) {
	file := secretIn(t, right)
	harbor := Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}}
	tests := map[string]struct {
		config     Config
		body       []byte
		want       int
		wantText   string
		wantResult string
		wantHinted []string
	}{
		"a tag that is followed": {
			config: harbor, body: golden(t, "harbor_push"),
			want: 202, wantResult: "Harbor woken", wantHinted: []string{"harbor.corp.example/platform/base:12"},
		},
		"a tag that nobody follows": {
			config: Config{Name: "h", Source: Quay, Proof: harbor.Proof}, body: golden(t, "quay_push"),
			want: 202, wantResult: "Quay unknown", wantHinted: []string{"quay.io/acme/web:stable", "quay.io/acme/web:1.4"},
		},
		"what moves no tag": {config: harbor, body: golden(t, "harbor_scan"), want: 202, wantResult: "Harbor unknown"},
		"what cannot be read": {
			config: harbor, body: []byte("payload=x"),
			want: 400, wantText: "the body is not the JSON that this source sends\n", wantResult: "Harbor malformed",
		},
		"what is too large": {
			config: harbor, body: bytes.Repeat([]byte(" "), MaxBody+1),
			want: 413, wantText: "the body has more than 1 MiB\n", wantResult: "Harbor malformed",
		},
		"what is as large as it may be": {
			config: harbor, body: append(bytes.Repeat([]byte(" "), MaxBody-2), "{}"...), want: 202, wantResult: "Harbor unknown",
		},
	}
	for title, tc := range tests {
		for _, length := range []int64{int64(len(tc.body)), -1} {
			t.Run(fmt.Sprintf("%s, of %d bytes", title, length), func(t *testing.T) {
				r := receive(t, tc.config)
				answer := r.post("/hooks/h", tc.body, func(request *http.Request) {
					request.ContentLength = length
					request.Header.Set("Authorization", right)
				})
				if answer.Code != tc.want || answer.Body.String() != tc.wantText {
					t.Errorf("answered %d with %q, want %d with %q", answer.Code, answer.Body, tc.want, tc.wantText)
				}
				if diff := cmp.Diff(map[string]int{tc.wantResult: 1}, r.counts.of); diff != "" {
					t.Errorf("counted (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.wantHinted, r.follower.hinted, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("hinted (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAReplayIsAHint: whoever repeats a notification gains what a notification
// gains, and the poller bounds that.
func TestAReplayIsAHint(t *testing.T) {
	r := receive(t, Config{Name: "h", Source: DockerHub, Proof: Proof{Path: &Path{SecretFile: secretIn(t, right)}}})
	for range 2 {
		if answer := r.post("/hooks/h/"+right, golden(t, "dockerhub_push"), nil); answer.Code != http.StatusAccepted {
			t.Errorf("answered %d", answer.Code)
		}
	}
	if r.counts.of["DockerHub woken"] != 2 {
		t.Errorf("counted %v", r.counts.of)
	}
}

func TestConfigureRefuses(t *testing.T) {
	r := receive(t, Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: secretIn(t, right)}}})
	if err := r.Configure([]Config{{Name: "h"}}); err == nil || !strings.Contains(err.Error(), "hooks[0].source: Unsupported value") {
		t.Errorf("error %v", err)
	}
	if answer := r.post("/hooks/h", []byte("{}"), header("Authorization", right)); answer.Code != http.StatusAccepted {
		t.Errorf("the hook of before answered %d", answer.Code)
	}
}

// TestSecretsThatCannotBeUsed: they keep nothing else from being configured, a hook
// without its secret lets nobody in, and a secret that comes later is taken.
func TestSecretsThatCannotBeUsed(t *testing.T) {
	tests := map[string]struct {
		file string
		want string
	}{
		"one that there is not":  {file: filepath.Join(t.TempDir(), "none"), want: "the secret cannot be read"},
		"one that is empty":      {file: secretIn(t, " \n"), want: "has less than 16 characters"},
		"one that is short":      {file: secretIn(t, "fifteen-letters\n"), want: "has less than 16 characters"},
		"one that is a document": {file: secretIn(t, strings.Repeat("x", maxSecret+1)), want: "has more than 4096 bytes"},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			var logged []string
			h := NewHandler(Options{Waker: &follower{}, Log: funcr.New(func(_, text string) { logged = append(logged, text) }, funcr.Options{})})
			hook := func(name, file string) Config {
				return Config{Name: name, Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}}
			}
			if err := h.Configure([]Config{hook("without", tc.file), hook("with", secretIn(t, right))}); err != nil {
				t.Fatal(err)
			}
			if len(logged) != 1 || !strings.Contains(logged[0], tc.want) || !strings.Contains(logged[0], `"hook"="without"`) {
				t.Errorf("logged %q, want %q", logged, tc.want)
			}
			post := func(name, secret string) int {
				request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Prefix+name, strings.NewReader("{}"))
				request.Header.Set("Authorization", secret)
				answer := httptest.NewRecorder()
				h.ServeHTTP(answer, request)
				return answer.Code
			}
			for _, secret := range []string{"", right} {
				if code := post("without", secret); code != http.StatusUnauthorized {
					t.Errorf("the hook without its secret answered %d to %q", code, secret)
				}
			}
			if code := post("with", right); code != http.StatusAccepted {
				t.Errorf("the other hook answered %d", code)
			}
			if err := os.WriteFile(tc.file, []byte(right), 0o600); err != nil {
				t.Fatal(err)
			}
			if code := post("without", right); code != http.StatusAccepted {
				t.Errorf("with the secret that came later it answered %d", code)
			}
		})
	}
}

// TestConfigureWhileRequestsCome: each request sees one configuration or the
// other, and none sees none.
func TestConfigureWhileRequestsCome(t *testing.T) {
	file := secretIn(t, right)
	one := Config{Name: "one", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}}
	other := Config{Name: "other", Source: Quay, Proof: Proof{Bearer: &Bearer{SecretFile: file}}}
	r := receive(t, one)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				for _, configs := range [][]Config{{one}, {one, other}} {
					if err := r.Configure(configs); err != nil {
						t.Error(err)
					}
				}
			}
		})
		group.Go(func() {
			for range 200 {
				one := r.post("/hooks/one", []byte("{}"), header("Authorization", right)).Code
				if one != http.StatusAccepted && one != http.StatusTooManyRequests {
					t.Errorf("the hook that is always there answered %d", one)
				}
				r.post("/hooks/other", []byte("{}"), header("Authorization", right))
			}
		})
	}
	group.Wait()
}
