// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestAPolicyAnAgeAndAMirrorTogether: a tag is chosen, its digest ages, is copied, and
// only then reaches the pods, from the copy.
func TestAPolicyAnAgeAndAMirrorTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.newMirror()
	layers := release{amd64: "amd64 15.3", arm64: "arm64 15.3"}
	first := w.pushRelease("db:15.3", layers)
	l := changeOn(w.chosen("db", "db", v1alpha1.TagPolicy{SemVer: "15.x"}), v1alpha1.IdentityContent)
	l.Spec.Poll.MinAge = new(v1alpha1.Duration("24h"))
	l.Spec.Mirror, l.Spec.Rollout.UseMirror = m.mirrorOf("kept/db"), true
	w.create(l, w.deployment("old", "db:15.3"))
	w.start(0)
	w.waitCandidates("db", first)
	w.move(25 * time.Hour)
	l = w.waitAllCurrent("db", first)
	if !m.isCopy(l.Status.Current.Mirror, "kept/db", first) {
		t.Errorf("the copy of %s is said to be %q", first, l.Status.Current.Mirror)
	}

	layers.amd64 = "amd64 15.4"
	second := w.pushRelease("db:15.4", layers)
	w.check("db")
	soaking := w.waitCandidates("db", second)
	if c := soaking.Status.Candidates[0]; c.Tag != "15.4" || soaking.Status.Current.Tag != "15.3" {
		t.Errorf("the candidate is %+v, beside %s", c, soaking.Status.Current.Tag)
	}
	w.move(25 * time.Hour)
	l = w.waitAllCurrent("db", second)
	if got := w.imageOf("old"); got != l.Status.Current.Mirror || !m.isCopy(got, "kept/db", second) ||
		!strings.Contains(got, ":15.4-") || !m.has(t, got) {
		t.Errorf("the workload has %s: %s", got, describe(l))
	}
	written := w.generationOf("old")

	// A label moves the digest, and restarts nobody.
	layers.label = "again"
	third := w.pushRelease("db:15.4", layers)
	w.check("db")
	w.waitCandidates("db", third)
	w.move(25 * time.Hour)
	l = w.waitAllCurrent("db", third)
	if n := w.generationOf("old"); n != written || ready(l) != v1alpha1.ReasonUpToDate {
		t.Errorf("the workload was written %d times for a label, and has %s: %s", n-written, w.imageOf("old"), describe(l))
	}
}
