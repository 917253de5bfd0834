// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import "encoding/base64"

// parseArtifactRegistry reads a message of the Pub/Sub topic gcr, in the envelope
// of a push subscription.
func parseArtifactRegistry(body []byte, into *references) error {
	var envelope struct {
		Message struct {
			Data string `json:"data"`
		} `json:"message"`
	}
	if err := decode(body, &envelope); err != nil {
		return err
	}
	content, err := base64.StdEncoding.DecodeString(envelope.Message.Data)
	if err != nil {
		return errNoBase64
	}
	if len(content) == 0 {
		return nil
	}
	var message struct {
		Action string `json:"action"`
		Tag    string `json:"tag"` // the whole reference
	}
	if err := decode(content, &message); err != nil {
		return err
	}
	if message.Action == "INSERT" {
		into.addImage(message.Tag)
	}
	return nil
}
