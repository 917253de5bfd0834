package cache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeyTellsInputsApart(t *testing.T) {
	base := Key("etcd", "v3", "ab", "c")
	if base != Key("etcd", "v3", "ab", "c") {
		t.Error("the same inputs gave different keys")
	}
	for _, other := range []string{Key("etcd", "v3", "a", "bc"), Key("etcd", "v3", "ab"), Key("etcd", "v4", "ab", "c")} {
		if other == base {
			t.Errorf("different inputs gave the same key %s", base)
		}
	}
}

func TestHashFilesSeesContentsAndNames(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		hash, err := HashFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	seen := map[string]bool{write("a", "1"): true}
	for _, hash := range []string{write("a", "2"), write("b", "2")} {
		if seen[hash] {
			t.Error("a change did not change the hash")
		}
		seen[hash] = true
	}
}

func TestEnsureBuildsOnceAndNeverHalf(t *testing.T) {
	t.Setenv("IMAGELINEAGE_CACHE", t.TempDir())
	failure := errors.New("compiler")
	half := func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); err != nil {
			return err
		}
		return failure
	}
	if _, err := Ensure("piece", half); !errors.Is(err, failure) {
		t.Fatalf("got %v, want %v", err, failure)
	}
	builds := 0
	whole := func(dir string) error {
		builds++
		if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
			t.Error("the failed build's files were still there")
		}
		return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600)
	}
	for range 2 {
		dir, err := Ensure("piece", whole)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "whole")); err != nil {
			t.Error(err)
		}
	}
	if builds != 1 {
		t.Errorf("built %d times, want once", builds)
	}
}
