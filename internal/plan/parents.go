// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// parents reports what is known of each parent.
func (d *decision) parents() []v1alpha1.ParentStatus {
	var out []v1alpha1.ParentStatus
	for _, p := range d.Parents {
		status := v1alpha1.ParentStatus{Name: p.Name, Observed: p.Observed}
		if !p.Reference.IsZero() {
			status.Reference = p.Reference.Name()
		}
		if p.Current != nil {
			status.Accepted = p.Current.Digest
			if p.Current.Identity.Kind != v1alpha1.IdentityIndex {
				status.Identity = &p.Current.Identity
			}
			status.FirstSeen = d.firstSeen(p)
			status.Baseline = d.baseline(p)
		}
		if p.Problem != nil {
			status.Error = cutTo(p.Problem.Message, maxParentError)
		}
		out = append(out, status)
	}
	return out
}

// firstSeen is when the parent's current digest was first seen. A revision that confirms
// it is no news.
func (d *decision) firstSeen(p Parent) *metav1.MicroTime {
	for _, known := range d.Lineage.Status.From {
		if known.Name == p.Name && known.Reference == p.Reference.Name() && known.Accepted == p.Current.Digest && known.FirstSeen != nil {
			return known.FirstSeen
		}
	}
	first := metav1.NewMicroTime(p.Current.Accepted)
	return &first
}

// maxParentError is how long a parent's error may be (status.from[].error).
const maxParentError = 1024

// baseline is the parent's digest of the moment when an image of unknown ancestry
// was taken on. It is needed only while the image's own parent is not proven.
func (d *decision) baseline(p Parent) v1alpha1.Digest {
	current := d.subject.current()
	accepting, accepts := d.plan.Step.(Accept)
	if accepts {
		current = &accepting.Revision
	}
	if proving, proves := d.plan.Step.(Prove); proves && lookup(proving.BuiltFrom, p.Name) != nil {
		return ""
	}
	if current == nil || lookup(current.BuiltFrom, p.Name) != nil {
		return ""
	}
	if known := baselineOf(d.Lineage, p); known != "" && !accepts {
		return known
	}
	return p.Current.Digest
}
