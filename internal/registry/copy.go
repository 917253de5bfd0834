// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// What one copy brings at most. Images are far below; what is beyond is a mistake
// or an attack, and is not copied at all rather than in part.
const (
	// maxCopiedManifests counts indexes, images, attestations and referrers.
	maxCopiedManifests = 1000
	// maxCopiedReferrers counts the referrers of everything in the image together.
	maxCopiedReferrers = 500
	// maxCopiedBlobs counts configs and layers, each once.
	maxCopiedBlobs = 10000
	// maxCopiedDepth is how deep indexes may lie in each other: an index of indexes
	// of images is copied.
	maxCopiedDepth = 2
	// maxBlobSize is the largest layer, in bytes: 1 TiB, many times what registries take.
	maxBlobSize = 1 << 40
)

// Copied tells of a copy.
type Copied struct {
	// Reference of the copy: repository, kept tag and digest.
	Reference reference.Reference
	// AlreadyThere: the kept tag showed the digest before. Nothing was written, and
	// the source was not asked.
	AlreadyThere bool
	// Manifests is how many manifests and indexes were written.
	Manifests int
	// Blobs is how many configs and layers were sent, and Bytes their size. Those
	// that were there, or that the registry took from another repository of its own,
	// do not count.
	Blobs int
	Bytes int64
}

// Copy brings the image of a digest to another repository, byte for byte, and puts
// it under KeptTag(from.Tag, digest) there; to's own tag does not count. It brings
//
//   - the manifest, or the index with all of its children: every platform, and the
//     attestations that BuildKit keeps among them;
//   - their configs and layers. A layer that is not distributable stays with its
//     publisher: its descriptor is copied, and what it points to is not;
//   - the referrers of each of those manifests: signatures, SBOMs, attestations. They
//     are found by the referrers API and, where a registry has none, by the fallback
//     tag (OCI distribution-spec, "Listing Referrers"); the referrers of referrers are not;
//   - cosign's own tags of each of those manifests, sha256-HEX.sig, .att and .sbom.
//
// Children come before what lists them, and the kept tag comes last: whoever sees it
// sees all. A copy that ended half-way is completed by the next one, which sends no
// blob again and asks the source for no manifest that has arrived, except the first.
// Where the kept tag shows the digest already, that costs one HEAD, and referrers
// that have come to the source since are not looked for.
//
// Apart from the list under a fallback tag, which is added to, no tag is ever moved: a
// kept tag that shows something else is an error of class Invalid, and a tag of
// cosign's that is there stays as it is, since it may hold a signature of one's own.
//
// Layers are streamed, one at a time, and verified before their last byte is sent.
// A stream ends where nothing moves, or less than a MiB in each minute on average. The one
// keychain is used at the source only, the other at the target only. Before the
// source is asked, the target is, whether it may be pushed to.
//
// Its requests wait for their turns; see Limits. A side that answered a moment ago that it
// is asked too often is not asked: the error is of class RateLimited then, too.
//
// The source is read at the mirrors of its host's rule, in their order, and where none of
// them has all of the image, at the host itself. What is attached is looked for where
// the image is read.
//
// An error names the side that it came from by its host. Class Absent is the
// source's: the digest is not there.
func (c *Client) Copy(ctx context.Context, from reference.Reference, digest string, to reference.Reference, read, write Keychain) (Copied, error) {
	ctx = forCopy(ctx)
	kept := to.WithTag(KeptTag(from.Tag, digest))
	source := question{ref: from, auth: read, op: "reading " + path(from) + "@" + reference.ShortDigest(digest)}
	target := question{ref: kept, auth: write, op: "copying to " + path(kept) + ":" + kept.Tag, push: true}
	if err := checkDigest(digest); err != nil || !strings.HasPrefix(digest, "sha256:") {
		return Copied{}, source.invalid("the digest to copy is none of sha256")
	}
	copied := Copied{Reference: reference.Reference{Repository: kept.Repository, Tag: kept.Tag, Digest: digest}}
	var err error
	if copied.AlreadyThere, err = c.keeps(ctx, target, digest); err != nil {
		return Copied{}, err
	}
	if copied.AlreadyThere {
		return copied, nil
	}
	places := c.sources(source, digest)
	if err := c.restingFirst(source); len(places) == 1 && err != nil {
		return Copied{}, err
	}
	run := &copying{Client: c, copied: &copied, manifests: map[string]bool{}, blobs: map[string]bool{}}
	if run.target, err = c.open(ctx, target, c.writer, func(ctx context.Context, e *end) error {
		return e.tryUpload(ctx, e.question)
	}); err != nil {
		return Copied{}, err
	}
	for _, place := range places {
		err = run.image(ctx, place, digest)
		if err == nil {
			return copied, nil
		}
		if ctx.Err() != nil || HostOf(err) != place.host() {
			break
		}
		if !place.origin.IsZero() {
			c.pause(place, err)
		}
	}
	return Copied{}, err
}

