// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// bigLayer is a layer that nobody holds in memory: each of its chunks is its number.
type bigLayer struct{ chunks int }

const chunkSize = 64 << 10

func (l bigLayer) size() int { return l.chunks * chunkSize }

func (l bigLayer) writeTo(w io.Writer) error {
	chunk := make([]byte, chunkSize)
	for i := range l.chunks {
		copy(chunk, strconv.Itoa(i))
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (l bigLayer) digest() string {
	h := sha256.New()
	_ = l.writeTo(h)
	return digestString(h)
}

func digestString(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// TestCopyStreams: a layer of 64 MiB goes through, eight times what any other answer may
// have, and what is held in memory meanwhile is a small part of it.
func TestCopyStreams(t *testing.T) {
	layer := bigLayer{chunks: 1024}
	digest := layer.digest()
	source, target := registrytest.New(t), registrytest.New(t)
	source.Intercept(on("GET", "/blobs/"+digest, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", strconv.Itoa(layer.size()))
		_ = layer.writeTo(w)
		return true
	}))
	o := emptyOriginal(t, source)
	o.digest = digestIn(o.image(nil, "config", object{"mediaType": ociLayer, "digest": digest, "size": layer.size()}))
	var before runtime.MemStats
	var allocated atomic.Uint64
	var got atomic.Value
	target.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut || !strings.Contains(req.URL.RawQuery, digest[len("sha256:"):]) {
			return false
		}
		h := sha256.New()
		runtime.ReadMemStats(&before)
		_, _ = io.Copy(h, req.Body)
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		allocated.Store(after.TotalAlloc - before.TotalAlloc)
		got.Store(fmt.Sprintf("%s of %d bytes", digestString(h), req.ContentLength))
		w.WriteHeader(http.StatusCreated)
		return true
	})
	copied, err := o.copy(newClient(source.Host, target.Host), target.Reference(t, "mirror/app"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s of %d bytes", digest, layer.size()); got.Load() != want {
		t.Errorf("the target got %v, want %s", got.Load(), want)
	}
	if copied.Bytes < int64(layer.size()) {
		t.Errorf("Copy = %+v", copied)
	}
	if n := allocated.Load(); n > uint64(layer.size())/8 {
		t.Errorf("%d bytes were allocated on the way of %d", n, layer.size())
	} else {
		t.Logf("%d KiB were allocated on the way of %d MiB", n>>10, layer.size()>>20)
	}
}
