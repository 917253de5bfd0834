// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// cosignSuffixes end the tags under which cosign keeps what belongs to a digest where
// it does not use referrers; cosign, specs/SIGNATURE_SPEC.md ("Tag-based Discovery").
var cosignSuffixes = []string{".sig", ".att", ".sbom"}

// subjectHeader answers who writes a referrer to a registry that lists it by itself; OCI
// distribution-spec, "Pushing Manifests with Subject".
const subjectHeader = "Oci-Subject"

// maxReferrerPages is how many pages of referrers are read of one manifest.
const maxReferrerPages = 100

// fallbackTag lists the referrers of a digest where the registry does not; OCI
// distribution-spec, "Referrers Tag Schema". cosign's tags begin with it.
func fallbackTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// attached copies what is attached to a manifest: its referrers, and cosign's tags.
func (r *copying) attached(ctx context.Context, digest string) error {
	referrers, err := r.listReferrers(ctx, digest)
	if err != nil {
		return err
	}
	var unlisted []json.RawMessage
	for _, raw := range referrers {
		listed, err := r.referrer(ctx, digest, raw)
		if err != nil {
			return err
		}
		if !listed {
			unlisted = append(unlisted, raw)
		}
	}
	if err := r.list(ctx, digest, unlisted); err != nil {
		return err
	}
	for _, suffix := range cosignSuffixes {
		if err := r.tagged(ctx, fallbackTag(digest)+suffix); err != nil {
			return err
		}
	}
	return nil
}

// referrer copies one referrer, and tells whether the target lists it by itself. It is
// written also where it has arrived before, since only the answer to that tells.
func (r *copying) referrer(ctx context.Context, subject string, raw json.RawMessage) (bool, error) {
	var d descriptor
	if err := json.Unmarshal(raw, &d); err != nil || checkDigest(d.Digest) != nil {
		return false, r.source.reading(subject).invalid("it lists a referrer that is no digest")
	}
	m, err := r.manifest(ctx, d.Digest)
	if err != nil {
		return false, err
	}
	if err := r.listed(ctx, d.Digest, m, 1); err != nil {
		return false, err
	}
	answer, err := r.put(ctx, r.target.question, d.Digest, m)
	if err != nil {
		return false, err
	}
	return answer.Get(subjectHeader) != "", r.arrived(d.Digest)
}

// list adds referrers to the target's fallback tag. Clients have to do that where the
// registry does not list them by itself; two at once may lose one, says the
// distribution-spec, and the Copier runs one copy of a digest at a time.
func (r *copying) list(ctx context.Context, digest string, unlisted []json.RawMessage) error {
	if len(unlisted) == 0 {
		return nil
	}
	known, err := r.byTag(ctx, r.target, digest)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	all := make([]json.RawMessage, 0, len(known)+len(unlisted))
	for _, raw := range append(known, unlisted...) {
		var d descriptor
		if err := json.Unmarshal(raw, &d); err == nil && !seen[d.Digest] {
			seen[d.Digest] = true
			all = append(all, raw)
		}
	}
	if len(all) == len(known) {
		return nil
	}
	index, err := json.Marshal(referrerIndex{SchemaVersion: 2, MediaType: string(types.OCIImageIndex), Manifests: all})
	if err != nil {
		return r.target.invalid("the list of referrers cannot be written")
	}
	_, err = r.put(ctx, r.target.question, fallbackTag(digest), content{mediaType: string(types.OCIImageIndex), raw: index})
	return err
}

// referrerIndex is how referrers are listed. What a descriptor says besides its digest
// is passed on as it is.
type referrerIndex struct {
	SchemaVersion int                        `json:"schemaVersion"`
	MediaType     string                     `json:"mediaType"`
	Manifests     shortList[json.RawMessage] `json:"manifests"`
}

// listReferrers are the referrers of a manifest at the source. Each page is counted as it
// comes, so that a registry with many, or with large ones, takes no memory.
func (r *copying) listReferrers(ctx context.Context, digest string) ([]json.RawMessage, error) {
	var found []json.RawMessage
	size := 0
	next := r.source.address("referrers/" + digest)
	for range maxReferrerPages {
		page, after, known, err := r.referrersPage(ctx, digest, next)
		if err == nil && !known {
			page, err = r.byTag(ctx, r.source, digest)
		}
		if err != nil {
			return nil, err
		}
		for _, raw := range page {
			size += len(raw)
		}
		if r.referrers += len(page); r.referrers > maxCopiedReferrers || size > maxBody {
			return nil, r.source.invalid(fmt.Sprintf("more than %d referrers belong to it, or their list is longer than %d MiB; they are not copied", maxCopiedReferrers, maxBody>>20))
		}
		found = append(found, page...)
		if after == "" {
			return found, nil
		}
		next = after
	}
	return nil, r.source.invalid(fmt.Sprintf("its referrers fill more than %d pages; they are not copied", maxReferrerPages))
}

