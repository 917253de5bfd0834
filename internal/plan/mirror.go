// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// MirrorOf is the repository of spec.mirror; zero without one, and where it cannot be
// read.
func MirrorOf(l *v1alpha1.ImageLineage) reference.Reference {
	if l.Spec.Mirror == nil {
		return reference.Reference{}
	}
	ref, err := reference.ParseTag(string(l.Spec.Mirror.Image))
	if err != nil {
		return reference.Reference{}
	}
	return reference.Reference{Repository: ref.Repository}
}

// Repositories are those in which the images of a lineage are: its own and its
// mirror's.
func Repositories(l *v1alpha1.ImageLineage) []string {
	var out []string
	if ref, err := ReferenceOf(l); err == nil {
		out = append(out, ref.Repository)
	}
	if mirror := MirrorOf(l); !mirror.IsZero() {
		out = append(out, mirror.Repository)
	}
	return out
}

// mirror has the current image copied that is not in the mirror yet. It is current
// meanwhile, since children are built on it already.
func (d *decision) mirror() bool {
	current, mirror := d.subject.current(), MirrorOf(d.Lineage)
	if mirror.IsZero() {
		return false
	}
	if copied, err := reference.Parse(current.Mirror); err == nil && copied.Repository == mirror.Repository {
		return false
	}
	d.plan.Step = Mirror{Revision: *current}
	d.busy(v1alpha1.ReasonMirroring, "%s is being copied to %s", reference.ShortDigest(string(current.Digest)), mirror.Repository)
	return true
}
