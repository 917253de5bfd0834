// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/registry"
)

func TestRulesOfFileAndFlags(t *testing.T) {
	const head = "apiVersion: config.imagelineage.dev/v1alpha1\nkind: OperatorConfiguration\n"
	tests := map[string]struct {
		content string // empty for no file
		flags   []string
		want    registry.Rules
		wantErr string
	}{
		"neither": {},
		"a directory that is mounted for a file, and empty": {flags: []string{"--config=" + filepath.Join(t.TempDir(), "config.yaml")}},
		"a path that is misspelt":                           {flags: []string{"--config=/none/config.yaml"}, wantErr: "/none/config.yaml"},
		"flags alone": {
			flags: []string{"--plain-http-registries=a.example:5000, b.example", "--plain-http-registries=c.example"},
			want: registry.Rules{Hosts: []registry.HostRule{
				{Host: "c.example", PlainHTTP: true}, {Host: "b.example", PlainHTTP: true}, {Host: "a.example:5000", PlainHTTP: true},
			}},
		},
		"a file and a flag for one host": {
			content: head + "registries: {allowed: [quay.io], hosts: [{host: quay.io}, {host: a.example, requestsPerSecond: 2}]}",
			flags:   []string{"--plain-http-registries=a.example"},
			want: registry.Rules{Allowed: []string{"quay.io"}, Hosts: []registry.HostRule{
				{Host: "a.example", PlainHTTP: true, RequestsPerSecond: 2}, {Host: "quay.io"},
			}},
		},
		"a file that cannot be used": {content: head + "hook: {}", wantErr: `unknown field "hook"`},
		"a flag that cannot be used": {flags: []string{"--plain-http-registries=a.example:x"}, wantErr: `"a.example:x" is no host`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var o Options
			flags := flag.NewFlagSet("operator", flag.ContinueOnError)
			o.Bind(flags)
			if tt.content != "" {
				path := filepath.Join(t.TempDir(), "config.yaml")
				if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
				tt.flags = append(tt.flags, "--config="+path)
			}
			if err := flags.Parse(tt.flags); err != nil {
				t.Fatal(err)
			}
			got, err := o.load()
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}
