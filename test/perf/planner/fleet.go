// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

const (
	// depth is how many lineages are on the longest way from a base down, with the base.
	depth = 5
	// familySize is how many lineages a base has below it, with itself: 1,000 bases for
	// 100,000 lineages.
	familySize = 100
	// wide is which part of a fleet descends from one base: 10,000 of 100,000.
	wide = 10
	// template is the hash of every build template.
	template = "v1:template"
)

var accepted = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// makeFleet makes lineages that are all up to date: the first base with a tenth of them
// below it, and families of a hundred.
func makeFleet(size int) []*v1alpha1.ImageLineage {
	all := make([]*v1alpha1.ImageLineage, 0, size)
	for len(all) < size {
		family := familySize
		if len(all) == 0 {
			family = size/wide + 1
		}
		all = append(all, makeFamily(len(all), min(family, size-len(all)))...)
	}
	return all
}

// shares are which part of a family, in percent, is on each level below the base; the
// last level takes the rest.
var shares = [depth - 2]int{3, 12, 25}

// makeFamily makes a base and what descends from it, level by level.
func makeFamily(number, size int) []*v1alpha1.ImageLineage {
	family := []*v1alpha1.ImageLineage{makeLineage(number, 0, nil)}
	above := family
	for level := range depth - 1 {
		count := size - len(family)
		if level < len(shares) {
			count = min(count, max(1, size*shares[level]/100))
		}
		for i := range count {
			family = append(family, makeLineage(number, len(family), above[i%len(above)]))
		}
		above = family[len(family)-count:]
	}
	return family
}

// makeLineage makes a lineage that is built from its parent's current image, or is
// followed where it has none. Every third one names its parent by the image.
func makeLineage(family, member int, parent *v1alpha1.ImageLineage) *v1alpha1.ImageLineage {
	name := fmt.Sprintf("image-%d-%d", family, member)
	l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("team-%d", family/familySize%500), Name: name, Generation: 1,
		UID: types.UID("6f2b1c1e-8d0e-4a53-9f5e-" + fmt.Sprintf("%012d", family*1_000_000+member)), CreationTimestamp: metav1.NewTime(accepted),
	}}
	l.Spec.Image = v1alpha1.ImageReference("registry.example.com/platform/" + name + ":stable")
	revision := v1alpha1.Revision{
		Revision: 1, Digest: digest(family, member, 1), Reference: string(l.Spec.Image),
		Origin: v1alpha1.OriginFollowed, Accepted: metav1.NewMicroTime(accepted),
	}
	root := v1alpha1.Root{Reference: string(l.Spec.Image), Digest: revision.Digest, Revision: 1, Accepted: revision.Accepted}
	revision.Roots = []v1alpha1.Root{root}
	if parent != nil {
		from := v1alpha1.Parent{Name: "base", As: v1alpha1.ParentBase}
		if family%3 == 0 && parent.Spec.Build != nil {
			from.Image = parent.Spec.Image
		} else {
			from.LineageRef = &v1alpha1.LineageReference{Namespace: v1alpha1.NamespaceName(parent.Namespace), Name: v1alpha1.ObjectName(parent.Name)}
		}
		l.Spec.From, l.Spec.Build = []v1alpha1.Parent{from}, &v1alpha1.Build{}
		had := parent.Status.Current
		revision.Origin, revision.Template, revision.Roots = v1alpha1.OriginBuilt, template, had.Roots
		revision.BuiltFrom = []v1alpha1.BuiltFrom{{Name: "base", Reference: string(parent.Spec.Image), Digest: had.Digest, Identities: plan.IdentityOf(had.Digest)}}
	}
	accept(l, revision)
	return l
}

// accept makes a revision current.
func accept(l *v1alpha1.ImageLineage, revision v1alpha1.Revision) {
	revision.Identities = plan.IdentityOf(revision.Digest)
	l.Status.Current = &v1alpha1.CurrentRevision{Revision: revision}
	l.Status.History = append([]v1alpha1.Revision{revision}, l.Status.History...)
}

// moved is a followed lineage after its tag has moved.
func moved(l *v1alpha1.ImageLineage) *v1alpha1.ImageLineage {
	l = l.DeepCopy()
	revision := l.Status.Current.Revision
	revision.Revision++
	revision.Digest = v1alpha1.Digest(fmt.Sprintf("sha256:%064x", revision.Revision))
	revision.Roots = []v1alpha1.Root{{Reference: revision.Reference, Digest: revision.Digest, Revision: revision.Revision, Accepted: revision.Accepted}}
	accept(l, revision)
	return l
}

func digest(family, member, revision int) v1alpha1.Digest {
	return v1alpha1.Digest(fmt.Sprintf("sha256:%020x%020x%024x", family, member, revision))
}
