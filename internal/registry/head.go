// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Head is the digest that a tag shows now: of the index, where the tag shows
// one. It costs one HEAD request, which registries do not count as a pull. Of a
// reference with a digest it tells whether the digest is there. Mirrors are asked
// first.
//
// A registry that answers HEAD without a digest is asked by GET, then and for a
// day. A tag that HEAD does not find is asked for by GET too, because only the
// body tells a tag that does not exist from a proxy that knows nothing: the
// error is of class Absent in the first case, and Invalid in the other.
func (c *Client) Head(ctx context.Context, ref reference.Reference, auth Keychain) (string, error) {
	return c.head(ctx, ref, auth, c.ask)
}

// opOf is what errors say was asked of a reference.
func opOf(ref reference.Reference) string {
	switch {
	case ref.Digest != "":
		return "looking for " + path(ref) + "@" + reference.ShortDigest(ref.Digest)
	case ref.Tag != "":
		return "reading " + path(ref) + ":" + ref.Tag
	default:
		return "listing the tags of " + path(ref)
	}
}

// Confirm is Head by the registry's own word, never a mirror's.
func (c *Client) Confirm(ctx context.Context, ref reference.Reference, auth Keychain) (string, error) {
	return c.head(ctx, ref, auth, c.askHost)
}

func (c *Client) head(ctx context.Context, ref reference.Reference, auth Keychain, ask func(context.Context, question, operation) error) (string, error) {
	q := question{ref: ref, auth: auth, op: opOf(ref)}
	asked := func(repository name.Repository) name.Reference { return repository.Tag(ref.Tag) }
	if ref.Digest != "" {
		if err := checkDigest(ref.Digest); err != nil {
			return "", q.invalid("the digest is not one")
		}
		asked = func(repository name.Repository) name.Reference { return repository.Digest(ref.Digest) }
	}
	var digest string
	err := ask(ctx, q, func(ctx context.Context, q question, s *session, repository name.Repository) error {
		var err error
		digest, err = c.show(ctx, q, s, asked(repository))
		return err
	})
	return digest, err
}

// show reads what a tag shows within a session.
func (c *Client) show(ctx context.Context, q question, s *session, tag name.Reference) (string, error) {
	learned := false
	if !c.isHeadless(q.host()) {
		found, err := s.puller.Head(ctx, tag)
		seen := witnessOf(ctx).sighting()
		switch {
		case err == nil && isHTML(seen.contentType):
			return "", q.webPage()
		case err == nil && !isImage(string(found.MediaType)):
			return "", q.noImage()
		case err == nil:
			return found.Digest.String(), nil
		case !worthGetting(ctx, seen):
			return "", err
		}
		// Where HEAD finds nothing and GET does, the tag has just appeared; that
		// says nothing of the host.
		learned = seen.status != http.StatusNotFound
	}
	found, err := s.puller.Get(ctx, tag)
	if err != nil {
		return "", err
	}
	if !isManifest(found.Manifest) {
		return "", q.noManifest(ctx)
	}
	if !isImage(mediaTypeOf(found.Manifest, string(found.MediaType))) {
		return "", q.noImage()
	}
	if learned {
		c.headless.put(q.host(), struct{}{}, headlessAge)
	}
	return found.Digest.String(), nil
}

// worthGetting is true where a failed HEAD leaves open what a GET would say.
func worthGetting(ctx context.Context, seen sighting) bool {
	return ctx.Err() == nil && !seen.failed && seen.refused == nil &&
		(seen.status == http.StatusOK || seen.status == http.StatusNotFound || seen.status == http.StatusMethodNotAllowed)
}

// noManifest is the error for an answer that holds something else. What a login portal
// answers is called by its name.
func (q question) noManifest(ctx context.Context) *Error {
	if isHTML(witnessOf(ctx).sighting().contentType) {
		return q.webPage()
	}
	return q.invalid("it answers with something that is no manifest")
}

func isHTML(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "text/html")
}

// isManifest is true for what every manifest and index is: a JSON object with a
// schema version. It keeps a login page from becoming an image.
func isManifest(raw []byte) bool {
	var head struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	return json.Unmarshal(raw, &head) == nil && head.SchemaVersion > 0
}

func (c *Client) isHeadless(host string) bool {
	_, ok := c.headless.get(host)
	return ok
}

// checkDigest refuses what is not algorithm:hex of an algorithm that is known.
func checkDigest(s string) error {
	if _, err := v1.NewHash(s); err != nil {
		return errors.New("not a digest")
	}
	return nil
}
