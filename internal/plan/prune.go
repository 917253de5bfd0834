// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	// defaultRunHistory is spec.build.runHistory where it is not given.
	defaultRunHistory = 5
	// minRunHistory are the newest runs, which are never deleted: while they exist,
	// no name can be given twice, whatever happens to the status.
	minRunHistory = 2
	// pruneAtOnce bounds one step; the next follows when it is done.
	pruneAtOnce = 20
)

// prune deletes ended runs beyond the history, when there is nothing else to do.
// What they did is in the status: an end that is not recorded yet is not deleted.
func (d *decision) prune() {
	if d.plan.Step != nil {
		return
	}
	keep := defaultRunHistory
	if b := d.Lineage.Spec.Build; b != nil && b.RunHistory != nil {
		keep = max(int(*b.RunHistory), minRunHistory)
	}
	var ended []Run
	for _, run := range d.Runs {
		if run.Done && !run.Deleting && d.isRecorded(run) {
			ended = append(ended, run)
		}
	}
	if len(ended) <= keep {
		return
	}
	slices.SortFunc(ended, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Attempt, b.Attempt), a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
	var names []string
	for _, run := range ended[:min(len(ended)-keep, pruneAtOnce)] {
		names = append(names, run.Name)
	}
	d.plan.Step = Prune{Runs: names}
}

// isRecorded is true for a run whose outcome is in the status, or that is older than
// the one that is: numbers and attempts only rise.
func (d *decision) isRecorded(run Run) bool {
	recorded := d.Lineage.Status.Run
	switch {
	case recorded == nil:
		return false
	case run.Name == recorded.Name || sameRun(&run, recorded):
		return recorded.Outcome != ""
	default:
		return !later(run.Number, run.Attempt, recorded.Number, recorded.Attempt)
	}
}

// RevisionsInUse are the digests of which a kept revision must not be forgotten:
// workloads and children still have them.
func (s Snapshot) RevisionsInUse() map[v1alpha1.Digest]bool {
	inUse := digestsOf(s.Workloads, "")
	for _, digest := range s.ChildrenUse {
		inUse[digest] = true
	}
	return inUse
}

// UsedBy are the digests of an image that a lineage's current image is built from.
func UsedBy(child *v1alpha1.ImageLineage, image reference.Reference) []v1alpha1.Digest {
	if child.Status.Current == nil {
		return nil
	}
	var used []v1alpha1.Digest
	for _, from := range child.Status.Current.BuiltFrom {
		if from.Reference == image.Name() {
			used = append(used, from.Digest)
		}
	}
	return used
}

// digestsOf are the digests that workloads ask for, or run: of the images of a
// repository, or of all where it is empty.
func digestsOf(workloads []Workload, repository string) map[v1alpha1.Digest]bool {
	inUse := map[v1alpha1.Digest]bool{}
	for _, w := range workloads {
		for _, c := range w.Containers {
			ref, err := reference.Parse(c.Image)
			if repository != "" && (err != nil || ref.Repository != repository) {
				continue
			}
			if err == nil && ref.Digest != "" {
				inUse[v1alpha1.Digest(ref.Digest)] = true
			}
			for _, digest := range c.Running {
				inUse[digest] = true
			}
		}
	}
	return inUse
}
