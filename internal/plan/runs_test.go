// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestNumbers: names are made from numbers that only rise, so that what was
// created once is never created again.
func TestNumbers(t *testing.T) {
	tests := map[string]struct {
		edits                   []func(*Snapshot)
		wantNumber, wantAttempt int64
	}{
		"the first build makes revision 1":              {[]func(*Snapshot){with(), shows("", 2)}, 1, 1},
		"the next one makes the next":                   {[]func(*Snapshot){parentShows(b)}, 2, 1},
		"an attempt that failed takes a number's next":  {[]func(*Snapshot){parentShows(b), recorded(2, 1, "v1:old", v1alpha1.RunFailed)}, 2, 2},
		"a run that was superseded leaves its number":   {[]func(*Snapshot){with(adopted(2, y), built(1, x, a)), shows(y, 3), recorded(2, 1, "v1:old", v1alpha1.RunSuperseded), annotated(v1alpha1.RebuildAnnotation, "1")}, 3, 1},
		"a number that a discarded run had is not lost": {[]func(*Snapshot){parentShows(b), recorded(5, 2, "v1:old", v1alpha1.RunDiscarded)}, 5, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			create, ok := Compute(snapshot(tc.edits...)).Step.(Create)
			if !ok {
				t.Fatalf("nothing is created: %s", told(Compute(snapshot(tc.edits...))))
			}
			if create.Build.Number != tc.wantNumber || create.Build.Attempt != tc.wantAttempt {
				t.Errorf("number %d attempt %d, want %d and %d", create.Build.Number, create.Build.Attempt, tc.wantNumber, tc.wantAttempt)
			}
		})
	}
}

func TestBuildIsPinned(t *testing.T) {
	s := snapshot(parentShows(b))
	create, ok := Compute(s).Step.(Create)
	if !ok {
		t.Fatalf("nothing is created: %s", told(Compute(s)))
	}
	got := create.Build
	want := Build{
		Name: got.Name, Number: 2, Attempt: 1, Inputs: got.Inputs,
		Output:   "registry.example.com/shop/web:stable-" + got.Name[len("web-"):],
		Expected: string(x), Template: "v1:t", Reasons: []string{v1alpha1.ReasonParentChanged},
		BuiltFrom: []v1alpha1.BuiltFrom{{Name: "base", Reference: baseRef.Name(), Digest: b, Identities: IdentityOf(b)}},
		Roots:     []v1alpha1.Root{{Reference: baseRef.Name(), Digest: b, Accepted: metav1.NewMicroTime(earlier)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("build (-want +got):\n%s", diff)
	}
}

func TestRootsAreMergedByTheOldest(t *testing.T) {
	left, right := parentShowing(a), parentShowing(b)
	left.Current.Roots = []v1alpha1.Root{{Reference: "debian", Digest: a, Accepted: metav1.NewMicroTime(earlier)}}
	right.Current.Roots = []v1alpha1.Root{{Reference: "debian", Digest: b, Accepted: metav1.NewMicroTime(now)}, {Reference: "alpine", Digest: c}}
	want := []v1alpha1.Root{
		{Reference: "alpine", Digest: c},
		{Reference: "debian", Digest: a, Accepted: metav1.NewMicroTime(earlier)},
	}
	if diff := cmp.Diff(want, roots([]Parent{right, left})); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
}
