// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// trusted is a registry that speaks HTTPS with a certificate that can change.
type trusted struct {
	*registrytest.Registry

	host        string
	certificate atomic.Pointer[tls.Certificate]
	// connections that were begun.
	connections atomic.Int32
	closeIdle   func()
}

func newTrusted(t *testing.T, certificate tls.Certificate) *trusted {
	t.Helper()
	r := &trusted{Registry: registrytest.New(t)}
	r.certificate.Store(&certificate)
	server, host := serveTLS(t, r.Registry, func() tls.Certificate { r.connections.Add(1); return *r.certificate.Load() })
	r.host, r.closeIdle = host, server.CloseClientConnections
	return r
}

func (r *trusted) reference(t *testing.T, image string) reference.Reference {
	t.Helper()
	ref, err := reference.Parse(r.host + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestAuthoritiesOfAHost(t *testing.T) {
	one, two := newAuthority(t), newAuthority(t)
	r, other := newTrusted(t, one.sign(t)), newTrusted(t, two.sign(t))
	ref, otherRef := r.reference(t, "team/app:stable"), other.reference(t, "team/app:stable")
	r.Push(t, ref)
	other.Push(t, otherRef)
	client := registry.NewClient(registry.Options{Timeout: 2 * time.Second})
	rules := registry.Rules{Hosts: []registry.HostRule{{Host: r.host, CABundle: one.bundle}, {Host: other.host, CABundle: one.bundle}}}
	if err := client.Configure(rules); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Head(t.Context(), ref, anonymous); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	_, err := client.Head(t.Context(), otherRef, anonymous)
	if registry.ClassOf(err) != registry.Unavailable || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with another one: %v", err)
	}
	rules.Hosts[1].CABundle = two.bundle
	if err := client.Configure(rules); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Head(t.Context(), otherRef, anonymous); err != nil {
		t.Errorf("with the authority that was named meanwhile: %v", err)
	}
	begun := r.connections.Load()
	r.ResetRequests()
	for range 3 {
		if _, err := client.Head(t.Context(), ref, anonymous); err != nil {
			t.Error(err)
		}
	}
	if n, requests := r.connections.Load(), r.Requests("", ""); n != begun || requests != 3 {
		t.Errorf("a change for another host began %d connections, and 3 Heads made %d requests; want none and 3", n-begun, requests)
	}
}

// TestCertificateChanges: one that is not trusted is an error that says so, and
// one of the same authority is nothing to speak of.
func TestCertificateChanges(t *testing.T) {
	trustedAuthority := newAuthority(t)
	r := newTrusted(t, trustedAuthority.sign(t))
	ref := r.reference(t, "team/app:stable")
	r.Push(t, ref)
	client := registry.NewClient(registry.Options{
		Timeout: 2 * time.Second, Rules: host(registry.HostRule{Host: r.host, CABundle: trustedAuthority.bundle}),
	})
	for _, step := range []struct {
		name        string
		certificate tls.Certificate
		want        string
	}{
		{name: "the first", certificate: trustedAuthority.sign(t)},
		{name: "renewed", certificate: trustedAuthority.sign(t)},
		{name: "somebody else's", certificate: newAuthority(t).sign(t), want: "its certificate is signed by an unknown authority"},
		{name: "as before", certificate: trustedAuthority.sign(t)},
	} {
		r.certificate.Store(&step.certificate)
		r.closeIdle()
		_, err := client.Head(t.Context(), ref, anonymous)
		if step.want == "" && err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if step.want != "" && (registry.ClassOf(err) != registry.Unavailable || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("%s: error %v, want %q", step.name, err, step.want)
		}
	}
}

func TestConfigureEndsSessions(t *testing.T) {
	r, other := registrytest.New(t), registrytest.New(t)
	ref, otherRef := r.Reference(t, "team/app:stable"), other.Reference(t, "team/app:stable")
	r.Push(t, ref)
	other.Push(t, otherRef)
	client := newClient(r.Host, other.Host)
	ask := func(want string) {
		t.Helper()
		_, err := client.Head(t.Context(), ref, anonymous)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := client.Head(t.Context(), otherRef, anonymous); err != nil {
			t.Errorf("the other registry: %v", err)
		}
	}
	ask("")
	for _, step := range []struct {
		rules registry.Rules
		want  string
	}{
		{plainHTTP(other.Host), "does not speak HTTPS"},
		{plainHTTP(r.Host, other.Host), ""},
		{registry.Rules{Allowed: []string{other.Host, r.Host + "/tools"}}.WithPlainHTTP(r.Host, other.Host), "the operator's configuration does not allow this registry"},
		{registry.Rules{Allowed: []string{other.Host, r.Host + "/team"}}.WithPlainHTTP(r.Host, other.Host), ""},
	} {
		if err := client.Configure(step.rules); err != nil {
			t.Fatal(err)
		}
		ask(step.want)
	}
	if n := other.Requests(http.MethodGet, "/v2/"); n != 1 {
		t.Errorf("the other registry saw %d sessions, want 1", n)
	}
	if err := client.Configure(host(registry.HostRule{Host: "a b"})); err == nil {
		t.Error("rules that are not valid are taken")
	}
	ask("")
}

func TestNotAllowedIsNotAsked(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	digest := r.Push(t, ref)
	client := registry.NewClient(registry.Options{Rules: registry.Rules{Allowed: []string{"quay.io"}}.WithPlainHTTP(r.Host)})
	asking := map[string]func() error{
		"Head": func() error { _, err := client.Head(t.Context(), ref, anonymous); return err },
		"Describe": func() error {
			_, err := client.Describe(t.Context(), ref, digest, registry.Detail{}, anonymous)
			return err
		},
		"MayPush": func() error { return client.MayPush(t.Context(), ref, anonymous) },
		"Publish": func() error {
			_, err := client.Publish(t.Context(), ref, digest, digest, anonymous)
			return err
		},
	}
	for name, ask := range asking {
		err := ask()
		if registry.ClassOf(err) != registry.Invalid || !strings.Contains(err.Error(), "an administrator can add it to registries.allowed") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if n := r.Requests("", ""); n != 0 {
		t.Errorf("%d requests", n)
	}
}
