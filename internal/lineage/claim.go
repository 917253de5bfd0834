// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"k8s.io/apimachinery/pkg/types"
)

// Claim is what a lineage that builds an image can say for itself, where others claim
// to build the same one.
type Claim struct {
	// Built is true where it has published an image of its own: it has shown the registry
	// that it may push there, which a claim alone does not.
	Built bool
	// Current is true where it has a current image.
	Current bool
	// Created is when the lineage was created, in seconds since 1970.
	Created int64
	// UID of the lineage.
	UID types.UID
}

// precedes is the order of claims: one that has built it, then the holder of a current
// image, then the oldest, then the one with the lowest UID.
func (c Claim) precedes(other Claim) bool {
	switch {
	case c.Built != other.Built:
		return c.Built
	case c.Current != other.Current:
		return c.Current
	case c.Created != other.Created:
		return c.Created < other.Created
	default:
		return c.UID < other.UID
	}
}

// Holder is the lineage to which a reference belongs: one builds it, whoever else
// claims to. It is false where nobody does.
func (g *Graph) Holder(reference string) (Key, bool) {
	i := g.images[reference]
	if i == nil || i.holder() == nil {
		return Key{}, false
	}
	return i.holder().key, true
}

func (i *image) holder() *vertex {
	var holder *vertex
	for v := range i.builders {
		if holder == nil || v.claim.precedes(*holder.claim) {
			holder = v
		}
	}
	return holder
}

// believes is whether a claim counts for a lineage of a namespace: of another namespace
// only where the image was built before. A claim alone, by somebody who may not even push
// there, must not hold up who uses the image.
func (v *vertex) believes(holder *vertex) bool {
	return holder.claim.Built || holder.key.Namespace == v.key.Namespace
}
