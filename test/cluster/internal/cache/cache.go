// Package cache keeps what was built outside the checkout.
//
// Every piece lies in its own directory, named by its version and by a hash of
// what it is built from. So an edit of the launcher does not build Kubernetes
// again, two versions live side by side, and a piece is either wholly there or
// not there at all.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// Dir is the root of the cache.
func Dir() (string, error) {
	base := os.Getenv("IMAGELINEAGE_CACHE")
	if base == "" {
		base = os.Getenv("XDG_CACHE_HOME")
	}
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("where to keep what is built: set IMAGELINEAGE_CACHE, XDG_CACHE_HOME or HOME: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "imagelineage", "cluster"), nil
}

// Key names a piece: its name, its version and a short hash of its inputs.
func Key(name, version string, inputs ...string) string {
	hash := sha256.New()
	for _, input := range inputs {
		// The length keeps ("ab","c") apart from ("a","bc").
		fmt.Fprintf(hash, "%d:%s", len(input), input)
	}
	return fmt.Sprintf("%s-%s-%s", name, version, hex.EncodeToString(hash.Sum(nil))[:12])
}

// HashFiles returns a digest of the names and contents of a directory's files.
func HashFiles(dir string) (string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	sort.Strings(paths)
	hash := sha256.New()
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %x\n", relative, sha256.Sum256(content))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Ensure returns the directory of a piece and builds it first when it is
// missing. The build writes into a temporary directory that gets its name only
// when all is well; a lock keeps two runs from building the same piece.
func Ensure(key string, build func(dir string) error) (string, error) {
	root, err := Dir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(root, key)
	if exists(final) {
		return final, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(root, "."+key+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(final) {
		// Another run built it while this one waited for the lock.
		return final, nil
	}
	temporary := filepath.Join(root, "."+key+".building")
	if err := os.RemoveAll(temporary); err != nil {
		return "", err
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return "", err
	}
	if err := build(temporary); err != nil {
		return "", err
	}
	return final, os.Rename(temporary, final)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lock takes an exclusive lock that the kernel releases even if this process
// is killed.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// Lock takes a lock by a name, so that two runs do not do the same thing.
func Lock(name string) (unlock func(), err error) {
	root, err := Dir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	return lock(filepath.Join(root, "."+name+".lock"))
}
