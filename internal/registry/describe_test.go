// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

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
	tests := map[string]struct {
		digest string
		want   registry.Description
	}{
		"an image says what it was built on": {first, registry.Description{
			Digest: first, BaseName: "docker.io/library/debian:12", BaseDigest: baseDigest,
		}},
		"a digest that is none is left out": {second, registry.Description{
			Digest: second, BaseName: "docker.io/library/debian:12",
		}},
		"an index names its platforms, without attestations": {indexOf(""), registry.Description{
			Children: []registry.Child{{Platform: "linux/amd64", Digest: first}},
		}},
		"an index is believed what its children say": {
			indexOf(`,"annotations":{"org.opencontainers.image.base.name":"debian:12"}`), registry.Description{
				BaseName: "debian:12", Children: []registry.Child{{Platform: "linux/amd64", Digest: first}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.Digest = tt.digest
			got, err := newClient(r.Host).Describe(t.Context(), ref, tt.digest, registry.Detail{}, anonymous)
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
			w.Header().Set("Content-Length", strconv.Itoa(length))
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
			_, err := newClient(r.Host).Describe(t.Context(), ref, digest, registry.Detail{}, anonymous)
			if registry.ClassOf(err) != tt.wantClass || !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("error %v, want %s that says %q", err, tt.wantClass, tt.wantText)
			}
		})
	}
}

// TestDescribeRefusesExcess: what would fill the memory is refused, though it is an answer.
func TestDescribeRefusesExcess(t *testing.T) {
	child := func(system string) string {
		return `{"digest":"sha256:` + strings.Repeat("a", 64) + `","platform":{"os":"` + system + `","architecture":"amd64"}}`
	}
	tests := map[string]struct {
		children string
		wantErr  bool
	}{
		"a thousand images":                {children: strings.Repeat(child("linux")+",", 999) + child("linux")},
		"more than a thousand":             {children: strings.Repeat(child("linux")+",", 1000) + child("linux"), wantErr: true},
		"a platform's name without end":    {children: child(strings.Repeat("x", 101)), wantErr: true},
		"hundreds of thousands of nothing": {children: strings.Repeat("{},", 300_000) + "{}", wantErr: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			digest := r.PushManifest(t, ref, "application/vnd.oci.image.index.v1+json",
				[]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`+tt.children+`]}`))
			_, err := newClient(r.Host).Describe(t.Context(), ref, digest, registry.Detail{}, anonymous)
			if (err != nil) != tt.wantErr || tt.wantErr && (registry.ClassOf(err) != registry.Invalid || !strings.Contains(err.Error(), "than an image has")) {
				t.Errorf("error %v, want one: %t", err, tt.wantErr)
			}
		})
	}
}
