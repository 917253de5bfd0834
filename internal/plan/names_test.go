// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const testUID = "8c1f0a52-9f07-4a0e-9f2b-2a3c6a6f1f11"

func TestRunName(t *testing.T) {
	tests := map[string]struct {
		lineage    string
		wantPrefix string
	}{
		"a short name is kept":                   {"web", "web-"},
		"dots become dashes":                     {"web.v2", "web-v2-"},
		"a long name is cut at forty characters": {strings.Repeat("a", 60), strings.Repeat("a", 40) + "-"},
		"no dash is doubled where it is cut":     {strings.Repeat("a", 39) + ".b", strings.Repeat("a", 39) + "-"},
		"no dot is left where it is cut":         {strings.Repeat("a", 38) + "-.b", strings.Repeat("a", 38) + "-"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := RunName(tc.lineage, testUID, 3, "v1:abc", 1)
			if !strings.HasPrefix(got, tc.wantPrefix) || len(got) != len(tc.wantPrefix)+runHashLength {
				t.Errorf("RunName = %q, want %q and ten characters", got, tc.wantPrefix)
			}
			if problems := validation.IsDNS1123Label(got); problems != nil {
				t.Errorf("RunName = %q is no DNS label: %v", got, problems)
			}
		})
	}
}

// A name that changes with the operator's version would create a run again.
func TestRunNameGolden(t *testing.T) {
	const want = "web-g46jd2rfnv"
	if got := RunName("web", testUID, 3, "v1:abc", 1); got != want {
		t.Errorf("RunName = %q, want %q", got, want)
	}
}

func TestRunNameDependsOnEverything(t *testing.T) {
	names := map[string]string{
		RunName("web", testUID, 3, "v1:abc", 1):  "the first",
		RunName("web", "other", 3, "v1:abc", 1):  "another UID",
		RunName("web", testUID, 4, "v1:abc", 1):  "another number",
		RunName("web", testUID, 3, "v1:abcd", 1): "other inputs",
		RunName("web", testUID, 3, "v1:abc", 2):  "another attempt",
	}
	if len(names) != 5 {
		t.Errorf("of five different runs, only %d names: %v", len(names), names)
	}
}

func TestOutputTag(t *testing.T) {
	long := strings.Repeat("t", 128)
	tests := map[string]struct {
		tag, run, want string
	}{
		"the run's hash follows the tag":     {"stable", "web-shop-abcdefghij", "stable-abcdefghij"},
		"a long tag is cut to fit":           {long, "web-abcdefghij", long[:117] + "-abcdefghij"},
		"a run without a dash is all hash":   {"12", "abcdefghij", "12-abcdefghij"},
		"a tag that just fits is left whole": {long[:117], "web-abcdefghij", long[:117] + "-abcdefghij"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := OutputTag(tc.tag, tc.run)
			if got != tc.want {
				t.Errorf("OutputTag = %q, want %q", got, tc.want)
			}
			if len(got) > 128 {
				t.Errorf("OutputTag has %d characters", len(got))
			}
		})
	}
}

func parentAt(name, reference, digest string, identities ...v1alpha1.Identity) v1alpha1.BuiltFrom {
	return v1alpha1.BuiltFrom{
		Name: v1alpha1.ParentName(name), Reference: reference, Digest: v1alpha1.Digest(digest), Identities: identities,
	}
}

func TestInputsHash(t *testing.T) {
	index := func(value string) v1alpha1.Identity {
		return v1alpha1.Identity{Kind: v1alpha1.IdentityIndex, Value: value}
	}
	other := v1alpha1.Identity{Kind: "Other", Value: "x"}
	base := parentAt("base", "docker.io/library/debian:12", "sha256:aa", index("sha256:aa"), other)
	builder := parentAt("builder", "docker.io/library/golang:1.26", "sha256:bb", index("sha256:bb"))
	hash := func(parents ...v1alpha1.BuiltFrom) string {
		return InputsHash("registry.example.com/web:stable", parents, "v1:template", "", "")
	}
	// What is recorded in revisions has to be found again by later versions.
	const golden = "v1:65317b53dfe5161f29c42932cd4732d9"
	tests := map[string]struct {
		got      string
		wantSame bool
	}{
		"the same inputs":          {hash(base, builder), true},
		"parents in another order": {hash(builder, base), true},
		"identities in another order": {
			hash(parentAt("base", base.Reference, "sha256:aa", other, index("sha256:aa")), builder), true,
		},
		"another digest with the same identities": {
			hash(parentAt("base", base.Reference, "sha256:cc", base.Identities...), builder), true,
		},
		"another identity": {
			hash(parentAt("base", base.Reference, "sha256:aa", index("sha256:cc"), other), builder), false,
		},
		"another parent's reference": {
			hash(parentAt("base", "docker.io/library/debian:13", "sha256:aa", base.Identities...), builder), false,
		},
		"a parent less": {hash(base), false},
		"another reference": {
			InputsHash("registry.example.com/web:next", []v1alpha1.BuiltFrom{base, builder}, "v1:template", "", ""), false,
		},
		"another template": {
			InputsHash("registry.example.com/web:stable", []v1alpha1.BuiltFrom{base, builder}, "v1:other", "", ""), false,
		},
		"a request": {
			InputsHash("registry.example.com/web:stable", []v1alpha1.BuiltFrom{base, builder}, "v1:template", "again", ""), false,
		},
		"an epoch": {
			InputsHash("registry.example.com/web:stable", []v1alpha1.BuiltFrom{base, builder}, "v1:template", "", "2026-11-01T12:00:00Z"), false,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if same := tc.got == golden; same != tc.wantSame {
				t.Errorf("InputsHash = %q, golden %q, want same: %v", tc.got, golden, tc.wantSame)
			}
		})
	}
}

func TestInputsHashKnowsAParentWithoutIdentitiesByItsDigest(t *testing.T) {
	one := InputsHash("r:t", []v1alpha1.BuiltFrom{parentAt("base", "p:t", "sha256:aa")}, "", "", "")
	two := InputsHash("r:t", []v1alpha1.BuiltFrom{parentAt("base", "p:t", "sha256:bb")}, "", "", "")
	if one == two {
		t.Errorf("two digests without identities have the same hash %q", one)
	}
}
