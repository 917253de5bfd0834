// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// mirroring is debian, current at x, and mirrored.
func mirroring(mirror string, edits ...func(*Snapshot)) Snapshot {
	l := &v1alpha1.ImageLineage{Spec: v1alpha1.ImageLineageSpec{
		Image: "docker.io/library/debian:12", Mirror: &v1alpha1.Mirror{Image: "registry.example.com/mirror/debian"},
	}}
	r := v1alpha1.Revision{Revision: 1, Digest: x, Mirror: mirror, Identities: IdentityOf(x), Origin: v1alpha1.OriginFollowed}
	l.Status.Current = &v1alpha1.CurrentRevision{Revision: r}
	l.Status.History = []v1alpha1.Revision{r}
	s := Snapshot{
		Now: now, Lineage: l, Reference: reference.Reference{Repository: "docker.io/library/debian", Tag: "12"},
		Observation: &Observation{Digest: x, Started: now, Repeats: 1},
	}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

// TestMirror: what is copied, and when it is current.
func TestMirror(t *testing.T) {
	copied := "registry.example.com/mirror/debian:12-x@" + string(x)
	tests := map[string]struct {
		snapshot Snapshot
		want     string
	}{
		"a new digest is copied before it is current":               {mirroring(copied, func(s *Snapshot) { s.Observation.Digest = y }), "accept a copy"},
		"the current one is copied where it is not":                 {mirroring(""), "copy"},
		"where the mirror is another one, the copy is a revision":   {mirroring("registry.example.com/old/debian:12-x@" + string(x)), "accept a copy"},
		"once it is there, nothing is done":                         {mirroring(copied), ""},
		"nothing is copied without a mirror":                        {mirroring("", func(s *Snapshot) { s.Lineage.Spec.Mirror = nil }), ""},
		"without a mirror a new digest is current at once":          {mirroring("", func(s *Snapshot) { s.Lineage.Spec.Mirror = nil; s.Observation.Digest = y }), "accept"},
		"nothing is copied while the lineage is suspended":          {mirroring("", func(s *Snapshot) { s.Lineage.Spec.Suspend = true }), ""},
		"nothing is copied while the registry has not yet answered": {mirroring("", func(s *Snapshot) { s.Observation = nil }), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			switch step := Compute(tt.snapshot).Step.(type) {
			case Accept:
				got = "accept"
				if step.Mirror {
					got = "accept a copy"
				}
			case Mirror:
				got = "copy"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWorkloadsOfAMirror: both names are known, and each workload keeps its own unless
// all are to use the mirror.
func TestWorkloadsOfAMirror(t *testing.T) {
	debian := reference.Reference{Repository: "docker.io/library/debian", Tag: "12"}
	mirror := reference.Reference{Repository: "registry.example.com/mirror/debian"}
	copyOf := func(d v1alpha1.Digest) string { return mirror.WithTag("12-copy").TaggedPinned(string(d)) }
	older := v1alpha1.Revision{Revision: 1, Digest: x, Mirror: copyOf(x), Identities: IdentityOf(x)}
	current := v1alpha1.Revision{Revision: 2, Digest: y, Mirror: copyOf(y), Identities: IdentityOf(y)}
	tests := map[string]struct {
		image     string
		useMirror bool
		want      []string
	}{
		"the original moves within its repository":         {image: debian.TaggedPinned(string(x)), want: []string{debian.TaggedPinned(string(y))}},
		"a copy moves within the mirror":                   {image: copyOf(x), want: []string{copyOf(y)}},
		"the original moves to the mirror where it should": {image: debian.TaggedPinned(string(x)), useMirror: true, want: []string{copyOf(y)}},
		"also where it is current":                         {image: debian.TaggedPinned(string(y)), useMirror: true, want: []string{copyOf(y)}},
		"a current copy stays":                             {image: copyOf(y), useMirror: true},
		"a current original stays where it may":            {image: debian.TaggedPinned(string(y))},
		"a bare digest of the mirror is known":             {image: mirror.Pinned(string(x)), want: []string{copyOf(y)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			claimants := []Claimant{{
				Name: "debian", Reference: debian, Mirror: mirror, Mirrors: []string{mirror.Repository}, UseMirror: tt.useMirror, Acts: true, ChangeOn: v1alpha1.IdentityIndex,
				Current: &current, History: []v1alpha1.Revision{current, older},
			}}
			if diff := cmp.Diff(tt.want, movedTo(running(tt.image), claimants)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWorkloadsOfAFormerMirror: they are found, and move to where spec.mirror says once
// the copy is there.
func TestWorkloadsOfAFormerMirror(t *testing.T) {
	debian := reference.Reference{Repository: "docker.io/library/debian", Tag: "12"}
	former := reference.Reference{Repository: "registry.example.com/former/debian"}
	mirror := reference.Reference{Repository: "registry.example.com/mirror/debian"}
	in := func(repository reference.Reference, d v1alpha1.Digest) string {
		return repository.WithTag("12-copy").TaggedPinned(string(d))
	}
	tests := map[string]struct {
		mirror    reference.Reference
		copied    bool
		useMirror bool
		image     string
		want      []string
	}{
		"one that is behind moves to the new mirror":                {mirror: mirror, copied: true, image: in(former, x), want: []string{in(mirror, y)}},
		"it waits for the copy":                                     {mirror: mirror, image: in(former, x)},
		"one that runs current stays":                               {mirror: mirror, copied: true, image: in(former, y)},
		"it moves where workloads are to use the mirror":            {mirror: mirror, copied: true, useMirror: true, image: in(former, y), want: []string{in(mirror, y)}},
		"an original that is current never moves to the former":     {mirror: mirror, useMirror: true, image: debian.TaggedPinned(string(y))},
		"an original that is behind never moves to the former":      {mirror: mirror, useMirror: true, image: debian.TaggedPinned(string(x)), want: []string{debian.TaggedPinned(string(y))}},
		"without a mirror one that is behind moves to the original": {image: in(former, x), want: []string{debian.TaggedPinned(string(y))}},
		"without a mirror one that runs current stays":              {image: in(former, y)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			older := v1alpha1.Revision{Revision: 1, Digest: x, Mirror: in(former, x), Identities: IdentityOf(x)}
			current := v1alpha1.Revision{Revision: 2, Digest: y, Identities: IdentityOf(y)}
			if tt.copied {
				current.Mirror = in(tt.mirror, y)
			}
			claimants := []Claimant{{
				Name: "debian", Reference: debian, Mirror: tt.mirror, Mirrors: []string{mirror.Repository, former.Repository}, UseMirror: tt.useMirror, Acts: true,
				Current: &current, History: []v1alpha1.Revision{current, older},
			}}
			if diff := cmp.Diff(tt.want, movedTo(running(tt.image), claimants)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			l := &v1alpha1.ImageLineage{}
			l.Name = "debian"
			if count := Tally(l, []Workload{running(tt.image)}, claimants); count.Total != 1 {
				t.Errorf("%d workloads are counted, want 1", count.Total)
			}
		})
	}
}

// TestMirrors: former ones are told by the revisions that were copied there.
func TestMirrors(t *testing.T) {
	s := mirroring("registry.example.com/former/debian:12-x@" + string(x))
	want := []string{"docker.io/library/debian", "registry.example.com/mirror/debian", "registry.example.com/former/debian"}
	if diff := cmp.Diff(want, Repositories(s.Lineage)); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
}

// TestAMirrorThatIsNone is said, whether anything is to be copied or not.
func TestAMirrorThatIsNone(t *testing.T) {
	for name, shown := range map[string]v1alpha1.Digest{"the tag shows current": x, "the tag shows a new digest": y} {
		t.Run(name, func(t *testing.T) {
			got := Compute(mirroring("", func(s *Snapshot) {
				s.Lineage.Spec.Mirror.Image, s.Observation.Digest = "mirror/Debian", shown
			}))
			if got.Problem == nil || got.Problem.Reason != v1alpha1.ReasonInvalidSpec {
				t.Errorf("problem %+v, want %s", got.Problem, v1alpha1.ReasonInvalidSpec)
			}
		})
	}
}

// running is a workload with one container.
func running(image string) Workload {
	return Workload{Kind: "Deployment", Name: "tool", Health: Healthy, Containers: []Container{{Name: "tool", Image: image}}}
}

// movedTo is what a workload's containers are moved to.
func movedTo(w Workload, claimants []Claimant) []string {
	var to []string
	for _, change := range Roll(w, claimants) {
		to = append(to, change.To)
	}
	return to
}
