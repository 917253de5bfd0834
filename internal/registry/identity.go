// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Detail is how much of an image a description has to tell.
type Detail struct {
	// Kind of identity that will be asked for; empty and Index need no more than
	// the digest itself.
	Kind v1alpha1.IdentityKind
	// Platforms of which it is made; all where there are none.
	Platforms []v1alpha1.Platform
	// named are platforms that somebody wants alone where another one wants all.
	named []v1alpha1.Platform
}

// needed is false where the digest alone is the identity.
func (d Detail) needed() bool {
	return d.Kind == v1alpha1.IdentityPlatforms || d.Kind == v1alpha1.IdentityContent
}

// wants is true for a platform that counts. One without a variant stands for all
// of its variants: what users call linux/arm64 is linux/arm64/v8 in many indexes.
func (d Detail) wants(platform string) bool {
	for _, wanted := range d.Platforms {
		if platform == string(wanted) || strings.HasPrefix(platform, string(wanted)+"/") {
			return true
		}
	}
	return len(d.Platforms) == 0
}

// covers is true where a description with this detail serves the other one too.
func (d Detail) covers(other Detail) bool {
	if !other.needed() {
		return true
	}
	if !d.needed() || d.Kind != other.Kind && other.Kind == v1alpha1.IdentityContent {
		return false
	}
	for _, wanted := range other.Platforms {
		if !d.wants(string(wanted)) {
			return false
		}
	}
	return len(d.Platforms) == 0 || len(other.Platforms) > 0
}

// equal is true for a detail that is read in the same way.
func (d Detail) equal(other Detail) bool {
	return d.Kind == other.Kind && slices.Equal(d.Platforms, other.Platforms) && slices.Equal(d.named, other.named)
}

// with is the detail that serves both.
func (d Detail) with(other Detail) Detail {
	if !d.needed() {
		return other
	}
	if !other.needed() {
		return d
	}
	both := Detail{Kind: v1alpha1.IdentityPlatforms}
	if d.Kind == v1alpha1.IdentityContent || other.Kind == v1alpha1.IdentityContent {
		both.Kind = v1alpha1.IdentityContent
	}
	named := slices.Concat(d.Platforms, other.Platforms, d.named, other.named)
	slices.Sort(named)
	named = slices.Compact(named)
	if len(d.Platforms) > 0 && len(other.Platforms) > 0 {
		both.Platforms = named
	} else {
		both.named = named
	}
	return both
}

// order are the children that count. Those that somebody wants alone come first: what
// takes too long, or is too much, is so at the cost of who wants all.
func (d Detail) order(children []Child) []*Child {
	var first, others []*Child
	for i := range children {
		child := &children[i]
		switch {
		case len(d.named) > 0 && (Detail{Platforms: d.named}).wants(child.Platform):
			first = append(first, child)
		case d.wants(child.Platform):
			others = append(others, child)
		}
	}
	return append(first, others...)
}

// scope tells apart what identities of one kind are made of, in few characters.
func (d Detail) scope() string {
	if len(d.Platforms) == 0 {
		return "all"
	}
	const enough = 8
	sorted := slices.Sorted(slices.Values(d.Platforms))
	sum := sha256.Sum256(fmt.Append(nil, sorted))
	return hex.EncodeToString(sum[:])[:enough]
}

// Made is whether an identity is one of this detail, and so need not be made again.
func (d Detail) Made(identity v1alpha1.Identity) bool {
	return identity.Kind == d.Kind && strings.HasPrefix(identity.Value, d.scope()+"@")
}

// Identity is what counts as a change of the image: equal identities of one kind
// mean equal content. It is false where the description does not tell enough, and
// where the image has none of the platforms.
func (d Description) Identity(of Detail) (v1alpha1.Identity, bool) {
	if !of.needed() {
		return v1alpha1.Identity{Kind: v1alpha1.IdentityIndex, Value: d.Digest}, d.Digest != ""
	}
	var parts []string
	for _, child := range d.Children {
		if !of.wants(child.Platform) {
			continue
		}
		part := child.Digest
		if of.Kind == v1alpha1.IdentityContent {
			part = child.Content
		}
		if part == "" {
			return v1alpha1.Identity{}, false
		}
		parts = append(parts, fmt.Sprintf("%s=%s", child.Platform, part))
	}
	if len(parts) == 0 {
		return v1alpha1.Identity{}, false
	}
	// The order of an index means nothing.
	slices.Sort(parts)
	return v1alpha1.Identity{Kind: of.Kind, Value: of.scope() + "@" + hashLines(parts)}, true
}

// hashLines is the SHA-256 of lines, none of which holds a line's end.
func hashLines(lines []string) string {
	return digestOf("sha256", []byte(strings.Join(lines, "\n")))
}
