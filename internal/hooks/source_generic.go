// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"bytes"
	"encoding/json"
)

// newGeneric makes the parser of a valid configuration.
func newGeneric(g Generic) parser {
	// The errors are Validate's.
	image, _ := parsePath(g.Image)
	repository, _ := parsePath(g.Repository)
	tag, _ := parsePath(g.Tag)
	return func(body []byte, into *references) error {
		document, err := decodeAny(body)
		if err != nil {
			return err
		}
		if g.Image != "" {
			for _, name := range image.find(document) {
				into.addImage(name)
			}
			return nil
		}
		return into.addPairs(repository.find(document), tag.find(document))
	}
}

// addPairs takes all tags of one repository, or one of each.
func (r *references) addPairs(repositories, tags []string) error {
	switch {
	case len(repositories) == 0 || len(tags) == 0:
		return nil
	case len(repositories) != 1 && len(repositories) != len(tags):
		return errPairs
	}
	for i, tag := range tags {
		repository := repositories[min(i, len(repositories)-1)]
		if r.host == "" {
			r.addTo(repository, tag)
		} else {
			r.add(r.host, repository, tag)
		}
	}
	return nil
}

// decodeAny keeps numbers as they are written: 1.10 is a tag.
func decodeAny(body []byte) (any, error) {
	if !json.Valid(body) {
		return nil, errNoJSON
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var document any
	if decoder.Decode(&document) != nil {
		return nil, errNoJSON
	}
	return document, nil
}
