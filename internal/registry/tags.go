// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"fmt"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	// maxTags is how many tags of a repository are read. The largest repositories of
	// Docker Hub have some ten thousand.
	maxTags = 100_000
	// maxListBytes is how much memory a list may take: that many tags of 46 characters.
	maxListBytes = 6 << 20
	// maxPages is how many pages a list may have: registries give 100 tags on a page
	// or more, and one that gives empty ones for ever has to end somewhere.
	maxPages = 1000
)

// tagGrammar is the distribution-spec's.
var tagGrammar = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// Tags are all tags of a repository, in the registry's order: it costs one GET
// for each page, which registries do not count as a pull. What is no tag by the
// distribution-spec is left out. A repository with more than 100,000 tags, or more than
// 6 MiB of them, is an error of class Invalid.
func (c *Client) Tags(ctx context.Context, ref reference.Reference, auth Keychain) ([]string, error) {
	q := question{ref: ref, auth: auth, op: opOf(ref)}
	var tags []string
	err := c.ask(ctx, q, func(ctx context.Context, q question, s *session, repository name.Repository) error {
		tags = nil
		lister, err := s.puller.Lister(ctx, repository)
		if err != nil {
			return err
		}
		for range maxPages {
			if !lister.HasNext() {
				return nil
			}
			page, err := lister.Next(ctx)
			if err != nil {
				return err
			}
			for _, tag := range page.Tags {
				if tagGrammar.MatchString(tag) {
					tags = append(tags, tag)
				}
			}
			if len(tags) > maxTags {
				return q.invalid(fmt.Sprintf("the repository has more than %d tags", maxTags))
			}
			if sizeOf(tags) > maxListBytes {
				return q.invalid(fmt.Sprintf("the repository has more than %d MiB of tags", maxListBytes>>20))
			}
		}
		if lister.HasNext() {
			return q.invalid(fmt.Sprintf("the list of tags has more than %d pages", maxPages))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tags, nil
}
