// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/controllers/fleet"
)

// TestFleetIsAsDeepAsItSays: figures of a flat fleet would say little.
func TestFleetIsAsDeepAsItSays(t *testing.T) {
	const size = 1_000
	f := &fleet.Fleet{}
	all := makeFleet(size)
	for _, l := range all {
		f.Put(l)
	}
	atDepth := map[int]int{}
	for _, l := range all {
		graph, _ := f.Ancestry(keyOf(l))
		atDepth[graph.Depth(keyOf(l))]++
	}
	want := map[int]int{0: 10, 1: 29, 2: 119, 3: 249, 4: 593}
	if diff := cmp.Diff(want, atDepth); diff != "" {
		t.Errorf("lineages at each depth (-want +got):\n%s", diff)
	}
}

// TestGrowthIsLinear: twenty times as many lineages take twenty times as long, and as
// much memory. Were anything to look at the whole fleet for each lineage, the ratios
// would be about twenty. How long it takes depends on the machine, and is not asserted.
func TestGrowthIsLinear(t *testing.T) {
	const few, many = 1_000, 20_000
	const runs = 3
	small, err := measure(few, runs)
	if err != nil {
		t.Fatal(err)
	}
	large, err := measure(many, runs)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ small, large, most float64 }{
		"memory for each lineage":              {small.memory, large.memory, 1.5},
		"one change, whatever the size":        {float64(small.change), float64(large.change), 5},
		"each descendant of a base that moved": {float64(small.each()), float64(large.each()), 5},
	} {
		t.Run(name, func(t *testing.T) {
			if ratio := tc.large / tc.small; ratio > tc.most {
				t.Errorf("%d lineages in place of %d: %.1f times, want at most %.1f (%g, %g)", many, few, ratio, tc.most, tc.small, tc.large)
			}
		})
	}
	// It does not depend on the machine.
	if large.memory > 1024 {
		t.Errorf("the graph takes %.0f bytes a lineage, want at most 1 KiB", large.memory)
	}
}
