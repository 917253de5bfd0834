// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PushPlatforms pushes an index under a tag: for each architecture an image of nothing but
// files. It returns the index's digest and those of the images.
func (s Shop) PushPlatforms(ctx context.Context, tag string, files map[string]string, architectures ...string) (digest string, images []string, err error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture})
		if err != nil {
			return "", nil, err
		}
		if image, err = with(image, files, nil); err != nil {
			return "", nil, err
		}
		of, err := image.Digest()
		if err != nil {
			return "", nil, err
		}
		images = append(images, of.String())
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	digest, err = s.Registry.PushIndex(ctx, s.Image(tag), index)
	return digest, images, err
}

// Attach pushes an artifact of a type whose subject is an image, repository@digest, as a
// signature is pushed. It returns the artifact's digest.
func (r Registry) Attach(ctx context.Context, image, artifactType, content string) (string, error) {
	ref, err := r.parse(image)
	if err != nil {
		return "", err
	}
	subject, err := remote.Head(ref, options(ctx)...)
	if err != nil {
		return "", err
	}
	artifact, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		static.NewLayer([]byte(content), "text/plain"))
	if err != nil {
		return "", err
	}
	artifact = mutate.ConfigMediaType(artifact, types.MediaType(artifactType))
	attached, ok := mutate.Subject(artifact, *subject).(v1.Image)
	if !ok {
		return "", errNoImage
	}
	digest, err := attached.Digest()
	if err != nil {
		return "", err
	}
	return r.Push(ctx, ref.Context().Digest(digest.String()).String(), attached)
}

// Referrers are the digests of what is attached to an image, repository@digest.
func (r Registry) Referrers(ctx context.Context, image string) ([]string, error) {
	ref, err := r.parse(image)
	if err != nil {
		return nil, err
	}
	subject, ok := ref.(name.Digest)
	if !ok {
		return nil, fmt.Errorf("%s is no digest", image)
	}
	index, err := remote.Referrers(subject, options(ctx)...)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var digests []string
	for i := range manifest.Manifests {
		digests = append(digests, manifest.Manifests[i].Digest.String())
	}
	return digests, nil
}

// Delete deletes manifests of a repository by their digests, and with them every tag that
// shows one.
func (r Registry) Delete(ctx context.Context, repository string, digests ...string) error {
	for _, digest := range digests {
		ref, err := r.parse(repository + "@" + digest)
		if err != nil {
			return err
		}
		if err := remote.Delete(ref, options(ctx)...); err != nil {
			return fmt.Errorf("deleting %s: %w", ref, err)
		}
	}
	return nil
}

// BuiltOn is the base that an image says it was built on, in the annotations that OCI has
// for it, as its name and its digest.
func (r Registry) BuiltOn(ctx context.Context, reference string) (base, digest string, err error) {
	image, err := r.Pull(ctx, reference)
	if err != nil {
		return "", "", err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return "", "", err
	}
	base, _, _ = strings.Cut(manifest.Annotations["org.opencontainers.image.base.name"], "@")
	return base, manifest.Annotations["org.opencontainers.image.base.digest"], nil
}
