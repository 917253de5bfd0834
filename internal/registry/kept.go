// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import "strings"

const (
	// tagLength is the longest tag that a registry takes (OCI distribution-spec,
	// "Pulling manifests").
	tagLength = 128
	// keptLength is the number of hex digits of a digest in a kept tag: 128 bits.
	// Twelve would tell honest images apart. But whoever makes the images can find
	// two whose first 48 bits are equal within minutes; the second one's copy would
	// take the tag, and the registry would clean up the first.
	keptLength = 32
)

// KeptTag is the tag that keeps the copy of a digest from being cleaned up:
// TAG-HEX, with the tag that it was found under and the first 32 hex digits of the
// digest, of which the first twelve are those that people are shown. It depends on
// nothing else, so whoever knows tag and digest finds the copy.
//
// The tag is cut where the whole would be longer than the 128 characters that a
// registry takes. Two long tags may then share a kept tag, for the same digest,
// which is no harm. Without a tag it is HEX alone. No kept tag has the form of the
// tags that hold signatures, such as sha256-HEX of all 64 digits.
func KeptTag(tag, digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	hex = hex[:min(len(hex), keptLength)]
	if tag == "" {
		return hex
	}
	return tag[:min(len(tag), tagLength-1-len(hex))] + "-" + hex
}

// FoundTag is a tag under which a digest was found that has this kept tag: the tag itself, or
// as much as is left of it.
func FoundTag(kept, digest string) string {
	return strings.TrimSuffix(strings.TrimSuffix(kept, KeptTag("", digest)), "-")
}
