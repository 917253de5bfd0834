// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// choice is a snapshot of a lineage that chooses among the tags of postgres, at 15.3.
func choice(t *testing.T, tags string, repeats int, observed v1alpha1.Digest) Snapshot {
	t.Helper()
	l := choosing(v1alpha1.TagPolicy{SemVer: "15.x"}, "15.3")
	l.Status.Current.Revision = v1alpha1.Revision{
		Revision: 1, Digest: x, Tag: "15.3", Identities: IdentityOf(x), Origin: v1alpha1.OriginFollowed,
	}
	l.Status.History = []v1alpha1.Revision{l.Status.Current.Revision}
	rule, err := TagRuleOf(l)
	if err != nil {
		t.Fatal(err)
	}
	s := Snapshot{
		Now: now, Lineage: l, Reference: reference.Reference{Repository: "docker.io/library/postgres"}, Tags: rule,
		Listing: &Listing{Tags: strings.Fields(tags), Repeats: repeats},
	}
	s.Tag = ChooseTag(l, rule, s.Listing)
	if observed != "" {
		s.Observation = &Observation{Digest: observed, Started: now.Add(-time.Second), Repeats: 1}
	}
	return s
}

// TestChosenTag: what comes of a list of tags.
func TestChosenTag(t *testing.T) {
	tests := map[string]struct {
		snapshot     Snapshot
		wantTag      string // that is accepted
		wantCheck    bool
		wantResolved Truth
		wantMessage  string
	}{
		"a higher tag is followed":                             {snapshot: choice(t, "15.3 15.4", 1, y), wantTag: "15.4", wantResolved: True},
		"a higher tag of the same image is noted":              {snapshot: choice(t, "15.3 15.4", 1, x), wantTag: "15.4", wantResolved: True},
		"the tag of current moves":                             {snapshot: choice(t, "15.2 15.3", 1, y), wantTag: "15.3", wantResolved: True},
		"nothing is new":                                       {snapshot: choice(t, "15.2 15.3", 1, x), wantResolved: True},
		"a list without current's tag is asked for again":      {snapshot: choice(t, "15.1", 1, x), wantCheck: true, wantResolved: True},
		"a list that lacks it twice is told, and moves no one": {snapshot: choice(t, "15.1", 2, x), wantResolved: False, wantMessage: "a lower one is never taken"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(tt.snapshot)
			tag := ""
			if accept, ok := got.Step.(Accept); ok {
				tag = accept.Revision.Tag
				if want := "docker.io/library/postgres@" + string(accept.Revision.Digest); accept.Revision.Reference != want {
					t.Errorf("reference %s, want %s", accept.Revision.Reference, want)
				}
			}
			if tag != tt.wantTag || got.Check != tt.wantCheck || got.Registry.Resolved != tt.wantResolved || !strings.Contains(got.Registry.Message, tt.wantMessage) {
				t.Errorf("tag %q, check %t, %+v", tag, got.Check, got.Registry)
			}
		})
	}
}

// TestNoTagCounts: it says so, and what to do.
func TestNoTagCounts(t *testing.T) {
	s := choice(t, "16.1 latest", 3, "")
	s.Lineage.Status = v1alpha1.ImageLineageStatus{}
	s.Tag = ChooseTag(s.Lineage, s.Tags, s.Listing)
	got := Compute(s)
	if got.Busy.Reason != v1alpha1.ReasonTagAbsent || !strings.Contains(got.Busy.Message, "none of the 2 tags") {
		t.Errorf("%+v", got.Busy)
	}
}
