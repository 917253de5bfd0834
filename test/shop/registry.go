// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Registry is where images are.
type Registry struct {
	// Host with its port.
	Host string
	// Plain is true where the registry speaks plain HTTP.
	Plain bool
}

// Reach asks a registry whether it is there, and whether it speaks TLS.
func Reach(ctx context.Context, host string) (Registry, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var problems []error
	for _, scheme := range []string{"https", "http"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/v2/", http.NoBody)
		if err != nil {
			return Registry{}, fmt.Errorf("registry %s: %w", host, err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		_ = response.Body.Close()
		return Registry{Host: host, Plain: scheme == "http"}, nil
	}
	return Registry{}, fmt.Errorf("registry %s does not answer: %w", host, errors.Join(problems...))
}

// PlainHosts are the hosts that are spoken to in plain HTTP, as flags take them.
func (r Registry) PlainHosts() string {
	if r.Plain {
		return r.Host
	}
	return ""
}

func (r Registry) parse(reference string) (name.Reference, error) {
	if r.Plain {
		return name.ParseReference(reference, name.Insecure)
	}
	return name.ParseReference(reference)
}

func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// Digest is what a reference shows now; empty where it does not exist.
func (r Registry) Digest(ctx context.Context, reference string) (string, error) {
	ref, err := r.parse(reference)
	if err != nil {
		return "", err
	}
	found, err := remote.Head(ref, options(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return found.Digest.String(), nil
}

// Pull reads an image.
func (r Registry) Pull(ctx context.Context, reference string) (v1.Image, error) {
	ref, err := r.parse(reference)
	if err != nil {
		return nil, err
	}
	return remote.Image(ref, options(ctx)...)
}

// Push writes an image, and returns its digest.
func (r Registry) Push(ctx context.Context, reference string, image v1.Image) (string, error) {
	ref, err := r.parse(reference)
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, image, options(ctx)...); err != nil {
		return "", fmt.Errorf("pushing %s: %w", reference, err)
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// PushIndex writes an index with its images, and returns its digest.
func (r Registry) PushIndex(ctx context.Context, reference string, index v1.ImageIndex) (string, error) {
	ref, err := r.parse(reference)
	if err != nil {
		return "", err
	}
	if err := remote.WriteIndex(ref, index, options(ctx)...); err != nil {
		return "", fmt.Errorf("pushing %s: %w", reference, err)
	}
	digest, err := index.Digest()
	return digest.String(), err
}

// Retag puts what one reference shows under another tag of the same repository, and
// returns when the registry had taken it.
func (r Registry) Retag(ctx context.Context, from, to string) (time.Time, error) {
	source, err := r.parse(from)
	if err != nil {
		return time.Time{}, err
	}
	target, err := r.parse(to)
	if err != nil {
		return time.Time{}, err
	}
	tag, ok := target.(name.Tag)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is no tag", to)
	}
	found, err := remote.Get(source, options(ctx)...)
	if err != nil {
		return time.Time{}, err
	}
	if err := remote.Tag(tag, found, options(ctx)...); err != nil {
		return time.Time{}, fmt.Errorf("putting %s under %s: %w", from, to, err)
	}
	return time.Now(), nil
}

// Layers are the uncompressed digests of an image's layers, the lowest first.
func (r Registry) Layers(ctx context.Context, reference string) ([]string, error) {
	image, err := r.Pull(ctx, reference)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	var layers []string
	for _, id := range config.RootFS.DiffIDs {
		layers = append(layers, id.String())
	}
	return layers, nil
}
