// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestBecauseOfTheTime tells one story in which time passes and little else happens:
// base → mid → web, api; mid and web are built anew every day. Whatever the order in
// which watches and registries tell of things, each is built for the same reasons, as
// often, and after its parent.
func TestBecauseOfTheTime(t *testing.T) {
	chapters := []struct {
		name   string
		happen func(*sim)
		want   []string
	}{
		{"rebuildEvery is declared, and nothing is old", func(s *sim) {
			for _, name := range []string{"mid", "web"} {
				s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.RebuildEvery = new(v1alpha1.Duration("24h")) }, "rebuildEvery")
			}
		}, nil},
		{"a day later nothing new is to be had", func(s *sim) { s.pass(25 * time.Hour) }, []string{"mid: Periodic", "web: Periodic"}},
		{"half a day is no day", func(s *sim) { s.pass(12 * time.Hour) }, nil},
		{"a day later a package was mended", func(s *sim) {
			s.packages++
			s.pass(13 * time.Hour)
		}, []string{"mid: Periodic", "web: ParentChanged,Periodic", "api: ParentChanged"}},
		{"a base moves, and the day begins anew with it", func(s *sim) {
			s.pass(12 * time.Hour)
			s.push("base")
			s.edit("base", func(l *v1alpha1.ImageLineage) {
				l.Annotations = map[string]string{v1alpha1.CheckAnnotation: "now"}
			}, "a check")
		}, []string{"mid: ParentChanged", "web: ParentChanged", "api: ParentChanged"}},
		{"so that the next morning is too early", func(s *sim) { s.pass(13 * time.Hour) }, nil},
		{"web is due before mid, and waits for it", func(s *sim) {
			s.packages++
			for range 24 {
				s.pass(30 * time.Minute)
				s.rest()
			}
		}, []string{"mid: Periodic", "web: ParentChanged,Periodic", "api: ParentChanged"}},
		{"what is suspended is skipped, and its child built for itself", func(s *sim) {
			s.edit("mid", func(l *v1alpha1.ImageLineage) { l.Spec.Build.RebuildEvery = nil }, "no rebuildEvery any more")
			s.pass(25 * time.Hour)
		}, []string{"web: Periodic"}},
	}
	for seed := range int64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, seed)
			s.rest()
			for _, chapter := range chapters {
				told := len(s.book.order)
				chapter.happen(s)
				s.rest()
				var got []string
				for _, name := range s.book.order[told:] {
					got = append(got, s.book.runs[name].lineage+": "+s.book.runs[name].reasons)
				}
				if diff := cmp.Diff(chapter.want, sortedSiblings(got)); diff != "" {
					s.broken("%s: runs (-want +got):\n%s", chapter.name, diff)
				}
				s.checkRest()
			}
		})
	}
}

// sortedSiblings puts web before api: nothing is said of their order.
func sortedSiblings(runs []string) []string {
	for i := 1; i < len(runs); i++ {
		if runs[i-1][:3] == "api" && runs[i][:3] == "web" {
			runs[i-1], runs[i] = runs[i], runs[i-1]
		}
	}
	return runs
}
