// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// maxLookFor is how many digests of one lineage are looked for at its registry. More
// than a few are in use only where many workloads are held.
const maxLookFor = 16

// presenceAgain is when to look again at what is in use.
const presenceAgain = time.Hour

// LookFor are the digests of which the registry has to tell whether they are still
// there: those in use that the tag does not show, since a pod that is scheduled again
// would not start without them, and candidates that are old enough to be taken. Where
// workloads and children are current, that is none.
func LookFor(s Snapshot) []v1alpha1.Digest {
	var wanted []v1alpha1.Digest
	add := func(digest v1alpha1.Digest) {
		if s.Observation.Answered() && s.Observation.Digest == digest || slices.Contains(wanted, digest) || len(wanted) == maxLookFor {
			return
		}
		wanted = append(wanted, digest)
	}
	d := decision{Snapshot: s, subject: Subject{Lineage: s.Lineage}}
	for _, c := range slices.Backward(s.Lineage.Status.Candidates) {
		if MinAge(s.Lineage) > 0 && d.matures(c) <= 0 {
			add(c.Digest)
		}
	}
	for _, r := range s.revisionsInUse() {
		// Before the tag has told, as after a restart, it most likely shows current.
		if s.Observation.Answered() || r.Digest != s.Lineage.Status.Current.Digest {
			add(r.Digest)
		}
	}
	return wanted
}

// revisionsInUse are the current revision and the kept ones that are still used, in
// the order of the history, each digest once: what is pulled from the lineage's own
// repository. Children, and whoever is yet to come, pull the copy where there is one.
func (s Snapshot) revisionsInUse() []v1alpha1.Revision {
	current := s.Lineage.Status.Current
	if current == nil {
		return nil
	}
	pulled := digestsOf(s.Workloads, s.Reference.Repository)
	var inUse []v1alpha1.Revision
	for _, r := range append([]v1alpha1.Revision{current.Revision}, s.Lineage.Status.History...) {
		known := slices.ContainsFunc(inUse, func(other v1alpha1.Revision) bool { return other.Digest == r.Digest })
		built := r.Mirror == "" && slices.Contains(s.ChildrenUse, r.Digest)
		wanted := r.Digest == current.Digest && CopyOf(s.Lineage, r) == ""
		if !known && (pulled[r.Digest] || built || wanted) {
			inUse = append(inUse, r)
		}
	}
	return inUse
}

// lookForMissing says which images in use are gone from the registry, once it has
// said so twice.
func (d *decision) lookForMissing() {
	if len(d.Presence) > 0 {
		// Who names the image only, and not the lineage, does not tell it of moving on.
		d.again(presenceAgain)
	}
	var gone []string
	for i, r := range d.revisionsInUse() {
		there := d.told(r.Digest)
		switch {
		case !there.Answered():
			d.plan.Unsure = d.plan.Unsure || i < maxLookFor
		case !there.Absent:
		case there.Repeats < settledRepeats:
			d.plan.Unsure = true
			if there.Failure == nil { // else the poller's own retries ask again
				d.plan.Recheck = append(d.plan.Recheck, r.Digest)
			}
		default:
			gone = append(gone, fmt.Sprintf("%s (revision %d)%s", reference.ShortDigest(string(r.Digest)), r.Revision, d.usersOf(r.Digest)))
		}
	}
	if len(gone) > 0 {
		d.plan.Missing = fmt.Sprintf("gone from %s: %s: a pod that is scheduled anew cannot pull it. Push it again, or move what uses it", d.Reference.Repository, strings.Join(gone, ", "))
	}
	d.lookForCopy()
}

// usersOf names a workload that uses a digest.
func (d *decision) usersOf(digest v1alpha1.Digest) string {
	for _, w := range d.Workloads {
		if digestsOf([]Workload{w}, d.Reference.Repository)[digest] {
			return ", which " + w.String() + " uses"
		}
	}
	if slices.Contains(d.ChildrenUse, digest) {
		return ", which children are built from"
	}
	return ""
}
