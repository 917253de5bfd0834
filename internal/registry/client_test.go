// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

var anonymous = registry.Keychain{}

// plainHTTP are rules that speak plain HTTP to hosts.
func plainHTTP(hosts ...string) registry.Rules { return registry.Rules{}.WithPlainHTTP(hosts...) }

func newClient(hosts ...string) *registry.Client {
	return registry.NewClient(registry.Options{Rules: plainHTTP(hosts...), UserAgent: "test", Timeout: 2 * time.Second})
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
