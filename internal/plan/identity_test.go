// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func content(value string) v1alpha1.Identity {
	return v1alpha1.Identity{Kind: v1alpha1.IdentityContent, Value: "all@" + value}
}

// TestSameImage: what of a parent's move is a change.
func TestSameImage(t *testing.T) {
	parent := func(digest v1alpha1.Digest, counts v1alpha1.Identity, kept ...v1alpha1.Revision) Parent {
		return Parent{Current: &ParentCurrent{Digest: digest, Identity: counts, Identities: append(IdentityOf(digest), counts)}, Kept: kept}
	}
	platforms := v1alpha1.Identity{Kind: v1alpha1.IdentityPlatforms, Value: "all@1"}
	knows := func(p Parent, more v1alpha1.Identity) Parent {
		p.Current.Identities = append(p.Current.Identities, more)
		return p
	}
	from := func(digest v1alpha1.Digest, more ...v1alpha1.Identity) v1alpha1.BuiltFrom {
		return v1alpha1.BuiltFrom{Digest: digest, Identities: more}
	}
	kept := func(digest v1alpha1.Digest, more ...v1alpha1.Identity) v1alpha1.Revision {
		return v1alpha1.Revision{Revision: 1, Digest: digest, Identities: append(IdentityOf(digest), more...)}
	}
	tests := map[string]struct {
		built  v1alpha1.BuiltFrom
		parent Parent
		want   bool
	}{
		"the same digest is the same image, whatever counts":           {from(a, IdentityOf(a)...), parent(a, content("1")), true},
		"another digest is another image where the digest counts":      {from(a, IdentityOf(a)...), parent(b, IdentityOf(b)[0]), false},
		"another digest of the same content is the same image":         {from(a, content("1")), parent(b, content("1")), true},
		"another content is another image":                             {from(a, content("1")), parent(b, content("2")), false},
		"a content that was not known when it was built from is known": {from(a, IdentityOf(a)...), parent(b, content("1"), kept(a, content("1"))), true},
		"what the parent knows of a digest goes before":                {from(a, content("old")), parent(b, content("1"), kept(a, content("1"))), true},
		"without a content to compare another digest is a change":      {from(a, IdentityOf(a)...), parent(b, content("1"), kept(a)), false},
		"the platforms count now, and the content was the same":        {from(a, content("1")), knows(parent(b, platforms), content("1")), true},
		"the platforms count now, and the content was another":         {from(a, content("2")), knows(parent(b, platforms), content("1")), false},
		"the platforms are known to differ, whatever the content":      {from(a, content("1"), v1alpha1.Identity{Kind: v1alpha1.IdentityPlatforms, Value: "all@2"}), knows(parent(b, platforms), content("1")), false},
		"content counts no more once the digest counts":                {from(a, content("1")), parent(b, IdentityOf(b)[0]), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sameImage(tt.built, tt.parent); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestANewDigestOfEqualContent: a parent's label moves no child.
func TestANewDigestOfEqualContent(t *testing.T) {
	parent := parentShowing(b)
	parent.Current.Identity = content("1")
	parent.Kept = []v1alpha1.Revision{{Revision: 1, Digest: a, Identities: []v1alpha1.Identity{content("1")}}}
	got := Compute(snapshot(func(s *Snapshot) { s.Parents = []Parent{parent} }))
	if got.Step != nil || got.Lineage.UpToDate != True || len(got.Verdicts) != 0 {
		t.Errorf("step %+v, standing %+v, verdicts %v", got.Step, got.Lineage, got.Verdicts)
	}
}

// TestIdentify: what counts is recorded where it becomes known.
func TestIdentify(t *testing.T) {
	told := func(identity v1alpha1.Identity) func(*Snapshot) {
		return func(s *Snapshot) { s.Observation.Identity = identity }
	}
	knows := func(identity v1alpha1.Identity) func(*Snapshot) {
		return func(s *Snapshot) {
			current := &s.Lineage.Status.Current.Revision
			current.Identities = append(IdentityOf(current.Digest), identity)
		}
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  Step
	}{
		"nothing is told":             {nil, nil},
		"the digest is known already": {[]func(*Snapshot){told(IdentityOf(x)[0])}, nil},
		"the content was not known":   {[]func(*Snapshot){told(content("1"))}, Identify{Identity: content("1")}},
		"the content is known":        {[]func(*Snapshot){told(content("1")), knows(content("1"))}, nil},
		"other platforms count now":   {[]func(*Snapshot){told(content("2")), knows(content("1"))}, Identify{Identity: content("2")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Compute(snapshot(tt.edits...)).Step); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNobodyRestartsForALabel: a workload that runs the content of current is
// current.
func TestNobodyRestartsForALabel(t *testing.T) {
	older := v1alpha1.Revision{Revision: 1, Digest: x, Identities: append(IdentityOf(x), content("1"))}
	current := v1alpha1.Revision{Revision: 2, Digest: y, Identities: append(IdentityOf(y), content("1"))}
	w := Workload{Kind: "Deployment", Name: "web", Health: Healthy, Containers: []Container{{
		Name: "web", Image: webRef.TaggedPinned(string(x)),
	}}}
	for counts, wantChanges := range map[v1alpha1.IdentityKind]int{v1alpha1.IdentityContent: 0, v1alpha1.IdentityIndex: 1} {
		claimants := []Claimant{{
			Name: "web", Reference: webRef, Acts: true, ChangeOn: counts,
			Current: &current, History: []v1alpha1.Revision{current, older},
		}}
		if got := Roll(w, claimants); len(got) != wantChanges {
			t.Errorf("%s counts: %d changes, want %d", counts, len(got), wantChanges)
		}
	}
}

// TestADigestKeepsItsIdentity: one that is known is not described again, and what is
// known of it is not forgotten under another tag.
func TestADigestKeepsItsIdentity(t *testing.T) {
	tests := map[string]struct {
		told v1alpha1.Identity
		want []v1alpha1.Identity
	}{
		"nothing is told anew": {v1alpha1.Identity{}, append(IdentityOf(x), content("1"))},
		"what is told counts":  {content("2"), append(IdentityOf(x), content("2"))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(mirroring("", func(s *Snapshot) {
				s.Lineage.Spec.Mirror, s.Tag = nil, "12.5"
				r := &s.Lineage.Status.History[0]
				r.Tag, r.Identities = "12.4", append(IdentityOf(x), content("1"))
				s.Lineage.Status.Current.Revision = *r
				s.Observation.Identity = tt.told
			}))
			step, ok := got.Step.(Accept)
			if !ok {
				t.Fatalf("step %+v, want the same digest accepted under another tag", got.Step)
			}
			if diff := cmp.Diff(tt.want, step.Revision.Identities); diff != "" {
				t.Errorf("identities (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCounting: until what counts is known, what was known before does.
func TestCounting(t *testing.T) {
	tests := map[string]struct {
		kind  v1alpha1.IdentityKind
		known []v1alpha1.Identity
		want  v1alpha1.Identity
	}{
		"what counts is known":            {v1alpha1.IdentityContent, append(IdentityOf(a), content("1")), content("1")},
		"the digest counts":               {v1alpha1.IdentityIndex, append(IdentityOf(a), content("1")), IdentityOf(a)[0]},
		"what counted before is known":    {v1alpha1.IdentityPlatforms, append(IdentityOf(a), content("1")), content("1")},
		"only the digest is known":        {v1alpha1.IdentityPlatforms, IdentityOf(a), IdentityOf(a)[0]},
		"nothing is, as in an old status": {v1alpha1.IdentityPlatforms, nil, IdentityOf(a)[0]},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Counting(tt.kind, a, tt.known); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
