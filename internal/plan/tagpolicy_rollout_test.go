// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// TestClaimedTags: which running tags a lineage with spec.tags claims, and where it
// moves them.
func TestClaimedTags(t *testing.T) {
	postgres := reference.Reference{Repository: "docker.io/library/postgres"}
	older := v1alpha1.Revision{Revision: 1, Digest: x, Tag: "15.3", Identities: IdentityOf(x)}
	current := v1alpha1.Revision{Revision: 2, Digest: y, Tag: "15.4", Identities: IdentityOf(y)}
	rule, err := TagRuleOf(choosing(v1alpha1.TagPolicy{SemVer: "15.x"}, ""))
	if err != nil {
		t.Fatal(err)
	}
	claimants := []Claimant{{
		Name: "postgres-15", Reference: postgres, Tags: rule, Acts: true, ChangeOn: v1alpha1.IdentityIndex,
		Current: &current, History: []v1alpha1.Revision{current, older},
	}}
	to := "docker.io/library/postgres:15.4@" + string(y)
	tests := map[string]struct {
		image     string
		running   v1alpha1.Digest
		want      string
		wantTotal int32
	}{
		"a lower tag of the range moves up":             {image: "postgres:15.3@" + string(x), want: to, wantTotal: 1},
		"a lower plain tag moves up":                    {image: "postgres:15.3", running: x, want: to, wantTotal: 1},
		"the current tag on an older digest moves up":   {image: "postgres:15.4@" + string(x), want: to, wantTotal: 1},
		"the current one stays":                         {image: to, wantTotal: 1},
		"a higher tag is left alone":                    {image: "postgres:15.5@" + string(x), wantTotal: 1},
		"a higher plain tag is left alone":              {image: "postgres:15.5", running: x, wantTotal: 1},
		"another major version is somebody else's":      {image: "postgres:16.1@" + string(x)},
		"a tag that is no version is somebody else's":   {image: "postgres:latest"},
		"a bare digest of a revision moves up":          {image: "postgres@" + string(x), want: to, wantTotal: 1},
		"a tag that moved to the current digest stays":  {image: "postgres:15.3@" + string(y), wantTotal: 1},
		"a plain tag whose pods run current is current": {image: "postgres:15.3", running: y, wantTotal: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Container{Name: "db", Image: tt.image}
			if tt.running != "" {
				c.Running = []v1alpha1.Digest{tt.running}
			}
			w := Workload{Kind: "StatefulSet", Name: "db", Health: Healthy, Containers: []Container{c}}
			got := ""
			for _, change := range Roll(w, claimants) {
				got = change.To
			}
			if got != tt.want {
				t.Errorf("moved to %q, want %q", got, tt.want)
			}
			count := Tally(&v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Name: "postgres-15"}}, []Workload{w}, claimants)
			if count.Total != tt.wantTotal {
				t.Errorf("counts %d workloads, want %d", count.Total, tt.wantTotal)
			}
		})
	}
}

// TestTagsThatCannotBeRead: the lineage moves nothing, and what it chose before is not
// moved by another one that claims it as well.
func TestTagsThatCannotBeRead(t *testing.T) {
	postgres := reference.Reference{Repository: "docker.io/library/postgres"}
	revision := v1alpha1.Revision{Revision: 1, Digest: y, Tag: "15.4", Identities: IdentityOf(y)}
	newer := v1alpha1.Revision{Revision: 1, Digest: x, Identities: IdentityOf(x)}
	mistaken := Claimant{Name: "postgres-15", Reference: postgres, Current: &revision, History: []v1alpha1.Revision{revision}}
	other := func(tag string) Claimant {
		return Claimant{Name: "postgres", Reference: postgres.WithTag(tag), Acts: true, Current: &newer, History: []v1alpha1.Revision{newer, revision}}
	}
	tests := map[string]struct {
		image string
		other Claimant
		want  bool
	}{
		"a tag that it chose stays contested":       {"postgres:15.4@" + string(y), other("15.4"), false},
		"one that it never chose is somebody's":     {"postgres:16.1@" + string(y), other("16.1"), true},
		"it does not move what it claims by itself": {"postgres:15.4@" + string(x), other("16.1"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := Workload{Kind: "StatefulSet", Name: "db", Health: Healthy, Containers: []Container{{Name: "db", Image: tt.image}}}
			if got := Roll(w, []Claimant{tt.other, mistaken}); (len(got) > 0) != tt.want {
				t.Errorf("changes %+v, want some: %t", got, tt.want)
			}
		})
	}
}

// TestCopiesOfChosenTags: the tag of a copy is no higher tag, however open the pattern.
func TestCopiesOfChosenTags(t *testing.T) {
	debian := reference.Reference{Repository: "docker.io/library/debian"}
	mirror := reference.Reference{Repository: "registry.example.com/mirror/debian"}
	in := func(d v1alpha1.Digest) string {
		return mirror.WithTag("bookworm-20240201-" + reference.ShortDigest(string(d))).TaggedPinned(string(d))
	}
	rule, err := TagRuleOf(choosing(v1alpha1.TagPolicy{Pattern: "bookworm-.*", Order: v1alpha1.TagsAlphabetical}, ""))
	if err != nil {
		t.Fatal(err)
	}
	older := v1alpha1.Revision{Revision: 1, Digest: x, Tag: "bookworm-20240201", Mirror: in(x), Identities: IdentityOf(x)}
	current := v1alpha1.Revision{Revision: 2, Digest: y, Tag: "bookworm-20240201", Mirror: in(y), Identities: IdentityOf(y)}
	claimants := []Claimant{{
		Name: "debian", Reference: debian, Tags: rule, Mirror: mirror, Mirrors: []string{mirror.Repository}, Acts: true,
		Current: &current, History: []v1alpha1.Revision{current, older},
	}}
	w := Workload{Kind: "Deployment", Name: "tool", Health: Healthy, Containers: []Container{{Name: "tool", Image: in(x)}}}
	if got := Roll(w, claimants); len(got) != 1 || got[0].To != in(y) {
		t.Errorf("changes %+v, want one to %s", got, in(y))
	}
}
