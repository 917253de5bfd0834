package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/gzip"
)

// defaultPath is the PATH of every image; images without one break tools that
// run by a bare name.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Program pushes a static program as an image of one layer and returns the
// image's reference by digest.
func (m Maker) Program(ctx context.Context, registry, repository, programName, path string) (string, error) {
	layer, err := compress(gzip.NoCompression, func(out io.Writer) error { return writeProgram(out, programName, path) })
	if err != nil {
		return "", err
	}
	image, err := imageOf(layer, time.Unix(0, 0).UTC(), v1.Config{
		Env: []string{defaultPath}, Entrypoint: []string{"/" + programDir + "/" + programName},
	})
	if err != nil {
		return "", err
	}
	return push(ctx, registry, repository, "latest", image)
}

// Builder pushes the image with buildah and returns its reference by digest.
func (m Maker) Builder(ctx context.Context, registry string) (string, error) {
	tarball, key, err := m.BuilderRootfs(ctx)
	if err != nil {
		return "", err
	}
	const repository = "tools/buildah"
	if reference, found := lookUp(ctx, registry, repository, key); found {
		return reference, nil
	}
	reference := ""
	err = m.Progress.During("push "+repository, func() error {
		layer, err := compress(gzip.NoCompression, func(out io.Writer) error {
			file, err := os.Open(tarball)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = io.Copy(out, file)
			return err
		})
		if err != nil {
			return err
		}
		image, err := imageOf(layer, epoch, v1.Config{Env: []string{defaultPath}, Cmd: []string{"bash"}})
		if err != nil {
			return err
		}
		reference, err = push(ctx, registry, repository, key, image)
		return err
	})
	return reference, err
}

// imageOf is an image of one layer for this machine's architecture.
func imageOf(layer v1.Layer, created time.Time, config v1.Config) (v1.Image, error) {
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "test/cluster"},
	})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Created = v1.Time{Time: created}
	file.Config = config
	return mutate.ConfigFile(image, file)
}

// push pushes an image under a tag and returns it as repository:tag@digest.
func push(ctx context.Context, registry, repository, tag string, image v1.Image) (string, error) {
	reference, err := tagOf(registry, repository, tag)
	if err != nil {
		return "", err
	}
	if err := remote.Write(reference, image, remote.WithContext(ctx)); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s@%s", reference.Name(), digest), nil
}

// lookUp asks whether a tag is there already.
func lookUp(ctx context.Context, registry, repository, tag string) (string, bool) {
	reference, err := tagOf(registry, repository, tag)
	if err != nil {
		return "", false
	}
	found, err := remote.Head(reference, remote.WithContext(ctx))
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("%s@%s", reference.Name(), found.Digest), true
}

// tagOf names a tag in a registry that speaks plain HTTP, as the registry of a
// test does.
func tagOf(registry, repository, tag string) (name.Tag, error) {
	return name.NewTag(fmt.Sprintf("%s/%s:%s", registry, repository, tag), name.Insecure)
}
