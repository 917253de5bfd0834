// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package reference gives every image reference one spelling, so that two
// references can be compared with ==.
//
// debian:12, docker.io/debian:12, index.docker.io/library/debian:12 and
// registry-1.docker.io/library/debian:12 are the same tag; the canonical
// spelling is docker.io/library/debian:12. The grammar is the one that the
// container runtimes use (github.com/distribution/reference), with one
// difference: a first word with upper-case letters is no host unless it has a
// dot, a colon or is localhost, because its lower-case form would be none.
//
// The package is pure: it parses text and knows no registry.
package reference

import "strings"

// Reference names an image in canonical form. References made by Parse are
// equal when they mean the same.
type Reference struct {
	// Repository is host and path, such as docker.io/library/debian.
	Repository string
	// Tag is empty only where the reference has a digest and no tag.
	Tag string
	// Digest is algorithm:hex, or empty.
	Digest string
}

// Name is repository:tag, the key by which lineages are equal; the digest is
// left out. Without a tag it is the repository.
func (r Reference) Name() string {
	if r.Tag == "" {
		return r.Repository
	}
	return r.Repository + ":" + r.Tag
}

// Pinned is repository@digest, with the digest given.
func (r Reference) Pinned(digest string) string {
	return r.Repository + "@" + digest
}

// TaggedPinned is repository:tag@digest, with the digest given: what a kubelet
// pulls by digest and people read by tag.
func (r Reference) TaggedPinned(digest string) string {
	return r.Name() + "@" + digest
}

// WithTag is the same repository with another tag, and without a digest.
func (r Reference) WithTag(tag string) Reference {
	return Reference{Repository: r.Repository, Tag: tag}
}

// WithDigest is the same repository with a digest, and without a tag.
func (r Reference) WithDigest(digest string) Reference {
	return Reference{Repository: r.Repository, Digest: digest}
}

// String is the canonical spelling; Parse gives the same reference back.
func (r Reference) String() string {
	if r.Digest == "" {
		return r.Name()
	}
	return r.TaggedPinned(r.Digest)
}

// IsZero is true for the reference that names nothing.
func (r Reference) IsZero() bool { return r == Reference{} }

// Host is the registry, with its port where one is written.
func (r Reference) Host() string {
	host, _, _ := strings.Cut(r.Repository, "/")
	return host
}

// shortLength is how many characters of a digest people are shown; Docker and
// git-like tools show as many.
const shortLength = 12

// ShortDigest is the first twelve hex characters of a digest, after the colon;
// less where there are less.
func ShortDigest(d string) string {
	_, hex, found := strings.Cut(d, ":")
	if !found {
		hex = d
	}
	return hex[:min(len(hex), shortLength)]
}
