// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// content is a manifest or index as it was read.
type content struct {
	mediaType string
	raw       []byte
	// arrived is set where it was read at the target.
	arrived bool
}

// descriptor points to a manifest or blob; OCI image-spec, descriptor.md.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// listing is what a manifest or index lists.
type listing struct {
	Manifests shortList[descriptor] `json:"manifests"`
	Config    *descriptor           `json:"config"`
	Layers    shortList[descriptor] `json:"layers"`
	// Blobs are an OCI artifact manifest's, which some registries still hold.
	Blobs shortList[descriptor] `json:"blobs"`
}

// shortList is a list in a document of somebody else's, who may have written millions
// of empty elements into 8 MiB: in memory, they would take forty times as much. One
// that is longer than the layers of a copy is errLongList.
type shortList[T any] []T

var errLongList = fmt.Errorf("it lists more than %d things, which is more than is copied", maxCopiedBlobs)

// UnmarshalJSON implements json.Unmarshaler.
func (l *shortList[T]) UnmarshalJSON(raw []byte) error {
	elements := json.NewDecoder(bytes.NewReader(raw))
	switch begin, err := elements.Token(); {
	case err != nil:
		return err
	case begin == nil: // null
		return nil
	case begin != json.Delim('['):
		return errors.New("no list")
	}
	for elements.More() {
		if len(*l) == maxCopiedBlobs {
			return errLongList
		}
		var element T
		if err := elements.Decode(&element); err != nil {
			return err
		}
		*l = append(*l, element)
	}
	return nil
}

// hasherFor is the hash of a digest's algorithm.
func hasherFor(digest string) (hash.Hash, error) {
	algorithm, _, _ := strings.Cut(digest, ":")
	return v1.Hasher(algorithm)
}

// digestString is the digest that was hashed, in the words of another one of the same
// algorithm.
func digestString(like string, hashed hash.Hash) string {
	algorithm, _, _ := strings.Cut(like, ":")
	return algorithm + ":" + hex.EncodeToString(hashed.Sum(nil))
}

// digestOf is the digest of bytes by the algorithm of another digest; empty where that
// is not known.
func digestOf(like string, raw []byte) string {
	hasher, err := hasherFor(like)
	if err != nil {
		return ""
	}
	_, _ = hasher.Write(raw)
	return digestString(like, hasher)
}

// get reads a manifest. One that is asked for by its digest has it; the library
// alone would believe what a registry says of Docker's first kind of manifest.
func (e *end) get(ctx context.Context, q question, ref name.Reference) (content, error) {
	found, err := e.puller.Get(ctx, ref)
	if err != nil {
		return content{}, err
	}
	if want, ok := ref.(name.Digest); ok && digestOf(want.DigestStr(), found.Manifest) != want.DigestStr() {
		return content{}, q.invalid("the digest of what it answers is another one")
	}
	var said struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(found.Manifest, &said); err != nil {
		return content{}, q.noManifest(ctx)
	}
	if said.MediaType == "" {
		said.MediaType = string(found.MediaType)
	}
	return content{mediaType: said.MediaType, raw: found.Manifest}, nil
}

// manifest reads a manifest at the target, where an earlier copy may have brought it,
// and else at the source, where that may count as a pull.
func (r *copying) manifest(ctx context.Context, digest string) (content, error) {
	var found content
	read := func(e *end) error {
		q := e.reading(digest)
		return r.bounded(ctx, q, func(ctx context.Context) error {
			var err error
			found, err = e.get(ctx, q, e.repository.Digest(digest))
			return err
		})
	}
	err := read(r.target)
	found.arrived = err == nil
	if class := ClassOf(err); err == nil || class == Unavailable || class == RateLimited {
		return found, err
	}
	err = read(r.source)
	return found, err
}

// tree copies what a manifest lists, and then the manifest.
func (r *copying) tree(ctx context.Context, digest string, m content, depth int) error {
	if err := r.listed(ctx, digest, m, depth); err != nil {
		return err
	}
	if !m.arrived {
		if _, err := r.put(ctx, r.target.question, digest, m); err != nil {
			return err
		}
	}
	return r.arrived(digest)
}

