// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

func TestCopy(t *testing.T) {
	tests := map[string]struct {
		options []ggcr.Option // of the source
		make    func(*testing.T, *registrytest.Registry) *original
		// intercept answers the source's requests first.
		intercept func(http.ResponseWriter, *http.Request) bool
	}{
		"an index, with referrers by the API": {
			options: []ggcr.Option{ggcr.WithReferrersSupport(true)},
			make:    func(t *testing.T, r *registrytest.Registry) *original { t.Helper(); return newOriginal(t, r, false) },
		},
		"an index, with referrers by fallback tag": {
			make: func(t *testing.T, r *registrytest.Registry) *original { t.Helper(); return newOriginal(t, r, true) },
		},
		"referrers are not known to a registry that answers by a web page": {
			make: func(t *testing.T, r *registrytest.Registry) *original { t.Helper(); return newOriginal(t, r, true) },
			intercept: func(w http.ResponseWriter, req *http.Request) bool {
				if strings.Contains(req.URL.Path, "/referrers/") {
					http.Redirect(w, req, "/login", http.StatusSeeOther)
					return true
				}
				if req.URL.Path == "/login" {
					w.Header().Set("Content-Type", "text/html; charset=utf-8")
					_, _ = w.Write([]byte("<html>"))
					return true
				}
				return false
			},
		},
		"referrers are refused, and listed by tag": {
			make: func(t *testing.T, r *registrytest.Registry) *original { t.Helper(); return newOriginal(t, r, true) },
			intercept: func(w http.ResponseWriter, req *http.Request) bool {
				return strings.Contains(req.URL.Path, "/referrers/") && bare(http.StatusForbidden)(w, req)
			},
		},
		"layers that are kept elsewhere": {
			make: func(t *testing.T, r *registrytest.Registry) *original { t.Helper(); return newOriginal(t, r, true) },
			intercept: func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") || req.URL.RawQuery != "" {
					return false
				}
				http.Redirect(w, req, req.URL.Path+"?signed=1", http.StatusTemporaryRedirect)
				return true
			},
		},
		"a single image": {
			make: func(t *testing.T, r *registrytest.Registry) *original {
				t.Helper()
				o := emptyOriginal(t, r)
				o.digest = digestIn(o.image(nil, "config", o.blob(ociLayer, "a layer"), o.blob(ociLayer, "")))
				return o
			},
		},
		"an index of indexes": {
			make: func(t *testing.T, r *registrytest.Registry) *original {
				t.Helper()
				o := emptyOriginal(t, r)
				inner := o.manifest(ociIndex, object{"schemaVersion": 2, "manifests": []object{o.image(nil, "config")}})
				o.digest = digestIn(o.manifest(ociIndex, object{"schemaVersion": 2, "manifests": []object{inner}}))
				return o
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			source, target := registrytest.New(t, tt.options...), registrytest.New(t)
			o := tt.make(t, source)
			to := target.Reference(t, "mirror/app")
			source.Intercept(tt.intercept)
			client := newClient(source.Host, target.Host)
			got, err := o.copy(client, to)
			if err != nil {
				t.Fatal(err)
			}
			if missing := o.missing(target, to); len(missing) > 0 {
				t.Errorf("the copy lacks %s", strings.Join(missing, "\n"))
			}
			if shows := target.Digest(t, o.kept(to)); shows != o.digest || got.Reference.String() != o.kept(to).Name()+"@"+o.digest {
				t.Errorf("the kept tag shows %q, Copy = %+v", shows, got)
			}
			if got.AlreadyThere || got.Blobs != len(o.blobs) {
				t.Errorf("Copy = %+v, want %d blobs", got, len(o.blobs))
			}
			source.ResetRequests()
			target.ResetRequests()
			got, err = o.copy(client, to)
			if err != nil || !got.AlreadyThere || got.Blobs+got.Manifests != 0 {
				t.Errorf("the second Copy = %+v, %v", got, err)
			}
			if n, m := source.Requests("", ""), target.Requests("", ""); n != 0 || m != 1 || target.Requests("HEAD", "") != 1 {
				t.Errorf("the second copy costs %d requests at the source and %d at the target, want none and one HEAD", n, m)
			}
		})
	}
}

