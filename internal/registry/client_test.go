// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

var anonymous = registry.Keychain{}

func newClient(hosts ...string) *registry.Client {
	return registry.NewClient(registry.Options{PlainHTTP: hosts, UserAgent: "test", Timeout: 2 * time.Second})
}

func TestHeadCostsOneRequest(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	want := r.Push(t, ref)
	client := newClient(r.Host)
	for range 3 {
		got, err := client.Head(t.Context(), ref, anonymous)
		if err != nil || got != want {
			t.Fatalf("Head = %s, %v; want %s", got, err, want)
		}
	}
	if head, all := r.Requests("HEAD", ""), r.Requests("", ""); head != 3 || all != 4 {
		t.Errorf("3 Heads made %d HEADs of %d requests; want 3 of 4, one of them the ping", head, all)
	}
}

func TestHeadFailures(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>secret-body</html>"))
		return true
	}
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if len(header) == 2 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte("secret-body"))
			return true
		}
	}
	tests := map[string]struct {
		intercept      func(http.ResponseWriter, *http.Request) bool
		wantClass      registry.Class
		wantStatus     int
		wantRetryAfter time.Duration
		wantReason     string
		wantText       string
		wantRequests   int // on manifests
	}{
		"a tag that does not exist is absent by the registry's own word": {
			intercept: func(w http.ResponseWriter, _ *http.Request) bool {
				registrytest.Refuse(w, 404, "MANIFEST_UNKNOWN")
				return true
			},
			wantClass: registry.Absent, wantStatus: 404, wantReason: v1alpha1.ReasonTagAbsent, wantText: "does not exist", wantRequests: 2,
		},
		"Harbor has its own word for it": {
			intercept: func(w http.ResponseWriter, _ *http.Request) bool {
				registrytest.Refuse(w, 404, "NOT_FOUND")
				return true
			},
			wantClass: registry.Absent, wantStatus: 404, wantReason: v1alpha1.ReasonTagAbsent, wantText: "does not exist", wantRequests: 2,
		},
		"a proxy's 404 says nothing of the tag": {
			intercept: status(404), wantClass: registry.Invalid, wantStatus: 404,
			wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "not in the words of a registry", wantRequests: 2,
		},
		"wrong credentials": {
			intercept: status(401), wantClass: registry.Unauthorized, wantStatus: 401,
			wantReason: v1alpha1.ReasonUnauthorized, wantText: "credentials are missing or wrong", wantRequests: 1,
		},
		"credentials without the right": {
			intercept: status(403), wantClass: registry.Forbidden, wantStatus: 403,
			wantReason: v1alpha1.ReasonUnauthorized, wantText: "do not allow", wantRequests: 1,
		},
		"a limited rate is not asked again, and the wait is told": {
			intercept: status(429, "Retry-After", "17"), wantClass: registry.RateLimited, wantStatus: 429, wantRetryAfter: 17 * time.Second,
			wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "429 Too Many Requests", wantRequests: 1,
		},
		"a broken registry is not asked again": {
			intercept: status(503), wantClass: registry.Unavailable, wantStatus: 503,
			wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "503 Service Unavailable", wantRequests: 1,
		},
		"a web page is no image": {
			intercept: html, wantClass: registry.Invalid, wantStatus: 200,
			wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "no manifest", wantRequests: 2,
		},
		// net/http itself asks once more where a kept connection ends without an answer.
		"a connection that breaks": {
			intercept: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
			wantClass: registry.Unavailable, wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "broke off", wantRequests: 2,
		},
		"silence": {
			intercept: func(_ http.ResponseWriter, req *http.Request) bool { <-req.Context().Done(); return true },
			wantClass: registry.Unavailable, wantReason: v1alpha1.ReasonRegistryUnreachable, wantText: "no answer in time", wantRequests: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				return strings.Contains(req.URL.Path, "/manifests/") && tt.intercept(w, req)
			})
			client := registry.NewClient(registry.Options{PlainHTTP: []string{r.Host}, Timeout: 300 * time.Millisecond})
			_, err := client.Head(t.Context(), ref, anonymous)
			var got *registry.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v is no *Error", err)
			}
			want := &registry.Error{Class: tt.wantClass, Host: r.Host, Op: "reading team/app:stable", Status: tt.wantStatus, RetryAfter: tt.wantRetryAfter}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(registry.Error{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Reason() != tt.wantReason {
				t.Errorf("Reason = %s, want %s", got.Reason(), tt.wantReason)
			}
			if text := err.Error(); !strings.Contains(text, tt.wantText) || !strings.HasPrefix(text, r.Host+": reading") ||
				strings.Contains(text, "body") || strings.Contains(text, "http://") {
				t.Errorf("error says %q, want host, question and %q", text, tt.wantText)
			}
			if n := r.Requests("", "/manifests/"); n != tt.wantRequests {
				t.Errorf("%d requests, want %d", n, tt.wantRequests)
			}
		})
	}
}

// TestHeadWithoutDigest: a registry that leaves the digest out is asked by GET,
// and from then on by nothing else.
func TestHeadWithoutDigest(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	want := r.Push(t, ref)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodHead {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(http.StatusOK)
		return true
	})
	client := newClient(r.Host)
	for range 3 {
		if got, err := client.Head(t.Context(), ref, anonymous); err != nil || got != want {
			t.Fatalf("Head = %s, %v; want %s", got, err, want)
		}
	}
	if head, get := r.Requests("HEAD", ""), r.Requests("GET", "/manifests/"); head != 1 || get != 3 {
		t.Errorf("%d HEADs and %d GETs, want 1 and 3", head, get)
	}
}