// arrived remembers that a manifest is at the target, with all that it lists.
func (r *copying) arrived(digest string) error {
	if r.manifests[digest] {
		return nil
	}
	if len(r.order) == maxCopiedManifests {
		return r.source.invalid(fmt.Sprintf("more than %d manifests belong to it; they are not copied", maxCopiedManifests))
	}
	r.manifests[digest] = true
	r.order = append(r.order, digest)
	return nil
}

// listed copies what a manifest lists.
func (r *copying) listed(ctx context.Context, digest string, m content, depth int) error {
	q := r.source.reading(digest)
	var lists listing
	switch err := json.Unmarshal(m.raw, &lists); {
	case errors.Is(err, errLongList):
		return q.invalid(err.Error())
	case err != nil:
		return q.noManifest(ctx)
	}
	if len(lists.Manifests) > 0 && depth == maxCopiedDepth {
		return q.invalid("its indexes lie too deep in each other to be copied")
	}
	for _, child := range lists.Manifests {
		if err := checkDigest(child.Digest); err != nil {
			return q.invalid("the index lists something that is no digest")
		}
		if err := r.child(ctx, child.Digest, depth+1); err != nil {
			return err
		}
	}
	blobs := slices.Concat(lists.Layers, lists.Blobs)
	if lists.Config != nil {
		blobs = append(blobs, *lists.Config)
	}
	for _, blob := range blobs {
		if !distributable(blob.MediaType) {
			continue
		}
		if err := checkDigest(blob.Digest); err != nil || blob.Size < 0 || blob.Size > maxBlobSize {
			return q.invalid("the manifest lists a layer whose digest or size is none")
		}
		if err := r.blob(ctx, blob); err != nil {
			return err
		}
	}
	return nil
}

// child reads and copies a manifest that another one lists.
func (r *copying) child(ctx context.Context, digest string, depth int) error {
	if r.manifests[digest] {
		return nil
	}
	m, err := r.manifest(ctx, digest)
	if err != nil {
		return err
	}
	return r.tree(ctx, digest, m, depth)
}

// distributable is whether a layer may be passed on: OCI image-spec, layer.md
// ("Non-Distributable Layers"), and Docker's name for the same.
func distributable(mediaType string) bool {
	return !strings.Contains(mediaType, ".nondistributable.") && !strings.Contains(mediaType, ".foreign.")
}

// put writes a manifest under a digest or tag, and tells what the registry answered.
func (r *copying) put(ctx context.Context, q question, as string, m content) (http.Header, error) {
	var answer http.Header
	digest := digestOf("sha256", m.raw)
	err := r.exchange(ctx, r.target, q, http.MethodPut, r.target.address("manifests/"+as), &m, func(resp *http.Response) error {
		if err := transport.CheckError(resp, http.StatusCreated, http.StatusOK, http.StatusAccepted); err != nil {
			return err
		}
		if isHTML(resp.Header.Get("Content-Type")) {
			return q.webPage() // a proxy's, perhaps, and nothing was written
		}
		if kept := resp.Header.Get("Docker-Content-Digest"); kept != "" && kept != digest && kept != as {
			return q.invalid("it keeps the manifest under another digest than its own")
		}
		answer = resp.Header
		return nil
	})
	if err == nil {
		r.copied.Manifests++
	}
	return answer, err
}

// exchange makes one request with a small answer, within the time that a registry
// has for one.
func (c *Client) exchange(ctx context.Context, e *end, q question, method, address string, body *content, look func(*http.Response) error) error {
	return c.bounded(ctx, q, func(ctx context.Context) error {
		var reader io.Reader = http.NoBody
		if body != nil {
			reader = bytes.NewReader(body.raw)
		}
		req, err := http.NewRequestWithContext(ctx, method, address, reader)
		if err != nil {
			return err
		}
		if body != nil {
			req.Header.Set("Content-Type", body.mediaType)
		}
		if method == http.MethodGet {
			req.Header.Set("Accept", string(types.OCIImageIndex))
		}
		resp, err := e.client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return look(resp)
	})
}

// notThere is whether a registry says of something that it has it not.
func notThere(err error) bool {
	of, ok := errors.AsType[*Error](err)
	return ok && of.Status == http.StatusNotFound
}
