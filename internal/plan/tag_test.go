// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func TestProof(t *testing.T) {
	kept := parentShowing(b)
	kept.Mirrors = []string{"registry.example.com/mirror/base"}
	kept.Kept = []v1alpha1.Revision{{Revision: 1, Digest: a, Roots: []v1alpha1.Root{{Reference: "root", Digest: a}}}}
	tests := map[string]struct {
		base     BaseAnnotation
		wantFrom v1alpha1.Digest
	}{
		"the parent's current digest":              {BaseAnnotation{Name: baseRef.Pinned(string(b)), Digest: b}, b},
		"an earlier digest of the parent":          {BaseAnnotation{Name: baseRef.Name(), Digest: a}, a},
		"a copy of the parent's":                   {BaseAnnotation{Name: "registry.example.com/mirror/base:12-b", Digest: b}, b},
		"a digest that the parent never had":       {BaseAnnotation{Name: baseRef.Name(), Digest: c}, ""},
		"another image with the same digest":       {BaseAnnotation{Name: "registry.example.com/other:12", Digest: b}, ""},
		"no digest":                                {BaseAnnotation{Name: baseRef.Name()}, ""},
		"no annotation":                            {BaseAnnotation{}, ""},
		"a name that is no reference":              {BaseAnnotation{Name: "://", Digest: b}, ""},
		"a name with capitals, as nobody wrote it": {BaseAnnotation{Name: "REGISTRY.example.com/platform/BASE:12", Digest: b}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(with(), func(s *Snapshot) {
				s.Parents, s.Observation.Base = []Parent{kept}, tc.base
			})
			accept, ok := Compute(s).Step.(Accept)
			if !ok {
				t.Fatalf("the image was not adopted: %+v", Compute(s))
			}
			var got v1alpha1.Digest
			if len(accept.Revision.BuiltFrom) > 0 {
				got = accept.Revision.BuiltFrom[0].Digest
			}
			if got != tc.wantFrom {
				t.Errorf("built from %q, want %q", got, tc.wantFrom)
			}
		})
	}
}
