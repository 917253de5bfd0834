package images

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tree makes the same files in the given order, as fresh as now.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(root, name), []byte("content of "+name), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "b"), filepath.Join(root, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", filepath.Join(root, "soft")); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2020, 2, 2, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "a"), old, old); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestWriteTreeIsDeterministic(t *testing.T) {
	var first, second bytes.Buffer
	if err := writeTree(&first, tree(t, "a", "b", "c"), epoch); err != nil {
		t.Fatal(err)
	}
	if err := writeTree(&second, tree(t, "c", "b", "a"), epoch); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two trees with the same contents gave different bytes")
	}
	headers := map[string]*tar.Header{}
	reader := tar.NewReader(&first)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		headers[header.Name] = header
	}
	if got := headers["c"].ModTime; !got.Equal(epoch) {
		t.Errorf("a fresh file's time: got %v, want %v", got, epoch)
	}
	if got := headers["a"].ModTime.Year(); got != 2020 {
		t.Errorf("an old file's time changed to %d", got)
	}
	if headers["hard"].Typeflag != tar.TypeLink || headers["hard"].Linkname != "b" {
		t.Errorf("the hard link became %+v", headers["hard"])
	}
	if headers["soft"].Typeflag != tar.TypeSymlink || headers["soft"].Linkname != "b" {
		t.Errorf("the symbolic link became %+v", headers["soft"])
	}
}
