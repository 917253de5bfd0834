// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command image builds the operator's container image without a container engine: it
// compiles main.go, puts the binary into a single layer and pushes the image to a
// registry, or writes it as a tar for "docker load" and "ctr images import".
//
// The same source and toolchain give the same digest: the layer has no timestamps and a
// fixed order, and the binary no build path and no build ID.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// options are the flags.
type options struct {
	image     string
	push      bool
	tar       string
	plainHTTP []string
	arch      string
}

func main() {
	var o options
	var plainHTTP string
	flag.StringVar(&o.image, "image", "", "reference of the image: host[:port]/repository:tag")
	flag.BoolVar(&o.push, "push", false, "push the image to its registry")
	flag.StringVar(&o.tar, "tar", "", "file to write the image to")
	flag.StringVar(&plainHTTP, "plain-http", "", "registries, separated by commas, to which plain HTTP is spoken")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "architecture of the image")
	flag.Parse()
	o.plainHTTP = strings.FieldsFunc(plainHTTP, func(r rune) bool { return r == ',' })

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if !o.push && o.tar == "" {
		return errors.New("say what to do with the image: -push or -tar FILE")
	}
	tag, err := parseTag(o.image, o.plainHTTP)
	if err != nil {
		return err
	}
	binary, err := compile(ctx, o.arch)
	if err != nil {
		return err
	}
	certs, err := certificates()
	if err != nil {
		return err
	}
	img, err := build(o.arch, files(binary, certs))
	if err != nil {
		return fmt.Errorf("cannot build the image: %w", err)
	}
	return deliver(ctx, img, tag, o)
}

// parseTag reads an image reference. Plain HTTP is spoken to the named hosts only; the
// library would speak it to every loopback and private address by itself.
func parseTag(image string, plainHTTP []string) (name.Tag, error) {
	tag, err := name.NewTag(image)
	if err != nil {
		return name.Tag{}, fmt.Errorf("-image: %w", err)
	}
	host := tag.RegistryStr()
	if slices.Contains(plainHTTP, host) {
		return name.NewTag(image, name.Insecure)
	}
	if tag.Scheme() == "http" {
		return name.Tag{}, fmt.Errorf("-image: %s would be spoken to in plain HTTP: name it in -plain-http", host)
	}
	return tag, nil
}

// compile builds the operator, static and reproducible, and returns its bytes.
func compile(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	out := filepath.Join(dir, "manager")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cannot compile the operator: %w", err)
	}
	return os.ReadFile(out)
}

// certificates returns the builder's bundle of trusted certificate authorities, which
// the image needs to speak to public registries; none where the builder has none.
func certificates() ([]byte, error) {
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
	} {
		certs, err := os.ReadFile(path)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return certs, err
		}
	}
	fmt.Fprintln(os.Stderr, "image: no certificate authorities on this machine: the image will trust no registry over HTTPS")
	return nil, nil
}

// deliver writes and pushes the image, and prints the reference by digest.
func deliver(ctx context.Context, img v1.Image, tag name.Tag, o options) error {
	if o.tar != "" {
		if err := os.MkdirAll(filepath.Dir(o.tar), 0o750); err != nil {
			return err
		}
		if err := tarball.WriteToFile(o.tar, tag, img); err != nil {
			return fmt.Errorf("cannot write %s: %w", o.tar, err)
		}
	}
	if o.push {
		err := remote.Write(tag, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return fmt.Errorf("cannot push: %w", err)
		}
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	fmt.Println(tag.Context().Digest(digest.String()))
	return nil
}
