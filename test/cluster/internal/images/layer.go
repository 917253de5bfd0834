package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// writeTree writes a directory as a tar whose bytes depend only on the tree's
// contents: sorted names, numeric owners, and no time later than the given one.
// Real times of files from packages stay; only what was written just now, which
// would differ from run to run, gets the given time.
func writeTree(out io.Writer, root string, latest time.Time) error {
	writer := tar.NewWriter(out)
	links := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return writeEntry(writer, root, path, latest, links)
	})
	if err != nil {
		return err
	}
	return writer.Close()
}

// writeEntry writes one file; a second name of the same file becomes a link.
func writeEntry(writer *tar.Writer, root, path string, latest time.Time, links map[uint64]string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	header.Name = relative
	if info.IsDir() {
		header.Name += "/"
	}
	header.Uname, header.Gname = "", ""
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	header.ModTime = header.ModTime.Truncate(time.Second)
	if header.ModTime.After(latest) {
		header.ModTime = latest
	}
	header.Format = tar.FormatPAX
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && stat.Nlink > 1 {
		if first, seen := links[stat.Ino]; seen {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
		} else {
			links[stat.Ino] = relative
		}
	}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(writer, file)
	return err
}

// programDir is where a program lies in its image: the place ko puts it, which
// Tekton's controller relies on when it runs /ko-app/entrypoint.
const programDir = "ko-app"

// writeProgram writes a tar with nothing but one executable.
func writeProgram(out io.Writer, name, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	writer := tar.NewWriter(out)
	for _, directory := range []*tar.Header{
		{Name: programDir + "/", Mode: 0o755},
		// For temporary files, because Tekton's programs write some.
		{Name: "tmp/", Mode: 0o1777},
	} {
		directory.Typeflag, directory.ModTime = tar.TypeDir, time.Unix(0, 0)
		if err := writer.WriteHeader(directory); err != nil {
			return err
		}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: programDir + "/" + name, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	if _, err := writer.Write(content); err != nil {
		return err
	}
	return writer.Close()
}

// compress turns a tar into a layer. The level trades the processor's time for
// space: what travels no further than this machine is not squeezed at all.
func compress(level int, write func(io.Writer) error) (v1.Layer, error) {
	var buffer bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&buffer, level)
	if err != nil {
		return nil, err
	}
	if err := write(zipped); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil
	}, tarball.WithMediaType(types.DockerLayer))
}
