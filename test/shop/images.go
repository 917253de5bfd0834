// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The references of the shop that people push to, without registry and room.
const (
	// BaseTag is the tag that the base moves on.
	BaseTag = "library/debian:bookworm"
	// BaseRepository holds the states of the base, tagged by their version.
	BaseRepository = "library/debian"
	builderTag     = "tools/builder:1"
	vendorTag      = "vendor/cache:7"
	reportsTag     = "shop/reports:stable"
)

var errNoImage = errors.New("an annotated image is no image any more")

// PushBuilder pushes the builder of api: an image with files to copy from.
func (s Shop) PushBuilder(ctx context.Context) error {
	_, err := s.PushFiles(ctx, builderTag, map[string]string{
		"out/prices.txt": "coffee 3.20\ntea 2.80\n",
	})
	return err
}

// PushFiles pushes an image of nothing but files.
func (s Shop) PushFiles(ctx context.Context, tag string, files map[string]string) (digest string, err error) {
	return s.pushOn(ctx, empty.Image, tag, files, nil)
}

// PushVendor pushes an edition of the vendor's cache, made on a state of Debian.
func (s Shop) PushVendor(ctx context.Context, debian, edition string) (digest string, err error) {
	base, err := s.Registry.Pull(ctx, debian)
	if err != nil {
		return "", err
	}
	base, err = starting(base, "cache")
	if err != nil {
		return "", err
	}
	return s.pushOn(ctx, base, vendorTag, map[string]string{
		"usr/local/bin/shop": program, "etc/vendor/edition": edition + "\n",
	}, nil)
}

// PushReports pushes reports as another team's CI would: built on what the base's tag
// shows, and saying so in the annotations that OCI has for it.
func (s Shop) PushReports(ctx context.Context) error {
	reference := s.Image(BaseTag)
	digest, err := s.Registry.Digest(ctx, reference)
	if err != nil {
		return err
	}
	base, err := s.Registry.Pull(ctx, reference)
	if err != nil {
		return err
	}
	if base, err = starting(base, "reports"); err != nil {
		return err
	}
	_, err = s.pushOn(ctx, base, reportsTag, map[string]string{"usr/local/bin/shop": program}, map[string]string{
		"org.opencontainers.image.base.name":   reference,
		"org.opencontainers.image.base.digest": digest,
	})
	return err
}

// PushRelease pushes a release of an application onto its tag, as its team's own CI
// would: the image that the tag shows, with new code. What the image says of its base
// stays.
func (s Shop) PushRelease(ctx context.Context, tag, release string) (digest string, err error) {
	image, err := s.Registry.Pull(ctx, s.Image(tag))
	if err != nil {
		return "", err
	}
	return s.pushOn(ctx, image, tag, map[string]string{"srv/release": release + "\n"}, nil)
}

func (s Shop) pushOn(ctx context.Context, base v1.Image, tag string, files, annotations map[string]string) (string, error) {
	image, err := with(base, files, annotations)
	if err != nil {
		return "", err
	}
	return s.Registry.Push(ctx, s.Image(tag), image)
}

// starting is the image with the shop's program as its command.
func starting(image v1.Image, app string) (v1.Image, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	changed := config.Config.DeepCopy()
	changed.Cmd = []string{"/usr/local/bin/shop", app}
	return mutate.Config(image, *changed)
}

// with is the image with one more layer, and with annotations. It is OCI's: Docker's
// manifests have no annotations.
func with(image v1.Image, files, annotations map[string]string) (v1.Image, error) {
	content, err := archive(files)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{CreatedBy: "test/shop"},
	})
	if err != nil || annotations == nil {
		return image, err
	}
	annotated, ok := mutate.Annotations(image, annotations).(v1.Image)
	if !ok {
		return nil, errNoImage
	}
	return annotated, nil
}

// archive is a tar of the files, without the time of day: equal files are equal layers.
func archive(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, path := range sortedKeys(files) {
		content := files[path]
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: path, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0),
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(writer, content); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return out.Bytes(), err
}

func sortedKeys(files map[string]string) []string {
	return slices.Sorted(maps.Keys(files))
}