// TestCopyKilled: the network goes down with each request in turn. A second copy
// completes what the first one began, and the kept tag never shows a part of it.
func TestCopyKilled(t *testing.T) {
	for failing := 0; ; failing++ {
		source, target := registrytest.New(t), registrytest.New(t)
		o := newOriginal(t, source, true)
		to := target.Reference(t, "mirror/app")
		var made atomic.Int64
		down := func(_ http.ResponseWriter, _ *http.Request) bool {
			if int(made.Add(1)) > failing {
				panic(http.ErrAbortHandler)
			}
			if shows := target.Digest(t, o.kept(to)); shows != "" && len(o.missing(target, to)) > 0 {
				t.Errorf("before request %d the kept tag shows something incomplete", made.Load())
			}
			return false
		}
		source.Intercept(down)
		target.Intercept(down)
		client := newClient(source.Host, target.Host)
		first, err := o.copy(client, to)
		if err == nil {
			if failing < 50 {
				t.Fatalf("%d requests copied it all: %+v", failing, first)
			}
			return
		}
		if class := registry.ClassOf(err); class != registry.Unavailable {
			t.Errorf("killed at request %d: %v, of class %s", failing+1, err, class)
		}
		if shows := target.Digest(t, o.kept(to)); shows != "" {
			t.Errorf("killed at request %d: the kept tag shows %s", failing+1, shows)
		}
		there := 0
		for digest := range o.blobs {
			if target.Content(t, to, "blobs/"+digest) != nil {
				there++
			}
		}
		source.Recover()
		target.Recover()
		second, err := o.copy(client, to)
		if missing := o.missing(target, to); err != nil || len(missing) > 0 {
			t.Fatalf("killed at request %d, copied again: %v, lacks %v", failing+1, err, missing)
		}
		if second.Blobs != len(o.blobs)-there {
			t.Errorf("killed at request %d with %d blobs, %d of %d are sent again", failing+1, there, second.Blobs, len(o.blobs))
		}
	}
}

// TestCopyAsksTheSourceOnce: what has arrived is not pulled again, since that counts.
func TestCopyAsksTheSourceOnce(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	to := target.Reference(t, "mirror/app")
	tag := o.kept(to).Tag
	target.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		return req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, tag) && bare(http.StatusBadGateway)(w, req)
	})
	client := newClient(source.Host, target.Host)
	if _, err := o.copy(client, to); registry.ClassOf(err) != registry.Unavailable {
		t.Fatalf("error %v", err)
	}
	source.ResetRequests()
	target.Recover()
	if _, err := o.copy(client, to); err != nil {
		t.Fatal(err)
	}
	if n := source.Requests("GET", "/manifests/sha256:"); n != 1 {
		t.Errorf("%d manifests are pulled again, want the index only", n)
	}
	if n := source.Requests("", "/blobs/"); n != 0 {
		t.Errorf("%d requests for blobs", n)
	}
}

func TestCopyWithinOneRegistry(t *testing.T) {
	tests := map[string]struct {
		mount     func(w http.ResponseWriter, req *http.Request) bool
		wantBlobs bool
	}{
		"layers are mounted":                  {mount: bare(http.StatusCreated)},
		"the registry does not mount":         {mount: func(http.ResponseWriter, *http.Request) bool { return false }, wantBlobs: true},
		"the registry refuses to be asked so": {mount: bare(http.StatusForbidden), wantBlobs: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			o := newOriginal(t, r, true)
			to := r.Reference(t, "mirror/app")
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				switch {
				case req.Method == http.MethodHead && strings.HasPrefix(req.URL.Path, "/v2/mirror/app/blobs/"):
					return bare(http.StatusNotFound)(w, req) // this registry would look at all of its repositories
				case req.URL.Query().Get("mount") != "":
					if from := req.URL.Query().Get("from"); from != "team/app" {
						t.Errorf("mounted from %q", from)
					}
					return tt.mount(w, req)
				}
				return false
			})
			got, err := o.copy(newClient(r.Host), to)
			if err != nil || (got.Blobs > 0) != tt.wantBlobs {
				t.Errorf("Copy = %+v, %v", got, err)
			}
		})
	}
}

// TestCopyToARegistryThatListsReferrers: there is no fallback tag, since that would
// have to be looked after for ever.
func TestCopyToARegistryThatListsReferrers(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t, ggcr.WithReferrersSupport(true))
	o := newOriginal(t, source, true)
	to := target.Reference(t, "mirror/app")
	target.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut {
			return false
		}
		raw, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(raw))
		if bytes.Contains(raw, []byte(`"subject"`)) {
			w.Header().Set("Oci-Subject", o.digest)
		}
		return false
	})
	if _, err := o.copy(newClient(source.Host, target.Host), to); err != nil {
		t.Fatal(err)
	}
	for subject, referrers := range o.referrers {
		if got := listed(t, target, to, subject); got != nil {
			t.Errorf("the fallback tag lists %v", got)
		}
		if raw := target.Content(t, to, "referrers/"+subject); !bytes.Contains(raw, []byte(referrers[0])) {
			t.Errorf("the registry lists %s", raw)
		}
	}
}

