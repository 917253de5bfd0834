// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// The annotations by which an image says what it was built on; OCI image-spec,
// annotations.md.
const (
	baseNameAnnotation   = "org.opencontainers.image.base.name"
	baseDigestAnnotation = "org.opencontainers.image.base.digest"
)

// maxBaseName is the longest base name that is believed, in bytes: more than any
// reference has.
const maxBaseName = 512

// Description is what a manifest or index says of itself.
type Description struct {
	// Digest that was asked for; the content was verified against it.
	Digest string
	// MediaType of the manifest or index.
	MediaType string
	// BaseName is the reference of the image it was built on, by its own word;
	// empty where it does not say.
	BaseName string
	// BaseDigest is the digest of that image; empty where it does not say, or not
	// in the form of a digest.
	BaseDigest string
	// Children of an index, in its order, without attestations; empty for a
	// single image.
	Children []Child
}

// Child is one platform's image in an index.
type Child struct {
	// Platform as os/architecture or os/architecture/variant.
	Platform string
	// Digest of the image's manifest.
	Digest string
}

// Describe reads one manifest or index by its digest, with one GET request; mirrors
// are asked first.
func (c *Client) Describe(ctx context.Context, ref reference.Reference, digest string, auth Keychain) (Description, error) {
	var raw []byte
	mediaType := ""
	q := question{ref: ref, auth: auth, op: "reading " + path(ref) + "@" + reference.ShortDigest(digest)}
	if err := checkDigest(digest); err != nil {
		return Description{}, q.invalid("the digest is not one")
	}
	err := c.ask(ctx, q, func(ctx context.Context, q question, s *session, repository name.Repository) error {
		found, err := s.puller.Get(ctx, repository.Digest(digest))
		if err != nil {
			return err
		}
		raw, mediaType = found.Manifest, string(found.MediaType)
		if !isManifest(raw) {
			return q.noManifest(ctx)
		}
		return nil
	})
	if err != nil {
		return Description{}, err
	}
	description, err := describe(raw)
	if err != nil {
		return Description{}, q.invalid("it answers with a manifest that cannot be read")
	}
	description.Digest = digest
	if description.MediaType == "" {
		description.MediaType = mediaType
	}
	return description, nil
}

// document is what manifests and indexes have in common for us.
type document struct {
	MediaType   string            `json:"mediaType"`
	Annotations map[string]string `json:"annotations"`
	Manifests   []struct {
		Digest      string            `json:"digest"`
		Annotations map[string]string `json:"annotations"`
		Platform    struct {
			OS           string `json:"os"`
			Architecture string `json:"architecture"`
			Variant      string `json:"variant"`
		} `json:"platform"`
	} `json:"manifests"`
}

func describe(raw []byte) (Description, error) {
	var read document
	if err := json.Unmarshal(raw, &read); err != nil {
		return Description{}, err
	}
	description := Description{MediaType: read.MediaType}
	description.BaseName, description.BaseDigest = base(read.Annotations)
	agreed := map[[2]string]bool{}
	for _, child := range read.Manifests {
		if err := checkDigest(child.Digest); err != nil || child.Platform.OS == "unknown" {
			continue // BuildKit's attestations are children of the platform unknown/unknown
		}
		platform := child.Platform.OS + "/" + child.Platform.Architecture
		if child.Platform.Variant != "" {
			platform += "/" + child.Platform.Variant
		}
		description.Children = append(description.Children, Child{Platform: platform, Digest: child.Digest})
		childName, childDigest := base(child.Annotations)
		agreed[[2]string{childName, childDigest}] = true
	}
	// An index without a word of its own is believed what all of its children
	// say alike.
	if description.BaseName == "" && description.BaseDigest == "" && len(agreed) == 1 {
		for words := range agreed {
			description.BaseName, description.BaseDigest = words[0], words[1]
		}
	}
	return description, nil
}

// base reads the base annotations, and leaves out what cannot be one.
func base(annotations map[string]string) (baseName, baseDigest string) {
	if said := annotations[baseNameAnnotation]; len(said) <= maxBaseName {
		baseName = said
	}
	if said := annotations[baseDigestAnnotation]; said != "" {
		if err := checkDigest(said); err == nil {
			baseDigest = said
		}
	}
	return baseName, baseDigest
}
