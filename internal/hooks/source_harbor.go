// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

// harborEvent is what was pushed, in both of Harbor's formats.
type harborEvent struct {
	Resources []struct {
		ResourceURL string `json:"resource_url"`
	} `json:"resources"`
}

// parseHarbor reads Harbor's webhook, in the format Default or as CloudEvents.
func parseHarbor(body []byte, into *references) error {
	var payload struct {
		Type  string      `json:"type"`
		Event harborEvent `json:"event_data"` // Default
		Data  harborEvent `json:"data"`       // CloudEvents
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	pushed := harborEvent{}
	switch payload.Type {
	case "PUSH_ARTIFACT":
		pushed = payload.Event
	case "harbor.artifact.pushed":
		pushed = payload.Data
	}
	for _, resource := range pushed.Resources {
		into.addImage(resource.ResourceURL)
	}
	return nil
}