// TestCopyMovesNothing: what somebody put there stays.
func TestCopyMovesNothing(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	to := target.Reference(t, "mirror/app:12")
	client := newClient(source.Host, target.Host)
	own := target.Push(t, to.WithTag(fallback(o.digest)+".sig"))
	mine := target.Push(t, to.WithTag("mine"))
	target.PushManifest(t, to.WithTag(fallback(o.digest)), ociIndex,
		[]byte(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":[{"mediaType":"`+ociManifest+`","size":1,"digest":"`+mine+`"}]}`))
	if _, err := o.copy(client, to); err != nil {
		t.Fatal(err)
	}
	if got := target.Digest(t, to.WithTag(fallback(o.digest)+".sig")); got != own {
		t.Errorf("one's own signature is replaced by %s", got)
	}
	if got := listed(t, target, to, o.digest); len(got) != 2 || got[0] != mine {
		t.Errorf("referrers %v, want %s and another one", got, mine)
	}
	if got := target.Digest(t, to); got != "" {
		t.Errorf("a tag that nobody spoke of shows %s", got)
	}
	target.Move(t, o.kept(to), mine)
	_, err := o.copy(client, to)
	if registry.ClassOf(err) != registry.Invalid || !strings.Contains(err.Error(), "it is not moved") || target.Digest(t, o.kept(to)) != mine {
		t.Errorf("a kept tag that somebody moved: %v", err)
	}
}

// TestCopyGoesByDigest: it does not matter where the tag went.
func TestCopyGoesByDigest(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	source.Push(t, o.ref)
	to := target.Reference(t, "mirror/app")
	if _, err := o.copy(newClient(source.Host, target.Host), to); err != nil {
		t.Fatal(err)
	}
	if missing := o.missing(target, to); len(missing) > 0 {
		t.Errorf("the copy lacks %v", missing)
	}
}

// TestCopyKeepsSecretsApart: each registry sees its own.
func TestCopyKeepsSecretsApart(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	source.RequireBasic("reader", "one")
	target.RequireBasic("writer", "two")
	never := func(user string) func(http.ResponseWriter, *http.Request) bool {
		return func(_ http.ResponseWriter, req *http.Request) bool {
			if got, _, ok := req.BasicAuth(); ok && got == user {
				t.Errorf("%s %s comes from %s", req.Method, req.URL.Path, user)
			}
			return false
		}
	}
	source.Intercept(never("writer"))
	target.Intercept(never("reader"))
	to := target.Reference(t, "mirror/app")
	read, write := keychain(t, source.Host, "reader", "one"), keychain(t, target.Host, "writer", "two")
	if _, err := newClient(source.Host, target.Host).Copy(t.Context(), o.ref, o.digest, to, read, write); err != nil {
		t.Fatal(err)
	}
	if missing := o.missing(target, to); len(missing) > 0 {
		t.Errorf("the copy lacks %v", missing)
	}
}

// TestCopiesAreCharged: each request of a copy to the host that is asked, and to the
// anonymous there only where nobody's credential is shown.
func TestCopiesAreCharged(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	target.RequireBasic("me", "word")
	clock := clocktesting.NewFakeClock(time.Now())
	limits := registry.NewLimits(func(host string) registry.HostRule {
		if host == "" {
			t.Error("a request is charged to nobody")
		}
		return registry.HostRule{RequestsPerSecond: 1e6, AnonymousRequestsPerSecond: 9e5}
	}, clock)
	client := registry.NewClient(registry.Options{Rules: plainHTTP(source.Host, target.Host), Clock: clock, Limits: limits})
	write := keychain(t, target.Host, "me", "word")
	if _, err := client.Copy(t.Context(), o.ref, o.digest, target.Reference(t, "mirror/app"), anonymous, write); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*registrytest.Registry{source, target} {
		want, wantAnonymous := r.Requests("", ""), 0
		if r == source {
			wantAnonymous = want
		}
		got, gotAnonymous := int(1e5-limits.Tokens(r.Host)), int(9e4-limits.AnonymousTokens(r.Host))
		if got != want || gotAnonymous != wantAnonymous {
			t.Errorf("%s: %d requests are charged, %d of them to the anonymous; want %d and %d", r.Host, got, gotAnonymous, want, wantAnonymous)
		}
	}
}
