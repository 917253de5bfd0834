// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Mirrors are the repositories in which copies of a lineage's revisions are: that of
// spec.mirror, and those before it, which workloads may still name.
func Mirrors(l *v1alpha1.ImageLineage) []string {
	var out []string
	if mirror := MirrorOf(l); !mirror.IsZero() {
		out = append(out, mirror.Repository)
	}
	for _, r := range l.Status.History {
		if r.Mirror == "" {
			continue
		}
		if copied, err := reference.Parse(r.Mirror); err == nil && !slices.Contains(out, copied.Repository) {
			out = append(out, copied.Repository)
		}
	}
	return out
}
