// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
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

const (
	// maxChildren is how many images an index may list, attestations apart. Official
	// images have about ten.
	maxChildren = 1000
	// maxPlatform is the longest name of a platform, in bytes; the API takes 64.
	maxPlatform = 100
	// maxObjects is how many JSON objects a manifest may have at most. What is decoded
	// takes some hundred times as much memory as "{}" does.
	maxObjects = 20_000
)

// Description is what a manifest or index says of itself.
type Description struct {
	// Digest that was asked for; the content was verified against it.
	Digest string
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

// Child is one platform's image in an index; a single image is its own child
// where a detail was asked for.
type Child struct {
	// Platform as os/architecture or os/architecture/variant.
	Platform string
	// Digest of the image's manifest.
	Digest string
	// Content is the digest of the layers' diffIDs, which know nothing of labels,
	// timestamps and compression; empty where nobody asked for it.
	Content string
}

// maxPlatforms is how many platforms' images are read for their content. Official
// images have about ten.
const maxPlatforms = 64

// Describe reads one manifest or index by its digest, with one GET request; where
// the content is asked for, with two more for each platform that counts. Mirrors are
// asked first. What is no image, such as a chart, is an error of class Invalid. Where a
// platform's image cannot be read, what could be comes along with the error.
func (c *Client) Describe(ctx context.Context, ref reference.Reference, digest string, detail Detail, auth Keychain) (Description, error) {
	q := question{ref: ref, auth: auth, op: "reading " + path(ref) + "@" + reference.ShortDigest(digest)}
	if err := checkDigest(digest); err != nil {
		return Description{}, q.invalid("the digest is not one")
	}
	var description Description
	err := c.ask(ctx, q, func(ctx context.Context, q question, s *session, repository name.Repository) error {
		description = Description{}
		found, err := s.puller.Get(ctx, repository.Digest(digest))
		if err != nil {
			return err
		}
		if description, err = q.describe(ctx, found); err != nil || !detail.needed() {
			return err
		}
		return q.detail(ctx, s, repository, &description, found, detail)
	})
	return description, err
}

// describe reads what was found.
func (q question) describe(ctx context.Context, found *remote.Descriptor) (Description, error) {
	if !isManifest(found.Manifest) {
		return Description{}, q.noManifest(ctx)
	}
	description, err := describe(found.Manifest)
	switch {
	case errors.Is(err, errExcessive):
		return Description{}, q.invalid(err.Error())
	case errors.Is(err, errNoImage):
		return Description{}, q.noImage()
	case err != nil:
		return Description{}, q.invalid("it answers with a manifest that cannot be read")
	}
	description.Digest = found.Digest.String()
	return description, nil
}

// detail reads of the platforms that count what their identity is made of. What is
// damaged or missing of one platform does not keep the others from being read.
func (q question) detail(ctx context.Context, s *session, repository name.Repository, d *Description, found *remote.Descriptor, detail Detail) error {
	if !found.MediaType.IsIndex() {
		child, err := q.child(ctx, found)
		if err == nil {
			d.Children = []Child{child}
		}
		return err
	}
	if detail.Kind != v1alpha1.IdentityContent {
		return nil
	}
	counting := detail.order(d.Children)
	var problem error
	if len(counting) > maxPlatforms {
		problem = q.invalid(fmt.Sprintf("it has more than %d platforms: name those that count in poll.platforms", maxPlatforms))
		counting = counting[:maxPlatforms]
	}
	for _, counts := range counting {
		manifest, err := s.puller.Get(ctx, repository.Digest(counts.Digest))
		var child Child
		if err == nil {
			child, err = q.child(ctx, manifest)
		}
		if err == nil {
			counts.Content = child.Content
			continue
		}
		is := classify(ctx, q.host(), q.op, err, witnessOf(ctx).sighting())
		if is.Class != Invalid && is.Class != Absent {
			return is
		}
		problem = cmp.Or(problem, error(is))
	}
	return problem
}

// with is a description with what another one of the same digest told besides.
func (d Description) with(other Description) Description {
	switch {
	case d.Digest == "":
		return other
	case d.Digest != other.Digest:
		return d
	case len(d.Children) == 0:
		d.Children = other.Children
		return d
	}
	d.Children = slices.Clone(d.Children)
	for i := range d.Children {
		if i < len(other.Children) {
			d.Children[i].Content = cmp.Or(d.Children[i].Content, other.Children[i].Content)
		}
	}
	return d
}

// child reads a single image: its configuration tells platform and layers.
func (q question) child(ctx context.Context, found *remote.Descriptor) (Child, error) {
	if excessive(found.Manifest) {
		return Child{}, q.invalid(errExcessive.Error())
	}
	image, err := found.Image()
	if err != nil {
		return Child{}, q.invalid("it has a platform that is no image")
	}
	var config configuration
	raw, err := image.RawConfigFile()
	if err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		if ctx.Err() != nil || witnessOf(ctx).sighting().status >= http.StatusBadRequest {
			return Child{}, err
		}
		return Child{}, q.invalid("an image's configuration cannot be read")
	}
	child := Child{Digest: found.Digest.String(), Platform: platformOf(config.OS, config.Architecture, config.Variant)}
	if len(child.Platform) > maxPlatform {
		return Child{}, q.invalid(errExcessive.Error())
	}
	lines := make([]string, 0, len(config.RootFS.DiffIDs))
	for _, layer := range config.RootFS.DiffIDs {
		lines = append(lines, layer.String())
	}
	child.Content = hashLines(lines)
	return child, nil
}

