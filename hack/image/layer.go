// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is the user that the operator runs as, known from distroless images.
const nonroot = "65532:65532"

// file is one file of the image.
type file struct {
	path    string
	mode    int64
	content []byte
}

// files lists what is in the image.
func files(binary, certs []byte) []file {
	all := []file{
		{path: "manager", mode: 0o755, content: binary},
		{path: "etc/passwd", mode: 0o644, content: []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{path: "etc/group", mode: 0o644, content: []byte("nonroot:x:65532:\n")},
	}
	if len(certs) > 0 {
		all = append(all, file{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: certs})
	}
	return all
}

// build makes an image of one layer with these files.
func build(arch string, all []file) (v1.Image, error) {
	content, err := archive(all)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{
		Layer:   layer,
		History: v1.History{CreatedBy: "make image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS = "linux"
	config.Architecture = arch
	config.Config.User = nonroot
	config.Config.Entrypoint = []string{"/manager"}
	config.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    "imagelineage",
		"org.opencontainers.image.source":   "https://github.com/imagelineage/imagelineage",
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	return mutate.ConfigFile(img, config)
}

// archive writes the files as a tar whose bytes depend on nothing but them.
func archive(all []file) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range all {
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.path,
			Mode:     f.mode,
			Size:     int64(len(f.content)),
			ModTime:  time.Unix(0, 0),
			Format:   tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