// sources are where an image is read, in their order: where its tag is looked up, too.
func (c *Client) sources(q question, digest string) []question {
	var places []question
	for _, mirror := range c.mirrors(q.ref) {
		// That a mirror lacks a digest says nothing of the tag.
		place := question{ref: mirror.WithTag(digest), origin: q.ref, auth: q.auth, op: q.op}
		if !c.paused(place) {
			places = append(places, place)
		}
	}
	return append(places, q)
}

// keeps is whether the kept tag shows the digest already. A repository that does not
// exist yet is hidden from readers in many ways; only what tells nothing is an error.
func (c *Client) keeps(ctx context.Context, q question, digest string) (bool, error) {
	shown, err := c.Confirm(ctx, q.ref, q.auth)
	class := ClassOf(err)
	of, told := errors.AsType[*Error](err)
	switch {
	case err == nil && shown != digest:
		return false, q.invalid("the tag shows another image, which somebody put there; it is not moved")
	case class == Unavailable, class == RateLimited:
		return false, err
	case class == Invalid && told && of.Status == http.StatusOK:
		return false, err // it shows something that is no image
	default:
		return err == nil, nil
	}
}

// copying is one copy under way.
type copying struct {
	*Client

	source, target *end
	copied         *Copied

	// manifests and blobs that are at the target for certain.
	manifests, blobs map[string]bool
	// order of the manifests.
	order     []string
	referrers int
}

// end is one side of a copy: a repository under one credential. The source's is only
// read, whatever a writer could do.
type end struct {
	*writer

	question
}

// asking is the question in other words, for errors.
func (e *end) asking(op string) question {
	q := e.question
	q.op = op
	return q
}

// reading is the question for a manifest or blob of the repository.
func (e *end) reading(digest string) question {
	return e.asking("reading " + path(e.ref) + "@" + reference.ShortDigest(digest))
}

// image copies everything from one place, up to the kept tag. What came from another
// place before is not asked for again.
func (r *copying) image(ctx context.Context, source question, digest string) error {
	var err error
	var image content
	r.referrers = 0
	if r.source, err = r.open(ctx, source, r.reader, func(ctx context.Context, e *end) error {
		var err error
		image, err = e.get(ctx, e.question, e.repository.Digest(digest))
		return err
	}); err != nil {
		return err
	}
	if err := r.tree(ctx, digest, image, 0); err != nil {
		return err
	}
	for _, of := range r.order { // as long as it is now: what is attached gets into it, too
		if err := r.attached(ctx, of); err != nil {
			return err
		}
	}
	_, err = r.put(ctx, r.target.question, r.target.ref.Tag, image)
	return err
}

// beginning is how a session with one side begins: to write, or only to read.
type beginning func(context.Context, question, candidate) (*writer, error)

func (c *Client) reader(ctx context.Context, q question, with candidate) (*writer, error) {
	return c.begin(ctx, q, transport.PullScope, with)
}

// open begins one side, with its first request.
func (c *Client) open(ctx context.Context, q question, begin beginning, first func(context.Context, *end) error) (*end, error) {
	var e *end
	err := c.inTurn(ctx, q, func(with candidate) error {
		q.with = with
		return c.bounded(ctx, q, func(ctx context.Context) error {
			w, err := begin(ctx, q, with)
			if err != nil {
				return err
			}
			e = &end{writer: w, question: q}
			return first(ctx, e)
		})
	})
	return e, err
}
