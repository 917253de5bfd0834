// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// demand is what an owner wants of a tag, in a form that can be compared. A tag may
// have fifty thousand followers, and what they want is of few kinds: whatever is
// computed for all of them is computed for the kinds.
type demand struct {
	interval  time.Duration
	describe  bool
	kind      v1alpha1.IdentityKind
	platforms string
	known     v1alpha1.Digest
}

// demanded is how many followers want the same.
type demanded struct {
	target    Target
	followers int
}

func demandOf(t Target) demand {
	var platforms strings.Builder
	for _, platform := range t.Detail.Platforms {
		platforms.WriteString(string(platform) + ",")
	}
	d := demand{
		interval: t.Interval, describe: t.Describe, kind: t.Detail.Kind, platforms: platforms.String(), known: t.Known,
	}
	if d.interval <= 0 {
		d.interval = plan.DefaultInterval
	}
	return d
}

// demand notes what one more follower wants.
func (f *feed) demand(t Target) {
	of := demandOf(t)
	if f.demands[of] == nil {
		f.demands[of] = &demanded{target: t}
	}
	f.demands[of].followers++
}

// relieve takes that back.
func (f *feed) relieve(t Target) {
	of := demandOf(t)
	if f.demands[of].followers--; f.demands[of].followers == 0 {
		delete(f.demands, of)
	}
}
