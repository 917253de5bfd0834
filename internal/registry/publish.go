// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Outcome is how a publish ended.
type Outcome string

// The outcomes of a publish.
const (
	// Moved: the tag shows the digest now, and did not before.
	Moved Outcome = "Moved"
	// AlreadyThere: the tag showed the digest before; nothing was written.
	AlreadyThere Outcome = "AlreadyThere"
	// Superseded: somebody else moved the tag; nothing was written.
	Superseded Outcome = "Superseded"
)

// Published tells of a publish.
type Published struct {
	// Outcome of the publish.
	Outcome Outcome
	// Found is what the tag showed immediately before, a digest or
	// v1alpha1.ExpectedAbsent.
	Found string
	// Finished is when it was done: answers about the tag that were asked for
	// before may tell of the past.
	Finished time.Time
}

// Publish puts the manifest of a digest under a tag of the same repository. No
// layer moves, and the bytes of the manifest stay as they are, so the digest
// does too.
//
// expected is the digest that the tag showed when this was decided, or
// v1alpha1.ExpectedAbsent. The tag is written when it still shows that, or is
// gone; whatever else it shows was pushed by somebody else meanwhile, and wins.
// The registry protocol has no compare-and-swap: the tag is read and written in
// two requests back to back, and a push in between is overwritten.
//
// Publish may be repeated after any error: what it did the first time is found
// then. An error of class Absent says that the digest is not in the repository.
func (c *Client) Publish(ctx context.Context, ref reference.Reference, digest, expected string, auth Keychain) (Published, error) {
	q := question{ref: ref, auth: auth, op: "publishing " + path(ref) + ":" + ref.Tag, push: true}
	if err := checkDigest(digest); err != nil {
		return Published{}, q.invalid("the digest to publish is not one")
	}
	var published Published
	err := c.inTurn(ctx, q, func(with candidate) error {
		var err error
		published, err = c.publishAs(ctx, q, digest, expected, with)
		return err
	})
	return published, err
}

// publishAs publishes with one credential. One that may read and not write is
// refused by the last request, and has changed nothing by then.
func (c *Client) publishAs(ctx context.Context, q question, digest, expected string, with candidate) (Published, error) {
	q.with = with
	source := q
	source.op = "reading " + path(q.ref) + "@" + reference.ShortDigest(digest)
	var w *writer
	var manifest *remote.Descriptor
	err := c.bounded(ctx, source, func(ctx context.Context) error {
		var err error
		if w, err = c.writer(ctx, source, with); err != nil {
			return err
		}
		manifest, err = w.puller.Get(ctx, w.repository.Digest(digest))
		return err
	})
	if err != nil {
		return Published{}, err
	}
	tag := w.repository.Tag(q.ref.Tag)
	found, err := c.found(ctx, q, w, tag)
	if err != nil {
		return Published{}, err
	}
	outcome := decide(found, digest, expected)
	if outcome == Moved {
		err := c.bounded(ctx, q, func(ctx context.Context) error { return w.put(ctx, q, tag, manifest) })
		if err != nil {
			return Published{}, err
		}
	}
	return Published{Outcome: outcome, Found: found, Finished: c.clock.Now()}, nil
}

// decide is what a publish comes to, by what the tag shows.
func decide(found, digest, expected string) Outcome {
	switch found {
	case digest:
		return AlreadyThere
	case expected, v1alpha1.ExpectedAbsent:
		return Moved
	default:
		return Superseded
	}
}

// found is what the tag shows now, a digest or v1alpha1.ExpectedAbsent.
func (c *Client) found(ctx context.Context, q question, w *writer, tag name.Tag) (string, error) {
	var digest string
	err := c.bounded(ctx, q, func(ctx context.Context) error {
		var err error
		digest, err = c.show(ctx, q, &w.session, tag)
		return err
	})
	if ClassOf(err) == Absent {
		return v1alpha1.ExpectedAbsent, nil
	}
	return digest, err
}

// writer is a session for one publish, or one try. Ping and token, for reading and writing
// both, are behind it when it begins, so that nothing stands between reading the
// tag and writing it.
type writer struct {
	session

	repository name.Repository
	client     http.Client
}

func (c *Client) writer(ctx context.Context, q question, with candidate) (*writer, error) {
	w, err := c.begin(ctx, q, transport.PushScope, with)
	if err != nil {
		return nil, err
	}
	// A redirected PUT would write somewhere else than was read, and a redirected POST
	// try somewhere else than will be pushed to.
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w, nil
}

// begin begins a session under a scope of the repository.
func (c *Client) begin(ctx context.Context, q question, scope string, with candidate) (*writer, error) {
	repository, err := c.repository(q)
	if err != nil {
		return nil, err
	}
	scopes := []string{repository.Scope(scope)}
	authorized, err := transport.NewWithContext(ctx, repository.Registry, with.authenticator(), c.transport(q.host()), scopes)
	if err != nil {
		return nil, err
	}
	// The library takes a transport that is authorized already as it is.
	puller, err := remote.NewPuller(remote.WithTransport(authorized))
	if err != nil {
		return nil, err
	}
	return &writer{
		session:    session{puller: puller},
		repository: repository,
		client:     http.Client{Transport: authorized},
	}, nil
}

// put writes the manifest's bytes as they were read. The library's own way would
// look for referrers of the manifest in between.
func (w *writer) put(ctx context.Context, q question, tag name.Tag, manifest *remote.Descriptor) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, w.address("manifests/"+tag.TagStr()), bytes.NewReader(manifest.Manifest))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", string(manifest.MediaType))
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := transport.CheckError(resp, http.StatusCreated, http.StatusOK, http.StatusAccepted); err != nil {
		return err
	}
	if isHTML(resp.Header.Get("Content-Type")) {
		return q.webPage() // a proxy's, perhaps, and nothing was written
	}
	return nil
}

// address is the URL of something in the repository.
func (w *writer) address(rest string) string {
	to := url.URL{
		Scheme: w.repository.Scheme(),
		Host:   w.repository.RegistryStr(),
		Path:   "/v2/" + w.repository.RepositoryStr() + "/" + rest,
	}
	return to.String()
}
