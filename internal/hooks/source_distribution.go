// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"encoding/json"
	"net/url"
)

// notification is one event of the CNCF distribution registry
// (docs/content/about/notifications.md there). ACR sends the same, one by one.
type notification struct {
	Action string `json:"action"`
	Target struct {
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
		URL        string `json:"url"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

// addTo takes the tag that was pushed. Blobs are pushed too, and manifests by
// digest: those have no tag.
func (n notification) addTo(into *references) {
	if n.Action != "push" {
		return
	}
	host := n.Request.Host
	if target, err := url.Parse(n.Target.URL); host == "" && err == nil {
		host = target.Host
	}
	into.add(host, n.Target.Repository, n.Target.Tag)
}

// parseDistribution reads a batch of notifications, one after another: an empty
// one has two bytes on the wire, and fifty times as many as a value.
func parseDistribution(body []byte, into *references) error {
	var payload struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	for _, raw := range payload.Events {
		var event notification
		if err := decode(raw, &event); err != nil {
			return err
		}
		event.addTo(into)
	}
	return nil
}

// parseACR reads the webhook of the Azure Container Registry (its webhook
// reference).
func parseACR(body []byte, into *references) error {
	var payload notification
	if err := decode(body, &payload); err != nil {
		return err
	}
	payload.addTo(into)
	return nil
}
