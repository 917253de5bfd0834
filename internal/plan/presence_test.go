// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// held is a workload that runs a digest of the lineage.
func held(name string, digest v1alpha1.Digest) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Workloads = append(s.Workloads, Workload{Kind: "Deployment", Name: name, Health: Healthy, Containers: []Container{{
			Name: "web", Image: webRef.TaggedPinned(string(digest)),
		}}})
	}
}

func kept(n int64, digest v1alpha1.Digest) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Lineage.Status.History = append(s.Lineage.Status.History, built(n, digest, a))
	}
}

// TestLookFor: only what is in use and not shown by the tag is asked for.
func TestLookFor(t *testing.T) {
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  []v1alpha1.Digest
	}{
		"the tag shows current, and workloads run it": {[]func(*Snapshot){held("web", x)}, nil},
		"the tag shows something else":                {[]func(*Snapshot){func(s *Snapshot) { s.Observation.Digest = y }}, []v1alpha1.Digest{x}},
		"the tag has not told yet what it shows":      {[]func(*Snapshot){func(s *Snapshot) { s.Observation = nil }}, nil},
		"nor has it, and a workload is behind":        {[]func(*Snapshot){kept(0, y), held("old", y), func(s *Snapshot) { s.Observation = nil }}, []v1alpha1.Digest{y}},
		"a workload runs an older revision":           {[]func(*Snapshot){kept(0, y), held("old", y)}, []v1alpha1.Digest{y}},
		"a child is built from an older revision":     {[]func(*Snapshot){kept(0, y), func(s *Snapshot) { s.ChildrenUse = []v1alpha1.Digest{y} }}, []v1alpha1.Digest{y}},
		"an older revision that nobody uses":          {[]func(*Snapshot){kept(0, y)}, nil},
		"children are built on the copy": {[]func(*Snapshot){kept(0, y), func(s *Snapshot) {
			s.Lineage.Status.History[1].Mirror = "registry.example.com/mirror/web:y@" + string(y)
			s.ChildrenUse = []v1alpha1.Digest{y}
		}}, nil},
		"current is in a former mirror only": {[]func(*Snapshot){func(s *Snapshot) {
			s.Lineage.Status.Current.Mirror = "registry.example.com/former/web:x@" + string(x)
			s.Observation.Digest = y
		}}, []v1alpha1.Digest{x}},
		"a workload runs an image that is none of our kept": {[]func(*Snapshot){held("other", y)}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, LookFor(snapshot(tt.edits...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMissing: what is gone is believed the second time, told with who uses it, and
// changes nothing else.
func TestMissing(t *testing.T) {
	says := func(o Observation) func(*Snapshot) {
		return func(s *Snapshot) { s.Presence = map[v1alpha1.Digest]*Observation{y: &o} }
	}
	tests := map[string]struct {
		presence    Observation
		wantRecheck bool
		wantMissing bool
		wantUnsure  bool
	}{
		"it is there":                             {presence: Observation{Digest: y, Repeats: 1}},
		"it is gone for the first":                {presence: Observation{Absent: true, Repeats: 1}, wantRecheck: true, wantUnsure: true},
		"it is gone, and then the registry fails": {presence: Observation{Absent: true, Repeats: 1, Failure: &Failure{Count: 1}}, wantUnsure: true},
		"it is gone again":                        {presence: Observation{Absent: true, Repeats: 2}, wantMissing: true},
		"the registry has no answer":              {presence: Observation{Failure: &Failure{Count: 5}}, wantUnsure: true},
		"the registry fails, and had":             {presence: Observation{Digest: y, Repeats: 3, Failure: &Failure{Count: 5}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(snapshot(kept(0, y), held("old", y), says(tt.presence)))
			if (len(got.Recheck) > 0) != tt.wantRecheck || (got.Missing != "") != tt.wantMissing {
				t.Errorf("recheck %v, missing %q", got.Recheck, got.Missing)
			}
			if got.Unsure != tt.wantUnsure {
				t.Errorf("unsure %t, want %t", got.Unsure, tt.wantUnsure)
			}
			if tt.wantMissing && !strings.Contains(got.Missing, "deployment/old") {
				t.Errorf("it does not say who uses it: %s", got.Missing)
			}
			if got.Step != nil {
				t.Errorf("step %+v", got.Step)
			}
		})
	}
}

// TestMissingCopies: that a copy is gone is told where it cannot be made again, once both
// registries have said so twice.
func TestMissingCopies(t *testing.T) {
	copied := func(s *Snapshot) {
		s.Lineage.Spec.Mirror = &v1alpha1.Mirror{Image: "registry.example.com/mirror/web"}
		s.Lineage.Status.Current.Mirror = "registry.example.com/mirror/web:1@" + string(x)
	}
	moved := func(s *Snapshot) { s.Lineage.Status.Current.Mirror = "registry.example.com/former/web:1@" + string(x) }
	absent := func(n int) func(*Snapshot) { return func(s *Snapshot) { s.CopyAbsent = n } }
	unknown := func(s *Snapshot) { s.CopyUnknown = true }
	tests := map[string]struct {
		edits       []func(*Snapshot)
		wantMissing bool
		wantUnsure  bool
		wantAgain   time.Duration
	}{
		"there is no mirror":              {edits: []func(*Snapshot){absent(2)}},
		"it is there":                     {edits: []func(*Snapshot){copied}, wantAgain: time.Hour},
		"the mirror has not told yet":     {edits: []func(*Snapshot){copied, unknown}, wantUnsure: true, wantAgain: time.Hour},
		"it is nowhere for the first":     {edits: []func(*Snapshot){copied, absent(1)}, wantUnsure: true, wantAgain: time.Minute},
		"it is nowhere":                   {edits: []func(*Snapshot){copied, absent(2)}, wantMissing: true, wantAgain: time.Hour},
		"the copy is in a former mirror":  {edits: []func(*Snapshot){copied, moved, absent(2)}},
		"the source has lost another one": {edits: []func(*Snapshot){copied, kept(0, y), held("old", y), gone(y)}, wantMissing: true, wantAgain: time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(snapshot(tt.edits...))
			if (got.Missing != "") != tt.wantMissing || got.Unsure != tt.wantUnsure || got.Again != tt.wantAgain {
				t.Errorf("missing %q, unsure %t, again after %s", got.Missing, got.Unsure, got.Again)
			}
		})
	}
	both := Compute(snapshot(copied, absent(2), kept(0, y), held("old", y), gone(y)))
	for _, word := range []string{"deployment/old", "registry.example.com/mirror/web", webRef.Repository} {
		if !strings.Contains(both.Missing, word) {
			t.Errorf("%q does not name %s", both.Missing, word)
		}
	}
}

// gone is a digest that the registry does not have.
func gone(digest v1alpha1.Digest) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Presence = map[v1alpha1.Digest]*Observation{digest: {Absent: true, Repeats: 2}}
	}
}
