// Package images makes the images of the cluster without a registry to pull
// from: a real Debian with a real dpkg database, a builder with buildah, and
// static programs as single layers.
package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/imagelineage/imagelineage/test/cluster/internal/cache"
	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// policy lets buildah use images without signatures. Debian's package lacks the
// file, and buildah refuses every image without it.
const policy = `{"default":[{"type":"insecureAcceptAnything"}]}` + "\n"

// builderPackages is what the builder image has on top of the minimal Debian.
var builderPackages = []string{"buildah", "ca-certificates"}

// Maker makes and pushes images.
type Maker struct {
	// Progress is told what is made.
	Progress *command.Progress
}

// Rootfs returns a cached tar of a minimal Debian.
func (m Maker) Rootfs(ctx context.Context) (string, error) {
	mirror, err := Mirror()
	if err != nil {
		return "", err
	}
	key := cache.Key("debian", Suite, "minbase", "slim", runtime.GOARCH)
	dir, err := cache.Ensure(key, func(out string) error {
		return m.Progress.During("debootstrap Debian "+Suite, func() error {
			root := filepath.Join(out, "root")
			if err := command.New("debootstrap", "--variant=minbase", Suite, root, mirror).Run(ctx); err != nil {
				return err
			}
			if err := tidy(root); err != nil {
				return err
			}
			return packAndRemove(ctx, root, filepath.Join(out, "rootfs.tar"))
		})
	})
	return filepath.Join(dir, "rootfs.tar"), err
}

// BuilderRootfs returns a cached tar of that Debian with buildah, and the key
// that names the image's tag.
func (m Maker) BuilderRootfs(ctx context.Context) (path, key string, err error) {
	base, err := m.Rootfs(ctx)
	if err != nil {
		return "", "", err
	}
	key = cache.Key("buildah", Suite, filepath.Base(filepath.Dir(base)), strings.Join(builderPackages, " "), policy)
	dir, err := cache.Ensure(key, func(out string) error {
		return m.Progress.During("install buildah into Debian "+Suite, func() error {
			root := filepath.Join(out, "root")
			if err := unpack(ctx, base, root); err != nil {
				return err
			}
			if err := installBuilder(ctx, root); err != nil {
				return err
			}
			return packAndRemove(ctx, root, filepath.Join(out, "rootfs.tar"))
		})
	})
	return filepath.Join(dir, "rootfs.tar"), key, err
}

// installBuilder runs the root file system's own apt, with the machine's name
// resolution for as long as it needs it.
func installBuilder(ctx context.Context, root string) error {
	for _, path := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, path), content, 0o644); err != nil {
			return err
		}
	}
	// apt's check of signatures writes to /dev/null; the device goes again below.
	for name, minor := range map[string]int{"null": 3, "zero": 5, "urandom": 9} {
		device := filepath.Join(root, "dev", name)
		if err := syscall.Mknod(device, syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			return fmt.Errorf("make %s: %w", device, err)
		}
		if err := os.Chmod(device, 0o666); err != nil {
			return err
		}
	}
	chroot := func(args ...string) error {
		return command.Cmd{
			Args: append([]string{"chroot", root}, args...),
			Env:  []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"},
		}.Run(ctx)
	}
	if err := chroot("apt-get", "update", "-q"); err != nil {
		return err
	}
	install := append([]string{"apt-get", "install", "-y", "-q", "--no-install-recommends"}, builderPackages...)
	if err := chroot(install...); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/containers"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "etc/containers/policy.json"), []byte(policy), 0o644); err != nil {
		return err
	}
	return tidy(root)
}

// tidy empties what only the making of the file system needed and what would
// make two runs differ.
func tidy(root string) error {
	for _, pattern := range []string{
		"var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*.log", "var/log/apt/*",
		"var/cache/ldconfig/aux-cache", "etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/machine-id", "dev/*",
		// What Debian's own slim images leave out as well: every build copies its
		// base, so a third less of it is a third less time.
		"usr/share/locale/*", "usr/share/man/*", "usr/share/info/*", "var/cache/debconf/*-old", "var/lib/dpkg/*-old",
	} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return keepOnlyCopyrights(filepath.Join(root, "usr/share/doc"))
}

// keepOnlyCopyrights removes the documentation but for the licences.
func keepOnlyCopyrights(doc string) error {
	return filepath.WalkDir(doc, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "copyright" {
			return err
		}
		return os.Remove(path)
	})
}

// unpack extracts a root file system with its owners and permissions.
func unpack(ctx context.Context, tarball, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	return command.New("tar", "--extract", "--file", tarball, "--directory", root, "--numeric-owner", "--preserve-permissions").Run(ctx)
}

// packAndRemove writes the cached tar and takes the directory away.
func packAndRemove(ctx context.Context, root, tarball string) error {
	err := command.New("tar", "--create", "--file", tarball, "--directory", root,
		"--numeric-owner", "--sort=name", "--one-file-system", ".").Run(ctx)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("remove the unpacked root file system: %w", err)
	}
	return nil
}
