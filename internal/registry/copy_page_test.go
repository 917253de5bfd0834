// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"net/url"
	"testing"

	"github.com/imagelineage/imagelineage/internal/reference"
)

func TestNextPage(t *testing.T) {
	of := &url.URL{Scheme: "https", Host: "registry.example.com", Path: "/v2/team/app/referrers/sha256:1"}
	tests := map[string]struct {
		link, want string
		wantError  bool
	}{
		"no header":             {},
		"a path":                {link: `</v2/x?n=2>; rel="next"`, want: "https://registry.example.com/v2/x?n=2"},
		"a query":               {link: `<?last=a>;rel=next`, want: "https://registry.example.com/v2/team/app/referrers/sha256:1?last=a"},
		"an address":            {link: `<https://registry.example.com/x>; rel="next"`, want: "https://registry.example.com/x"},
		"another relation":      {link: `</v2/x>; rel="prev"`},
		"another host":          {link: `<https://other.example.com/x>; rel="next"`, wantError: true},
		"back to plain HTTP":    {link: `<http://registry.example.com/x>; rel="next"`, wantError: true},
		"somebody's name":       {link: `<https://me@registry.example.com/x>; rel="next"`, wantError: true},
		"nothing of an address": {link: `<:>; rel="next"`, wantError: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := nextPage(of, tt.link)
			if got != tt.want || (err != nil) != tt.wantError {
				t.Errorf("nextPage(%q) = %q, %v; want %q", tt.link, got, err, tt.want)
			}
		})
	}
}

// FuzzNextPage: whatever a registry says, the client stays with it.
func FuzzNextPage(f *testing.F) {
	f.Add(`</v2/x?n=2>; rel="next"`)
	f.Add(`<https://other.example.com/x>; rel="next"`)
	f.Add(`<//other/x>; rel=next`)
	f.Add(`<\\elsewhere\x>; rel=next`)
	f.Add(`<>;rel=next`)
	of := &url.URL{Scheme: "https", Host: "registry.example.com", Path: "/v2/"}
	f.Fuzz(func(t *testing.T, link string) {
		got, err := nextPage(of, link)
		if err != nil || got == "" {
			return
		}
		next, err := url.Parse(got)
		if err != nil || next.Host != of.Host || next.Scheme != of.Scheme || next.User != nil {
			t.Errorf("nextPage(%q) = %q", link, got)
		}
	})
}

// FuzzUploadAddress: no upload goes to plain HTTP, or takes a name along. That none goes
// from the Internet to a private address is the guard's affair.
func FuzzUploadAddress(f *testing.F) {
	f.Add("/v2/team/app/blobs/uploads/1?_state=x")
	f.Add("https://storage.example.com/upload")
	f.Add("http://registry.example.com/upload")
	f.Add("https://10.0.0.1/upload")
	f.Add("https://me@registry.example.com/")
	f.Add("//169.254.169.254/latest")
	of := &url.URL{Scheme: "https", Host: "registry.example.com", Path: "/v2/"}
	q := question{ref: reference.Reference{Repository: "registry.example.com/team/app", Tag: "stable"}}
	f.Fuzz(func(t *testing.T, location string) {
		got, err := uploadAddress(q, of, location)
		if err != nil {
			return
		}
		if got.Scheme != "https" || got.User != nil {
			t.Errorf("uploadAddress(%q) = %s", location, got)
		}
	})
}
