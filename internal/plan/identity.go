// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// ChangeOn is what counts as a change of a lineage's image, and of the images that
// it names as parents.
func ChangeOn(l *v1alpha1.ImageLineage) v1alpha1.IdentityKind {
	if l.Spec.Poll == nil || l.Spec.Poll.ChangeOn == "" {
		return v1alpha1.IdentityIndex
	}
	return l.Spec.Poll.ChangeOn
}

// IdentityOf is the identity of a digest of which nothing else is known.
func IdentityOf(digest v1alpha1.Digest) []v1alpha1.Identity {
	return []v1alpha1.Identity{{Kind: v1alpha1.IdentityIndex, Value: string(digest)}}
}

// identitiesOf are the identities of a digest, of which one more may be known.
func identitiesOf(digest v1alpha1.Digest, more v1alpha1.Identity) []v1alpha1.Identity {
	return WithIdentity(IdentityOf(digest), more)
}

// WithIdentity are the identities that are known, with another one in place of that of
// its kind; with none more where it has no kind.
func WithIdentity(known []v1alpha1.Identity, more v1alpha1.Identity) []v1alpha1.Identity {
	all := slices.Clone(known)
	if more.Kind == "" || more.Kind == v1alpha1.IdentityIndex {
		return all
	}
	all = slices.DeleteFunc(all, func(k v1alpha1.Identity) bool { return k.Kind == more.Kind })
	return append(all, more)
}

// Counting is the identity of a kind. Where there is none of that kind, as after an edit
// of spec.poll, it is the one that was learned last, which is that of the digest where
// nothing else is known.
func Counting(kind v1alpha1.IdentityKind, digest v1alpha1.Digest, identities []v1alpha1.Identity) v1alpha1.Identity {
	if found := ofKind(kind, identities); found != nil {
		return *found
	}
	if kind == v1alpha1.IdentityIndex || len(identities) == 0 {
		return IdentityOf(digest)[0]
	}
	return identities[len(identities)-1]
}

func ofKind(kind v1alpha1.IdentityKind, identities []v1alpha1.Identity) *v1alpha1.Identity {
	for i := range identities {
		if identities[i].Kind == kind {
			return &identities[i]
		}
	}
	return nil
}

// sameImage is whether what was built from holds the same as the parent's current
// image, by the identity that counts for the parent. What the parent itself knows of
// the digest goes before what was known when it was built from.
func sameImage(built v1alpha1.BuiltFrom, p Parent) bool {
	if built.Digest == p.Current.Digest {
		return true
	}
	had := built.Identities
	if kept := findDigest(p.Kept, built.Digest); kept != nil {
		had = slices.Concat(kept.Identities, had)
	}
	return alike(had, p.Current.Identity, p.Current.Identities)
}

// sameContent is whether an older revision of a lineage holds the same as the current
// one, by what counts for it.
func sameContent(kind v1alpha1.IdentityKind, older, current v1alpha1.Revision) bool {
	return older.Digest == current.Digest ||
		alike(older.Identities, Counting(kind, current.Digest, current.Identities), current.Identities)
}

// alike is whether two digests hold the same: by the identity that counts or, where that
// is not known of what was, by another one that is known of both. So an edit of what
// counts moves nothing by itself, unless each digest counts. Where nothing can be
// compared, another digest is another image.
func alike(had []v1alpha1.Identity, counts v1alpha1.Identity, have []v1alpha1.Identity) bool {
	if counts.Kind == v1alpha1.IdentityIndex {
		return false
	}
	if known := ofKind(counts.Kind, had); known != nil {
		return *known == counts
	}
	return slices.ContainsFunc(had, func(i v1alpha1.Identity) bool { return slices.Contains(have, i) })
}

// identify records the identity of the current image, which was not known when it
// was accepted, or is made of something else since spec.poll was edited.
func (d *decision) identify() bool {
	current, told := d.subject.current(), d.Observation.Identity
	if told.Kind == "" || told.Kind == v1alpha1.IdentityIndex {
		return false
	}
	if known := ofKind(told.Kind, current.Identities); known != nil && *known == told {
		return false
	}
	d.plan.Step = Identify{Identity: told}
	return true
}
