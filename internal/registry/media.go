// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"encoding/json"
	"mime"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageTypes are what a tag shows that can be pulled: a manifest or an index, by
// the OCI image-spec or Docker's second schema.
var imageTypes = map[types.MediaType]bool{
	types.OCIManifestSchema1:    true,
	types.OCIImageIndex:         true,
	types.DockerManifestSchema2: true,
	types.DockerManifestList:    true,
}

// isImage is whether a media type is one of an image's.
func isImage(mediaType string) bool {
	bare, _, err := mime.ParseMediaType(mediaType)
	return err == nil && imageTypes[types.MediaType(bare)]
}

// mediaTypeOf is the media type that a document gives itself, else that of the
// answer. The OCI image-spec makes the first optional, and proxies change the other.
func mediaTypeOf(raw []byte, answered string) string {
	var read document
	if err := json.Unmarshal(raw, &read); err == nil && read.MediaType != "" {
		return read.MediaType
	}
	return answered
}

// noImage is the error for a tag that shows an answer of another kind.
func (q question) noImage() *Error {
	return q.invalid("it shows something that is no image")
}

// webPage is the error for an answer that is meant for people: a login portal's, or a
// proxy's.
func (q question) webPage() *Error { return q.invalid("it answers with a web page") }
