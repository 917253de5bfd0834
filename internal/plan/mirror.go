// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"time"

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

// CopyOf is where the copy of a revision is, as repository:tag@digest; empty where it is
// not in spec.mirror.
func CopyOf(l *v1alpha1.ImageLineage, r v1alpha1.Revision) string {
	mirror := MirrorOf(l)
	if copied, err := reference.Parse(r.Mirror); err != nil || mirror.IsZero() || copied.Repository != mirror.Repository {
		return ""
	}
	return r.Mirror
}

// Repositories are those in which the images of a lineage are: its own and its
// mirrors'.
func Repositories(l *v1alpha1.ImageLineage) []string {
	var out []string
	if ref, err := ReferenceOf(l); err == nil {
		out = append(out, ref.Repository)
	}
	return append(out, Mirrors(l)...)
}

// absentAgain is when to look again for a copy that both registries said once not to have.
const absentAgain = time.Minute

// lookForCopy says where the copy of the current image is gone, and cannot be made again,
// once both registries have said so twice. As long as the source has the image, the copy
// is made again without a word.
func (d *decision) lookForCopy() {
	current := d.subject.current()
	if current == nil || CopyOf(d.Lineage, *current) == "" {
		return
	}
	d.again(presenceAgain)
	switch {
	case d.CopyUnknown:
		d.plan.Unsure = true
	case d.CopyAbsent == 0:
	case d.CopyAbsent < settledRepeats:
		d.plan.Unsure = true
		d.again(absentAgain)
	default:
		gone := fmt.Sprintf("gone from %s, and from %s: %s (revision %d): what is built on it cannot pull it. Push it again to %[2]s",
			MirrorOf(d.Lineage).Repository, d.Reference.Repository, reference.ShortDigest(string(current.Digest)), current.Revision)
		if d.plan.Missing != "" {
			gone = d.plan.Missing + "; " + gone
		}
		d.plan.Missing = gone
	}
}

// mirror has the current image copied that is not in the mirror yet. It is current
// meanwhile, since children are built on it already.
func (d *decision) mirror() bool {
	current, mirror := d.subject.current(), MirrorOf(d.Lineage)
	if mirror.IsZero() {
		return false
	}
	if CopyOf(d.Lineage, *current) != "" {
		return false
	}
	d.plan.Step = Mirror{Revision: *current}
	if current.Mirror != "" {
		// What names the copy in the mirror before is found by the revision that tells of it.
		moved := *current
		moved.Revision = lastRevision(d.Lineage) + 1
		d.plan.Step = Accept{Revision: moved, Reason: v1alpha1.ReasonFollowed, Mirror: true, Candidates: d.plan.Candidates}
	}
	d.busy(v1alpha1.ReasonMirroring, "%s is being copied to %s", reference.ShortDigest(string(current.Digest)), mirror.Repository)
	return true
}
