// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// blob sees to it that a config or layer is at the target.
func (r *copying) blob(ctx context.Context, d descriptor) error {
	if r.blobs[d.Digest] {
		return nil
	}
	if len(r.blobs) == maxCopiedBlobs {
		return r.source.invalid(fmt.Sprintf("more than %d layers belong to it; they are not copied", maxCopiedBlobs))
	}
	there, err := r.hasBlob(ctx, d)
	if err != nil {
		return err
	}
	if !there {
		upload, err := r.beginUpload(ctx, d)
		if err != nil {
			return err
		}
		if upload != nil {
			if err := r.send(ctx, d, upload); err != nil {
				return err
			}
		}
	}
	r.blobs[d.Digest] = true
	return nil
}

// hasBlob asks the target. A redirect to where blobs are kept is a yes.
func (r *copying) hasBlob(ctx context.Context, d descriptor) (bool, error) {
	there := false
	err := r.exchange(ctx, r.target, r.target.question, http.MethodHead, r.target.address("blobs/"+d.Digest), nil, func(resp *http.Response) error {
		there = resp.StatusCode < http.StatusBadRequest && !isHTML(resp.Header.Get("Content-Type"))
		if there {
			return nil
		}
		return transport.CheckError(resp, http.StatusOK, http.StatusNotFound)
	})
	return there, err
}

// beginUpload begins an upload, and says where to. Within one registry it asks first
// to take the blob from the source's repository, by OCI distribution-spec, "Mounting a
// blob from another repository"; where that is done there is nothing to upload.
func (r *copying) beginUpload(ctx context.Context, d descriptor) (*url.URL, error) {
	if r.source.host() == r.target.host() && r.source.ref.Repository != r.target.ref.Repository {
		mount := url.Values{"mount": {d.Digest}, "from": {path(r.source.ref)}}
		upload, err := r.postUpload(ctx, "?"+mount.Encode())
		if class := ClassOf(err); err == nil || class == Unavailable || class == RateLimited {
			return upload, err
		}
		// Some registries refuse what others only do not do, for instance where the
		// credential may not read the source's repository.
	}
	return r.postUpload(ctx, "")
}

func (r *copying) postUpload(ctx context.Context, query string) (*url.URL, error) {
	q := r.target.question
	var upload *url.URL
	err := r.exchange(ctx, r.target, q, http.MethodPost, r.target.address("blobs/uploads/")+query, nil, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusCreated && query != "" {
			return nil
		}
		if err := transport.CheckError(resp, http.StatusAccepted); err != nil {
			return err
		}
		var err error
		upload, err = uploadAddress(q, resp.Request.URL, resp.Header.Get("Location"))
		return err
	})
	return upload, err
}

// uploadAddress is where a registry wants an upload to go. That may be another host; a
// way back to plain HTTP, or to where the client can get and others cannot, it may not be.
func uploadAddress(q question, registry *url.URL, location string) (*url.URL, error) {
	upload, err := registry.Parse(location)
	if err != nil || location == "" || upload.User != nil || upload.Scheme != registry.Scheme {
		return nil, q.invalid("it does not say where to upload to, or nowhere that could be used")
	}
	return upload, nil
}

// send streams a blob from the source to an upload: OCI distribution-spec, "POST then
// PUT". What was sent of one that fails is given up, so that it takes no room.
func (r *copying) send(ctx context.Context, d descriptor, upload *url.URL) error {
	err := r.stream(ctx, d, upload)
	if err == nil {
		r.copied.Blobs++
		r.copied.Bytes += d.Size
		return nil
	}
	_ = r.bounded(atOnce(context.WithoutCancel(ctx)), r.target.question, func(ctx context.Context) error {
		registry := &url.URL{Scheme: r.target.repository.Scheme(), Host: r.target.repository.RegistryStr()}
		r.target.giveUp(ctx, registry, upload.String())
		return nil
	})
	return err
}

