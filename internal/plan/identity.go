// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import "github.com/imagelineage/imagelineage/api/v1alpha1"

// IdentityOf is the identity of a digest of which nothing else is known.
func IdentityOf(digest v1alpha1.Digest) []v1alpha1.Identity {
	return []v1alpha1.Identity{{Kind: v1alpha1.IdentityIndex, Value: string(digest)}}
}

// same compares two images. Only identities of one kind are compared; where the
// two share no kind, equal digests are the same and different ones are not known
// to differ.
func same(aDigest v1alpha1.Digest, a []v1alpha1.Identity, bDigest v1alpha1.Digest, b []v1alpha1.Identity) Truth {
	for _, x := range a {
		for _, y := range b {
			if x.Kind != y.Kind {
				continue
			}
			if x.Value == y.Value {
				return True
			}
			return False
		}
	}
	if aDigest == bDigest {
		return True
	}
	return Unknown
}
