// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestReferrersPage: GHCR has no referrers API and sends to a page for people. The
// tag is asked for instead, and the page is not.
func TestReferrersPage(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		switch {
		case strings.Contains(r.URL.Path, "/referrers/"):
			http.Redirect(w, r, "https://pages.example/team/app", http.StatusSeeOther)
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	digest, err := name.NewDigest(host+"/team/app@sha256:"+hex, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(Options{Rules: Rules{}.WithPlainHTTP(host)})
	found, err := remote.Referrers(digest, remote.WithContext(t.Context()), remote.WithTransport(client.transport(host)))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := found.IndexManifest()
	if err != nil || len(manifest.Manifests) > 0 {
		t.Errorf("referrers %v, %v", manifest, err)
	}
	want := []string{"/v2/", "/v2/team/app/referrers/sha256:" + hex, "/v2/team/app/manifests/sha256-" + hex}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAlias(t *testing.T) {
	for _, address := range []string{
		"http://10.1.2.3/token?a=b", "https://10.1.2.3:5000/x", "http://[fd00::5]/x", "https://[fd00::5]:8443/x", "http://[::ffff:10.1.2.3]:80/x",
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		there := req.Clone(t.Context())
		there.URL = aliased(req.URL)
		if strings.Contains(there.URL.Host, "[") || !strings.Contains(there.URL.Host, ".address.alt") {
			t.Errorf("%s: alias %s", address, there.URL)
		}
		if back := unaliased(there); back.URL.String() != address || back.Host != "" {
			t.Errorf("%s: came back as %s", address, back.URL)
		}
	}
}

// FuzzReceive: whatever a public registry says in the headers that send clients on,
// none of it is rewritten so that the library would take it.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		"http://10.1.2.3/token", "https://[fd00::5]:8443/x?y=z", "//10.1.2.3", "/v2/", "http://10.1.2.3.address.alt/", "http://0x7f000001/",
		"http://[fe80::1%25eth0]/", "http://a b/", "https://user:word@10.0.0.1:1/", `","realm="http://10.1.2.3/`,
	} {
		f.Add(seed, seed)
	}
	client := NewClient(Options{Rules: Rules{Hosts: []HostRule{{Host: "registry.example", Private: new(false)}}}})
	f.Fuzz(func(t *testing.T, challenge, location string) {
		g := &guard{home: "registry.example", setup: &client.setup, clock: client.clock}
		for _, status := range []int{http.StatusUnauthorized, http.StatusTemporaryRedirect} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example/v2/a/manifests/b", http.NoBody)
			resp := &http.Response{StatusCode: status, Request: req, Body: http.NoBody, Header: http.Header{}}
			resp.Header.Set("WWW-Authenticate", `Bearer realm="`+challenge+`"`)
			resp.Header.Set("Location", location)
			if err := g.receive(resp, g.leg(req), &witness{}); err != nil {
				t.Error(err)
			}
			if got := resp.Header.Get("Location"); got != location {
				t.Errorf("a public registry's %q became %s", location, got)
			}
			if got := resp.Header.Get("WWW-Authenticate"); got != `Bearer realm="`+challenge+`"` {
				t.Errorf("a public registry's %q became %s", challenge, got)
			}
		}
	})
}