func (r *copying) stream(ctx context.Context, d descriptor, upload *url.URL) error {
	for _, e := range []*end{r.source, r.target} {
		if err := r.turn(ctx, e.question); err != nil {
			return err
		}
	}
	ctx, p := r.paced(ctx)
	defer p.stop()
	body, err := r.fetch(ctx, p, d)
	if err != nil {
		return r.whyStopped(ctx, p, err)
	}
	defer func() { _ = body.Close() }()
	if err = r.upload(ctx, d, upload, body); err != nil {
		if failed := body.failed.Load(); failed != nil {
			err = failed
		}
		return r.whyStopped(ctx, p, err)
	}
	return nil
}

// whyStopped is the error of a stream: that nothing moved, or too little, and at whose
// end, or what it is given.
func (r *copying) whyStopped(ctx context.Context, p *pace, err error) error {
	unavailable := func(e *end, cause string) error {
		return &Error{Class: Unavailable, Host: e.host(), Op: e.op, cause: cause}
	}
	stalled := fmt.Sprintf("nothing of a layer has moved for %s", time.Duration(p.patience.Load()))
	const trickles = "less than 1 MiB of a layer has moved in a minute, on average"
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSourceStalled):
		return unavailable(r.source, stalled)
	case errors.Is(cause, errTargetStalled):
		return unavailable(r.target, stalled)
	case errors.Is(cause, errSourceTrickles):
		return unavailable(r.source, trickles)
	case errors.Is(cause, errTargetTrickles):
		return unavailable(r.target, trickles)
	default:
		return err
	}
}

// upload sends a blob's bytes to where the target wants them.
func (r *copying) upload(ctx context.Context, d descriptor, upload *url.URL, body *blobBody) error {
	q := r.target.question
	ctx, w := withWitness(charging(ctx, q.account()))
	failed := func(err error) error {
		is := classify(ctx, q.host(), q.op, err, w.sighting())
		r.rest(q, is)
		return is
	}
	to := *upload
	query := to.Query()
	query.Set("digest", d.Digest)
	to.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.String(), body)
	if err != nil {
		return failed(err)
	}
	req.ContentLength = d.Size
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := r.target.client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := transport.CheckError(resp, http.StatusCreated, http.StatusOK, http.StatusNoContent); err != nil {
		return failed(err)
	}
	if isHTML(resp.Header.Get("Content-Type")) {
		return q.webPage()
	}
	return nil
}

// blobLimitKey is where a request says that its answer may be larger than any manifest.
type blobLimitKey struct{}

// bodyLimit is the most that is read of an answer, in bytes: maxBody, or what a copy
// expects of a blob by the word of its manifest.
func bodyLimit(req *http.Request) int64 {
	limit, _ := req.Context().Value(blobLimitKey{}).(int64)
	return max(limit, maxBody)
}

// fetch begins to read a blob.
func (r *copying) fetch(ctx context.Context, p *pace, d descriptor) (*blobBody, error) {
	q := r.source.reading(d.Digest)
	hasher, err := hasherFor(d.Digest)
	if err != nil {
		return nil, q.invalid("the digest of the layer is of an unknown kind")
	}
	ctx, w := withWitness(context.WithValue(charging(ctx, q.account()), blobLimitKey{}, d.Size))
	failed := func(err error) *Error {
		is := classify(ctx, q.host(), q.op, err, w.sighting())
		r.rest(q, is)
		return is
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.source.address("blobs/"+d.Digest), http.NoBody)
	if err != nil {
		return nil, failed(err)
	}
	resp, err := r.source.client.Do(req)
	if err != nil {
		return nil, failed(err)
	}
	err = transport.CheckError(resp, http.StatusOK)
	switch {
	case resp.StatusCode == http.StatusNotFound:
		err = q.invalid("it has the image, and not this layer of it")
	case err == nil && resp.ContentLength >= 0 && resp.ContentLength != d.Size:
		err = q.invalid("the layer does not have the size that its manifest says")
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, failed(err)
	}
	p.moved()
	return &blobBody{ReadCloser: resp.Body, question: q, size: d.Size, digest: d.Digest, hash: hasher, pace: p, classify: failed}, nil
}