// TestPlainHTTPOnlyWhereNamed: the library alone would speak plain HTTP to
// 127.0.0.1.
func TestPlainHTTPOnlyWhereNamed(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	for _, named := range [][]string{nil, {"registry.example.com"}, {"127.0.0.1:1"}} {
		_, err := newClient(named...).Head(t.Context(), ref, anonymous)
		if registry.ClassOf(err) != registry.Unavailable || !strings.Contains(err.Error(), "does not speak HTTPS") {
			t.Errorf("with %v: error %v", named, err)
		}
	}
	if n := r.Requests("", ""); n != 0 {
		t.Errorf("%d requests over plain HTTP", n)
	}
	for _, named := range []string{r.Host, "127.0.0.1"} {
		if _, err := newClient(named).Head(t.Context(), ref, anonymous); err != nil {
			t.Errorf("with %s: %v", named, err)
		}
	}
}

func TestHTTPSWithGivenAuthority(t *testing.T) {
	r := registrytest.New(t)
	server := httptest.NewUnstartedServer(r)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ref, err := reference.Parse(strings.TrimPrefix(server.URL, "https://") + "/team/app:stable")
	if err != nil {
		t.Fatal(err)
	}
	want := r.Push(t, ref)
	client := registry.NewClient(registry.Options{Transport: server.Client().Transport})
	if got, err := client.Head(t.Context(), ref, anonymous); err != nil || got != want {
		t.Errorf("Head = %s, %v; want %s", got, err, want)
	}
	_, err = newClient().Head(t.Context(), ref, anonymous)
	if registry.ClassOf(err) != registry.Unavailable || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the authority: %v", err)
	}
}

func TestLinkLocalIsRefused(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "0.0.0.0"} {
		ref := reference.Reference{Repository: host + "/team/app", Tag: "stable"}
		_, err := newClient(host).Head(t.Context(), ref, anonymous)
		if registry.ClassOf(err) != registry.Invalid || !strings.Contains(err.Error(), "never asked") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestCancellationIsTold(t *testing.T) {
	r := registrytest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(r.Host).Head(ctx, r.Reference(t, "a:b"), anonymous)
	if registry.ClassOf(err) != registry.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestSessionIsRenewed: a registry that begins to want a login is spoken to anew.
func TestSessionIsRenewed(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	want := r.Push(t, ref)
	client := newClient(r.Host)
	auth := keychain(t, r.Host, "me", "word")
	if _, err := client.Head(t.Context(), ref, auth); err != nil {
		t.Fatal(err)
	}
	r.RequireBasic("me", "word")
	if got, err := client.Head(t.Context(), ref, auth); err != nil || got != want {
		t.Errorf("Head = %s, %v", got, err)
	}
	r.RequireBasic("me", "other")
	if _, err := client.Head(t.Context(), ref, auth); registry.ClassOf(err) != registry.Unauthorized {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	baseDigest := "sha256:" + strings.Repeat("b", 64)
	first := r.Push(t, ref, registrytest.WithBase("docker.io/library/debian:12", baseDigest))
	second := r.Push(t, ref, registrytest.WithBase("docker.io/library/debian:12", "no digest"))
	indexOf := func(annotations string) string {
		child := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":1,"platform":{"os":"%s","architecture":"%s"}%s}`
		raw := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` +
			fmt.Sprintf(child, first, "linux", "amd64", annotations) + "," +
			fmt.Sprintf(child, second, "unknown", "unknown", "") + `]}`
		return r.PushManifest(t, ref, "application/vnd.oci.image.index.v1+json", []byte(raw))
	}
	const manifest, index = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.index.v1+json"
	tests := map[string]struct {
		digest string
		want   registry.Description
	}{
		"an image says what it was built on": {first, registry.Description{
			Digest: first, MediaType: manifest, BaseName: "docker.io/library/debian:12", BaseDigest: baseDigest}},
		"a digest that is none is left out": {second, registry.Description{
			Digest: second, MediaType: manifest, BaseName: "docker.io/library/debian:12"}},
		"an index names its platforms, without attestations": {indexOf(""), registry.Description{
			MediaType: index, Children: []registry.Child{{Platform: "linux/amd64", Digest: first}}}},
		"an index is believed what its children say": {
			indexOf(`,"annotations":{"org.opencontainers.image.base.name":"debian:12"}`), registry.Description{
				MediaType: index, BaseName: "debian:12", Children: []registry.Child{{Platform: "linux/amd64", Digest: first}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.Digest = tt.digest
			got, err := newClient(r.Host).Describe(t.Context(), ref, tt.digest, anonymous)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeRefuses(t *testing.T) {
	answers := func(body string, length int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", fmt.Sprint(length))
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	tests := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		wantClass registry.Class
		wantText  string
	}{
		"content of another digest":  {answers(`{"schemaVersion":2}`, 19), registry.Invalid, "damaged"},
		"an answer that breaks off":  {answers(`{"schema`, 100), registry.Unavailable, "broke off"},
		"an answer of more than 8MB": {answers(strings.Repeat(" ", 9<<20), 9<<20), registry.Invalid, "8 MiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			digest := r.Push(t, ref)
			r.Intercept(tt.intercept)
			_, err := newClient(r.Host).Describe(t.Context(), ref, digest, anonymous)
			if registry.ClassOf(err) != tt.wantClass || !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("error %v, want %s that says %q", err, tt.wantClass, tt.wantText)
			}
		})
	}
}
