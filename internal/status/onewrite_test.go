// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// TestAMoveCostsOneWrite: where nothing follows from a digest, what is written when it is
// accepted is all that there is to write. A fleet of fifty thousand takes half as long to
// be Ready.
func TestAMoveCostsOneWrite(t *testing.T) {
	l := &v1alpha1.ImageLineage{Spec: v1alpha1.ImageLineageSpec{Image: "docker.io/library/debian:12"}}
	for i, step := range []struct {
		name  string
		shown v1alpha1.Digest
	}{
		{"it is declared", numbered(1)},
		{"it moves", numbered(2)},
		{"it moves again", numbered(3)},
	} {
		began := newYear.Add(time.Duration(i) * time.Hour)
		pass := func(after time.Duration) (v1alpha1.ImageLineageStatus, plan.Plan) {
			snapshot := plan.Snapshot{
				Now: began.Add(after), Lineage: l, Reference: reference.Reference{Repository: "docker.io/library/debian", Tag: "12"},
				Observation: &plan.Observation{Digest: step.shown, Started: began, Repeats: 1},
			}
			decided := plan.Compute(snapshot)
			return Summarize(snapshot, decided, plan.Outcome{Done: true, At: snapshot.Now}), decided
		}
		first, decided := pass(time.Second)
		if _, accepts := decided.Step.(plan.Accept); !accepts {
			t.Fatalf("%s: the plan is %+v", step.name, decided)
		}
		l.Status = first
		second, _ := pass(2 * time.Second)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: written a second time (-first +second):\n%s", step.name, diff)
		}
	}
}
