// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"testing"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// startedSource counts how often it was started.
type startedSource struct{ times int }

// Start implements source.Source.
func (s *startedSource) Start(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.times++
	return nil
}

// TestLateSource: it begins once, when the controller has started and the kind is
// there, in whichever order that comes.
func TestLateSource(t *testing.T) {
	tests := map[string]struct {
		story []string
		want  int
	}{
		"the kind is there before the controller": {[]string{"there", "start"}, 1},
		"the kind comes after the controller":     {[]string{"start", "there"}, 1},
		"the kind goes, and comes again":          {[]string{"start", "there", "there"}, 1},
		"the kind never comes":                    {[]string{"start"}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inner := &startedSource{}
			late := &lateSource{source: inner}
			for _, word := range tc.story {
				if word == "there" {
					late.begin()
				} else if err := late.Start(t.Context(), &simQueue{}); err != nil {
					t.Fatal(err)
				}
			}
			if inner.times != tc.want {
				t.Errorf("started %d times, want %d", inner.times, tc.want)
			}
		})
	}
}