// configuration is what counts of an image's configuration; OCI image-spec, config.md.
type configuration struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	RootFS       struct {
		DiffIDs []v1.Hash `json:"diff_ids"`
	} `json:"rootfs"`
}

func platformOf(system, architecture, variant string) string {
	platform := system + "/" + architecture
	if variant != "" {
		platform += "/" + variant
	}
	return platform
}

// document is what manifests and indexes have in common for us.
type document struct {
	MediaType   string            `json:"mediaType"`
	Annotations map[string]string `json:"annotations"`
	Config      *struct {
		MediaType string `json:"mediaType"`
	} `json:"config"`
	Manifests []struct {
		Digest      string            `json:"digest"`
		Annotations map[string]string `json:"annotations"`
		Platform    struct {
			OS           string `json:"os"`
			Architecture string `json:"architecture"`
			Variant      string `json:"variant"`
		} `json:"platform"`
	} `json:"manifests"`
}

// errNoImage is for a manifest that holds something else than an image.
var errNoImage = errors.New("no image")

// errExcessive is for what no image has.
var errExcessive = errors.New("its manifest lists more, or longer names, than an image has")

// excessive is true for a manifest that would take too much memory to decode.
func excessive(raw []byte) bool { return bytes.Count(raw, []byte("{")) > maxObjects }

func describe(raw []byte) (Description, error) {
	if excessive(raw) {
		return Description{}, errExcessive
	}
	var read document
	if err := json.Unmarshal(raw, &read); err != nil {
		return Description{}, err
	}
	if read.Config != nil && !types.MediaType(read.Config.MediaType).IsConfig() {
		return Description{}, errNoImage
	}
	var description Description
	description.BaseName, description.BaseDigest = base(read.Annotations)
	agreed := map[[2]string]bool{}
	for _, child := range read.Manifests {
		if err := checkDigest(child.Digest); err != nil || child.Platform.OS == "unknown" {
			continue // BuildKit's attestations are children of the platform unknown/unknown
		}
		platform := platformOf(child.Platform.OS, child.Platform.Architecture, child.Platform.Variant)
		if len(platform) > maxPlatform || len(description.Children) == maxChildren {
			return Description{}, errExcessive
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
