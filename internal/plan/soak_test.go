// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestACandidateThatCannotBeLookedUp is said after a while, and keeps no older one.
func TestACandidateThatCannotBeLookedUp(t *testing.T) {
	refused := func(count int, since time.Duration) *Observation {
		return &Observation{Failure: &Failure{Reason: v1alpha1.ReasonUnauthorized, Message: "403", Count: count, Since: now.Add(-since)}}
	}
	tests := map[string]struct {
		older, newer *Observation
		wantTaken    v1alpha1.Digest
		wantResolved Truth
		wantBusy     bool
	}{
		"the newer one is taken":                 {older: nil, newer: &Observation{Digest: z}, wantTaken: z, wantResolved: True},
		"an outage is waited for":                {older: &Observation{Digest: y}, newer: refused(1, time.Minute), wantResolved: Unknown},
		"the older one is taken":                 {older: &Observation{Digest: y}, newer: refused(3, time.Hour), wantTaken: y, wantResolved: False},
		"none can be looked up":                  {older: refused(3, time.Hour), newer: refused(3, time.Hour), wantResolved: False},
		"none for more than a day":               {older: refused(99, 25*time.Hour), newer: refused(99, 25*time.Hour), wantResolved: False, wantBusy: true},
		"gone for the first, and then it fails":  {older: &Observation{Digest: y}, newer: goneThen(refused(3, time.Hour)), wantTaken: y, wantResolved: False},
		"there, and then the registry fails":     {older: nil, newer: shownThen(z, refused(3, time.Hour)), wantTaken: z, wantResolved: True},
		"nobody has asked yet: it is waited for": {older: &Observation{Digest: y}, newer: nil, wantResolved: True},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(mirroring("", func(s *Snapshot) {
				age := v1alpha1.Duration("1h")
				s.Lineage.Spec.Mirror, s.Lineage.Spec.Poll = nil, &v1alpha1.Poll{MinAge: &age}
				s.Observation.Digest = a
				for i, digest := range []v1alpha1.Digest{y, z, a} {
					seen := metav1.NewMicroTime(now.Add(-time.Duration(3-i)*time.Hour + 30*time.Minute))
					s.Lineage.Status.Candidates = append(s.Lineage.Status.Candidates, v1alpha1.Candidate{Digest: digest, FirstSeen: seen})
				}
				s.Presence = map[v1alpha1.Digest]*Observation{y: tt.older, z: tt.newer}
			}))
			step, _ := got.Step.(Accept)
			if step.Revision.Digest != tt.wantTaken || got.Registry.Resolved != tt.wantResolved {
				t.Errorf("took %q, resolved %+v", step.Revision.Digest, got.Registry)
			}
			if tt.wantResolved == False && !strings.Contains(got.Registry.Message, "cannot be looked up") {
				t.Errorf("said %q", got.Registry.Message)
			}
			if tt.wantBusy != (got.Busy.Reason == v1alpha1.ReasonUnauthorized) {
				t.Errorf("busy %+v", got.Busy)
			}
		})
	}
}

// goneThen is an observation that was absent once before what it is.
func goneThen(o *Observation) *Observation {
	o.Absent, o.Repeats = true, 1
	return o
}

// shownThen is an observation that showed a digest before what it is.
func shownThen(digest v1alpha1.Digest, o *Observation) *Observation {
	o.Digest, o.Repeats = digest, 1
	return o
}
