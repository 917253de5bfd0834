// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

func TestImage(t *testing.T) {
	img, err := build("amd64", files([]byte("binary"), []byte("certificates")))
	if err != nil {
		t.Fatal(err)
	}

	content := map[string]string{}
	extracted := mutate.Extract(img)
	defer func() { _ = extracted.Close() }()
	for r := tar.NewReader(extracted); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		bytes, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		content[header.Name] = string(bytes)
	}
	want := map[string]string{
		"manager":                           "binary",
		"etc/passwd":                        "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
		"etc/group":                         "nonroot:x:65532:\n",
		"etc/ssl/certs/ca-certificates.crt": "certificates",
	}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != nonroot {
		t.Errorf("user: want %s, got %s", nonroot, config.Config.User)
	}
	if diff := cmp.Diff([]string{"/manager"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entrypoint (-want +got):\n%s", diff)
	}
}

func TestSameFilesGiveTheSameDigest(t *testing.T) {
	var digests []string
	for range 2 {
		img, err := build("amd64", files([]byte("binary"), nil))
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds of the same files: %s and %s", digests[0], digests[1])
	}
}

func TestPlainHTTPIsSpokenToNamedRegistriesOnly(t *testing.T) {
	for title, tc := range map[string]struct {
		image      string
		plainHTTP  []string
		wantScheme string
		wantErr    string
	}{
		"a public registry is spoken to in HTTPS": {
			image: "registry.example.com/operator:dev", wantScheme: "https",
		},
		"a named registry is spoken to in plain HTTP": {
			image: "registry.example.com/operator:dev", plainHTTP: []string{"registry.example.com"}, wantScheme: "http",
		},
		"a private address is no reason for plain HTTP": {
			image: "10.0.0.1:5000/operator:dev", wantErr: "name it in -plain-http",
		},
		"a private address that is named gets plain HTTP": {
			image: "10.0.0.1:5000/operator:dev", plainHTTP: []string{"10.0.0.1:5000"}, wantScheme: "http",
		},
	} {
		t.Run(title, func(t *testing.T) {
			tag, err := parseTag(tc.image, tc.plainHTTP)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("want an error with %q, got %v", tc.wantErr, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tag.Scheme() != tc.wantScheme {
				t.Errorf("scheme: want %s, got %s", tc.wantScheme, tag.Scheme())
			}
		})
	}
}
