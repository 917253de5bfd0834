package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// Package is the name of the small Debian package whose version tells one state
// of the base image from another.
const Package = "acme-ca-certificates"

// epoch is the latest time in any image: what is written while an image is made
// gets this time, so that the same inputs give the same digest.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Base pushes a state of the base image: the Debian with the package in the
// given version, installed by a real dpkg. It returns repository:tag@digest.
func (m Maker) Base(ctx context.Context, registry, repository, tag, version string) (string, error) {
	rootfs, err := m.Rootfs(ctx)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp("", "imagelineage-base-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	reference := ""
	err = m.Progress.During(fmt.Sprintf("make %s:%s with %s %s", repository, tag, Package, version), func() error {
		layer, err := baseLayer(ctx, rootfs, work, version)
		if err != nil {
			return err
		}
		image, err := imageOf(layer, epoch, v1.Config{Env: []string{defaultPath}, Cmd: []string{"bash"}})
		if err != nil {
			return err
		}
		reference, err = push(ctx, registry, repository, tag, image)
		return err
	})
	return reference, err
}

// baseLayer installs the package into an unpacked Debian and packs it again.
func baseLayer(ctx context.Context, rootfs, work, version string) (v1.Layer, error) {
	root := filepath.Join(work, "root")
	if err := unpack(ctx, rootfs, root); err != nil {
		return nil, err
	}
	deb, err := buildPackage(ctx, work, version)
	if err != nil {
		return nil, err
	}
	install := command.New("dpkg", "--root="+root, "--force-unsafe-io", "--install", deb)
	install.Env = []string{"LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	if err := install.Run(ctx); err != nil {
		return nil, err
	}
	// dpkg's log and its copies of the old state tell the time of this run.
	for _, path := range []string{"var/log/dpkg.log", "var/lib/dpkg/status-old", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend"} {
		if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
			return nil, err
		}
	}
	return compress(gzip.BestSpeed, func(out io.Writer) error { return writeTree(out, root, epoch) })
}

// buildPackage makes the Debian package with dpkg-deb.
func buildPackage(ctx context.Context, work, version string) (string, error) {
	tree := filepath.Join(work, "package")
	for path, content := range packageFiles(version) {
		target := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	deb := filepath.Join(work, fmt.Sprintf("%s_%s_all.deb", Package, version))
	build := command.New("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, deb)
	// dpkg-deb takes this as the time of everything in the package.
	build.Env = []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch.Unix())}
	return deb, build.Run(ctx)
}

// packageFiles is the source of the package.
func packageFiles(version string) map[string]string {
	return map[string]string{
		"DEBIAN/control": fmt.Sprintf(`Package: %s
Version: %s
Architecture: all
Section: misc
Priority: optional
Maintainer: Acme Platform Team <platform@acme.example>
Description: certificate authorities of Acme
 A package of a firm's own, as base images carry them. Its version tells one
 state of the base image from another.
`, Package, version),
		"usr/share/ca-certificates/acme/acme.crt": fmt.Sprintf("# The certificate authorities of Acme, edition %s.\n", version),
		"usr/share/doc/" + Package + "/changelog": fmt.Sprintf(
			"%s (%s) stable; urgency=medium\n\n  * Edition %s of the authorities.\n\n -- Acme Platform Team <platform@acme.example>  Thu, 01 Jan 2026 00:00:00 +0000\n",
			Package, version, version),
	}
}
