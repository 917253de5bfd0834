// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// MayPush asks whether the repository may be written to; nil is yes, also where
// it cannot be told. An error of class Unauthorized or Forbidden is no, the
// latter also for a repository that somebody has to create first. Every other
// error leaves it open.
//
// The registry protocol has no such question, and a token tells nothing: token
// servers grant less than was asked for without a word. So an upload is begun
// and given up again, as the distribution-spec has it under "POST then PUT" and
// "Cancel a blob upload". Nothing is uploaded. A registry that creates
// repositories when they are pushed to may create this one.
func (c *Client) MayPush(ctx context.Context, ref reference.Reference, auth Keychain) error {
	q := question{ref: ref, auth: auth, op: "pushing to " + path(ref), push: true}
	return c.inTurn(ctx, q, func(with candidate) error {
		q.with = with
		return c.bounded(ctx, q, func(ctx context.Context) error {
			w, err := c.writer(ctx, q, with)
			if err != nil {
				return err
			}
			return w.tryUpload(ctx, q)
		})
	})
}

// tryUpload begins an upload, and gives it up where one has begun.
func (w *writer) tryUpload(ctx context.Context, q question) error {
	// For an empty body net/http sends the Content-Length of 0 that the
	// distribution-spec wants under "Pushing a blob in chunks".
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address("blobs/uploads/"), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusAccepted:
		w.giveUp(ctx, req.URL, resp.Header.Get("Location"))
		return nil
	case http.StatusOK, http.StatusCreated:
		// No upload has begun: the Location of a 201 is that of a blob, which a
		// DELETE would delete.
		return nil
	default:
		return q.refusal(saidBy(resp))
	}
}

// refusal is what an answer that is no success says of the right to push.
func (q question) refusal(said *transport.Error) error {
	no := func(class Class, cause string) error {
		return &Error{Class: class, Host: q.host(), Op: q.op, Status: said.StatusCode, cause: cause}
	}
	switch class, cause := classOfStatus(said); {
	case class == Unauthorized:
		// Docker Hub, Harbor and others say so where the right is missing, too.
		return no(class, cause+", or do not allow it")
	case class == Absent && says(said, transport.NameUnknownErrorCode):
		// AWS ECR and Google Artifact Registry say so.
		return no(Forbidden, "the repository does not exist, and the registry does not create it by itself")
	case class == Absent, class == Invalid, said.StatusCode == http.StatusNotImplemented:
		// A 404 in other words, 405, 400, a redirect: no answer to this question.
		// Perhaps the registry takes uploads in another way, or a proxy is in
		// between. The run's own push will tell.
		return nil
	default:
		return said
	}
}

// saidBy is an answer that is no success. Where its body cannot be read, or is
// the long page of a proxy, its status says enough.
func saidBy(resp *http.Response) *transport.Error {
	if said, ok := errors.AsType[*transport.Error](transport.CheckError(resp)); ok {
		return said
	}
	return &transport.Error{StatusCode: resp.StatusCode}
}

func says(e *transport.Error, code transport.ErrorCode) bool {
	for _, said := range e.Errors {
		if said.Code == code {
			return true
		}
	}
	return false
}

// giveUp cancels an upload, and does not look at how that ends: clients SHOULD
// ignore it, says the distribution-spec, and registries let uploads expire.
// Uploads may be kept elsewhere; only the registry itself is asked.
func (w *writer) giveUp(ctx context.Context, registry *url.URL, location string) {
	if location == "" {
		return
	}
	upload, err := registry.Parse(location)
	if err != nil || upload.User != nil || upload.Scheme != registry.Scheme || !strings.EqualFold(upload.Host, registry.Host) {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, upload.String(), http.NoBody)
	if err != nil {
		return
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return
	}
	_ = resp.Body.Close()
}
