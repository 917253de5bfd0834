// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import "testing"

func TestAfter(t *testing.T) {
	for version, want := range map[string]string{"1.0": "1.1", "1.9": "1.10", "7": "7.1"} {
		if got := after(version); got != want || !less(version, got) {
			t.Errorf("after %s comes %s, want %s", version, got, want)
		}
	}
}
