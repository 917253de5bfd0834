// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package configuration_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/operator/configuration"
	"github.com/imagelineage/imagelineage/internal/registry"
)

const head = "apiVersion: config.imagelineage.dev/v1alpha1\nkind: OperatorConfiguration\n"

// certificate is one of an authority that signs nothing.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBWjCCAQGgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDEwlhdXRob3Jp
dHkwIBcNNzAwMTAxMDAwMDAwWhgPMjIwMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMT
CWF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMLoDs3Ll6r2QNRo
STw5C9QA48qAuG6Z6O7abju7vquu3HHR8T2Rcio7QGLlOBakqG6ky8l2EkF4x+w5
F3/t7AyjQjBAMA4GA1UdDwEB/wQEAwICBDAPBgNVHRMBAf8EBTADAQH/MB0GA1Ud
DgQWBBT3h5G/ap79aRXh8gUY+KnHdAcqyDAKBggqhkjOPQQDAgNHADBEAiBzgbui
VFwAe4EsLCU9T5J2xCWl1kWyc3KSaIYSiggVEwIgDoGh8M83uOBTWHBu/QrYSrH1
wbNK4BlJiBqHtgG9kKs=
-----END CERTIFICATE-----
`

func TestLoad(t *testing.T) {
	tests := map[string]struct {
		content string
		// authorities is the content of the file ca.crt beside it; empty for none.
		authorities string
		want        registry.Rules
		wantErr     []string
	}{
		"nothing but the head": {content: head},
		"all that can be said": {
			content: head + `
registries:
  allowed: [quay.io, ghcr.io/team]
  hosts:
  - host: registry.corp.example:5000
    plainHTTP: true
    private: false
  - host: registry.corp.example
    caFile: ca.crt
    mirrors: [mirror.corp.example/hub]
    requestsPerSecond: 2.5
    anonymousRequestsPerSecond: 1
`,
			authorities: certificate,
			want: registry.Rules{
				Allowed: []string{"quay.io", "ghcr.io/team"},
				Hosts: []registry.HostRule{
					{Host: "registry.corp.example:5000", PlainHTTP: true, Private: new(false)},
					{
						Host: "registry.corp.example", CABundle: []byte(certificate), Mirrors: []string{"mirror.corp.example/hub"},
						RequestsPerSecond: 2.5, AnonymousRequestsPerSecond: 1,
					},
				},
			},
		},
		"an empty file": {wantErr: []string{`apiVersion: "" is not known: write config.imagelineage.dev/v1alpha1`, `kind: ""`}},
		"comments only": {content: "# nothing\n", wantErr: []string{"apiVersion: "}},
		"another kind":  {content: "apiVersion: v1\nkind: ConfigMap\n", wantErr: []string{`apiVersion: "v1" is not known`, `kind: "ConfigMap" is not known: write OperatorConfiguration`}},
		"no YAML":       {content: "a: [", wantErr: []string{"it is no YAML"}},
		"a field that is misspelt": {
			content: head + "registries: {hosts: [{host: quay.io, plainHttp: true}]}",
			wantErr: []string{`unknown field "registries.hosts[0].plainHttp": docs/configuration.md lists the fields`},
		},
		"a field twice":               {content: head + "registries: {allowed: [quay.io], allowed: []}", wantErr: []string{"already set"}},
		"text in place of a truth":    {content: head + "registries: {hosts: [{host: quay.io, plainHTTP: maybe}]}", wantErr: []string{"registries.hosts.plainHTTP: it is of type string: write true or false"}},
		"text in place of a number":   {content: head + "registries: {hosts: [{host: quay.io, requestsPerSecond: many}]}", wantErr: []string{"registries.hosts.requestsPerSecond: it is of type string: write a number"}},
		"a list in place of a map":    {content: head + "registries: []", wantErr: []string{"registries: it is of type array: write another structure"}},
		"a value that is wrong":       {content: head + "registries: {allowed: ['https://quay.io']}", wantErr: []string{`registries.allowed[0]: "https://quay.io" has a scheme: leave it out`}},
		"two values that are wrong":   {content: head + "registries: {allowed: [''], hosts: [{host: a.example, requestsPerSecond: -1}]}", wantErr: []string{"registries.allowed[0]", "registries.hosts[0].requestsPerSecond"}},
		"a file that does not exist":  {content: head + "registries: {hosts: [{host: a.example, caFile: ca.crt}]}", wantErr: []string{"registries.hosts[0].caFile: ", "no such file"}},
		"a file without certificates": {content: head + "registries: {hosts: [{host: a.example, caFile: ca.crt}]}", authorities: "hello", wantErr: []string{"registries.hosts[0].caBundle: it holds no certificate"}},
		"authorities twice": {
			content:     head + "registries: {hosts: [{host: a.example, caFile: ca.crt, caBundle: x}]}",
			authorities: certificate, wantErr: []string{"registries.hosts[0].caFile: caBundle is given too"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, dir, "config.yaml", tt.content)
			if tt.authorities != "" {
				write(t, dir, "ca.crt", tt.authorities)
			}
			got, err := configuration.Load(path)
			if len(tt.wantErr) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got.Rules); diff != "" {
					t.Errorf("rules (-want +got):\n%s", diff)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.wantErr, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q", err, want)
				}
			}
		})
	}
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// examples are the blocks of YAML of a page that are whole configurations.
func examples(page string) []string {
	var found []string
	for i, block := range strings.Split(page, "```") {
		if content, ok := strings.CutPrefix(block, "yaml\n"); ok && i%2 == 1 && strings.Contains(content, "kind: "+configuration.Kind) {
			found = append(found, content)
		}
	}
	return found
}

