// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"testing"
	"time"
)

// TestTrickles: who is slow is told, and a layer of a GiB that came at once may rest.
func TestTrickles(t *testing.T) {
	const mib = 1 << 20
	tests := map[string]struct {
		moved        int64
		took, waited time.Duration
		want         error
	}{
		"the first minute does not count":         {moved: 1, took: 50 * time.Second},
		"more than a MiB in each minute":          {moved: 10*mib + 1, took: 10 * time.Minute},
		"a byte in each minute from the source":   {moved: 10, took: 10 * time.Minute, waited: 9 * time.Minute, want: errSourceTrickles},
		"a byte in each minute to the target":     {moved: 10, took: 10 * time.Minute, waited: time.Minute, want: errTargetTrickles},
		"a little less than a MiB in each minute": {moved: 9 * mib, took: 10 * time.Minute, want: errTargetTrickles},
		"slow only now and then":                  {moved: 1024 * mib, took: time.Hour, waited: time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &pace{answer: 30 * time.Second, begun: time.Now().Add(-tt.took), waited: tt.waited}
			if got := p.trickles(tt.moved); got != tt.want { //nolint:errorlint // these are never wrapped
				t.Errorf("trickles = %v, want %v", got, tt.want)
			}
		})
	}
}
