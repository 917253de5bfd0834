// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/imagelineage/imagelineage/internal/registry"
)

func TestKeptTag(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	tests := map[string]struct{ tag, digest, want string }{
		"tag and digest": {"12", digest, "12-0123456789abcdef0123456789abcdef"},
		"no tag":         {"", digest, "0123456789abcdef0123456789abcdef"},
		"a tag of the greatest length is cut": {
			strings.Repeat("a", 128), digest, strings.Repeat("a", 95) + "-0123456789abcdef0123456789abcdef",
		},
		"what looks like a tag for referrers is none": {"sha256", digest, "sha256-0123456789abcdef0123456789abcdef"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := registry.KeptTag(tt.tag, tt.digest); got != tt.want {
				t.Errorf("KeptTag = %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzKeptTag: of a tag and a digest it makes a tag, another one for each digest, and
// never one under which referrers or signatures are looked for.
func FuzzKeptTag(f *testing.F) {
	tagGrammar := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	reserved := regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)
	digestGrammar := regexp.MustCompile(`^[0-9a-f]{64}$`)
	f.Add("stable", strings.Repeat("0", 64), strings.Repeat("1", 64))
	f.Add("", strings.Repeat("0", 64), strings.Repeat("0", 31)+strings.Repeat("1", 33))
	f.Add("sha256-"+strings.Repeat("a", 64), strings.Repeat("a", 64), strings.Repeat("b", 64))
	f.Fuzz(func(t *testing.T, tag, hex, other string) {
		if tag != "" && !tagGrammar.MatchString(tag) || !digestGrammar.MatchString(hex) || !digestGrammar.MatchString(other) {
			return // no tag and digests
		}
		got := registry.KeptTag(tag, "sha256:"+hex)
		if !tagGrammar.MatchString(got) || !strings.HasSuffix(got, hex[:32]) {
			t.Errorf("KeptTag(%q, %q) = %q, which is no tag for it", tag, hex, got)
		}
		if again := registry.KeptTag(registry.FoundTag(got, "sha256:"+hex), "sha256:"+hex); again != got {
			t.Errorf("KeptTag(%q, %q) = %q, and from the tag in it comes %q", tag, hex, got, again)
		}
		if reserved.MatchString(got) {
			t.Errorf("KeptTag(%q, %q) = %q, which holds signatures", tag, hex, got)
		}
		if hex[:32] != other[:32] && got == registry.KeptTag(tag, "sha256:"+other) {
			t.Errorf("KeptTag(%q) = %q for two digests", tag, got)
		}
	})
}