// TestDocumentedExamples: what the page shows can be copied, and every field is on it.
func TestDocumentedExamples(t *testing.T) {
	page := read(t, "../../../docs/configuration.md")
	found := examples(page)
	if len(found) == 0 {
		t.Fatal("no example")
	}
	for _, example := range found {
		dir := t.TempDir()
		write(t, dir, "corp-ca.crt", certificate)
		if _, err := configuration.Load(write(t, dir, "config.yaml", example)); err != nil {
			t.Errorf("%v in:\n%s", err, example)
		}
	}
	for _, field := range []string{
		"allowed", "hosts", "host", "plainHTTP", "caBundle", "caFile", "mirrors", "private", "requestsPerSecond", "anonymousRequestsPerSecond",
	} {
		if !strings.Contains(page, "`"+field+"`") && !strings.Contains(page, "."+field+"`") {
			t.Errorf("%s is not documented", field)
		}
	}
}

func TestLoadWithoutAFile(t *testing.T) {
	tests := map[string]struct {
		beside   []string
		dir      string // below the directory with the files
		wantNone bool
		wantErr  string
	}{
		"nobody has written one":                       {wantNone: true},
		"the kubelet's links and the secrets of hooks": {beside: []string{"..data", "hooks/harbor"}, wantNone: true},
		"a key with another name":                      {beside: []string{"config.yml"}, wantErr: "there is config.yml and no config.yaml beside it"},
		"a directory that there is not":                {dir: "none", wantErr: "no such file or directory"},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range tt.beside {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, dir, name, head)
			}
			_, err := configuration.Load(filepath.Join(dir, tt.dir, "config.yaml"))
			if errors.Is(err, configuration.ErrNone) != tt.wantNone || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want ErrNone %t, or %q", err, tt.wantNone, tt.wantErr)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// FuzzParse: whatever is in the file, there is an error or rules that are valid.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head))
	f.Add([]byte(head + "registries: {allowed: [quay.io], hosts: [{host: '*.corp.example', mirrors: [a.example/b], requestsPerSecond: 1e3}]}"))
	f.Add([]byte(head + "registries: {hosts: [{host: 'a.example:1', caFile: x, private: true}]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := configuration.Parse(raw)
		if err != nil {
			return
		}
		rules, err := read.Rules(func(string) ([]byte, error) { return []byte(certificate), nil })
		if err != nil {
			return
		}
		if err := rules.Validate(); err != nil {
			t.Errorf("rules that are not valid: %v", err)
		}
	})
}
