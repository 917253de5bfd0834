// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import "encoding/json"

// parseQuay reads Quay's notification of the event "Push to Repository". Other
// events have no updated_tags.
func parseQuay(body []byte, into *references) error {
	var payload struct {
		DockerURL   string          `json:"docker_url"`
		UpdatedTags json.RawMessage `json:"updated_tags"`
	}
	if err := decode(body, &payload); err != nil || payload.UpdatedTags == nil {
		return err
	}
	var tags []string
	if err := decode(payload.UpdatedTags, &tags); err != nil {
		// Old versions of Quay send a map from the tag to an image's identifier.
		var images map[string]json.RawMessage
		if err := decode(payload.UpdatedTags, &images); err != nil {
			return err
		}
		for tag := range images {
			tags = append(tags, tag)
		}
	}
	for _, tag := range tags {
		into.addTo(payload.DockerURL, tag)
	}
	return nil
}