// referrersPage reads one page of the referrers API: the referrers, the address of
// the next page, if there is one, and whether the registry knows the API at all. Those that do
// not say so in many ways: 404 by the specification, other refusals, or a web page.
func (r *copying) referrersPage(ctx context.Context, digest, address string) (page []json.RawMessage, next string, known bool, err error) {
	q := r.source.asking("listing the referrers of " + path(r.source.ref) + "@" + reference.ShortDigest(digest))
	err = r.exchange(ctx, r.source, q, http.MethodGet, address, nil, func(resp *http.Response) error {
		status := resp.StatusCode
		switch {
		case status == http.StatusOK && !isHTML(resp.Header.Get("Content-Type")):
		case status == http.StatusOK, status == http.StatusNotImplemented,
			status >= http.StatusMultipleChoices && status < http.StatusInternalServerError &&
				status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
			return nil
		default:
			return saidBy(resp)
		}
		known = true
		var index referrerIndex
		switch err := json.NewDecoder(resp.Body).Decode(&index); {
		case errors.Is(err, errLongList):
			return q.invalid(err.Error())
		case err != nil:
			return err
		}
		page = index.Manifests
		var err error
		if next, err = nextPage(resp.Request.URL, resp.Header.Get("Link")); err != nil {
			return q.invalid(err.Error())
		}
		return nil
	})
	return page, next, known, err
}

// nextPage reads the header of RFC 8288 by which registries name the next page: empty
// where there is none. One on another host is an error: it is not asked, and to leave
// it out would be to leave out signatures.
func nextPage(of *url.URL, link string) (string, error) {
	target, parameters, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
	if !found || !strings.Contains(strings.ReplaceAll(parameters, `"`, ""), "rel=next") {
		return "", nil
	}
	next, err := of.Parse(target)
	if err != nil || next.Host != of.Host || next.Scheme != of.Scheme || next.User != nil {
		return "", errors.New("the next page is on another host")
	}
	return next.String(), nil
}

// byTag are the referrers that are listed under a digest's fallback tag.
func (r *copying) byTag(ctx context.Context, e *end, digest string) ([]json.RawMessage, error) {
	m, err := r.read(ctx, e, fallbackTag(digest))
	if err != nil || m.raw == nil {
		return nil, err
	}
	var index referrerIndex
	switch err := json.Unmarshal(m.raw, &index); {
	case errors.Is(err, errLongList):
		return nil, e.invalid(err.Error())
	case err != nil:
		return nil, e.invalid("its list of referrers cannot be read")
	}
	return index.Manifests, nil
}

// read reads what a tag shows; nothing where it does not exist.
func (r *copying) read(ctx context.Context, e *end, tag string) (content, error) {
	var found content
	q := e.asking("reading " + path(e.ref) + ":" + tag)
	err := r.bounded(ctx, q, func(ctx context.Context) error {
		var err error
		found, err = e.get(ctx, q, e.repository.Tag(tag))
		return err
	})
	if notThere(err) {
		return content{}, nil
	}
	return found, err
}

// shows is the digest that a tag shows, by one HEAD, which is no pull; empty where it
// does not exist.
func (r *copying) shows(ctx context.Context, e *end, tag string) (string, error) {
	var digest string
	q := e.asking("reading " + path(e.ref) + ":" + tag)
	err := r.bounded(ctx, q, func(ctx context.Context) error {
		found, err := e.puller.Head(ctx, e.repository.Tag(tag))
		if err == nil {
			digest = found.Digest.String()
		}
		return err
	})
	if of, ok := errors.AsType[*Error](err); ok && of.Class == Invalid && of.Status == http.StatusOK {
		m, err := r.read(ctx, e, tag) // it answers HEAD without a digest
		return digestOf("sha256", m.raw), err
	}
	if notThere(err) {
		return "", nil
	}
	return digest, err
}

// tagged copies one of cosign's tags. One that is at the target already is not moved.
func (r *copying) tagged(ctx context.Context, tag string) error {
	digest, err := r.shows(ctx, r.source, tag)
	if err != nil || digest == "" {
		return err
	}
	there, err := r.shows(ctx, r.target, tag)
	if err != nil || there != "" {
		return err
	}
	m, err := r.manifest(ctx, digest)
	if err != nil {
		return err
	}
	if err := r.tree(ctx, digest, m, 1); err != nil {
		return err
	}
	_, err = r.put(ctx, r.target.question, tag, m)
	return err
}
