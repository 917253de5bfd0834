// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import "net/url"

// parseJFrog reads Artifactory's webhook of the domain docker.
//
// A repository of Artifactory is served on a host of its own, or under its name
// in the path. The payload does not say which, so both are hinted at: nobody
// follows the one that does not exist.
func parseJFrog(body []byte, into *references) error {
	var payload struct {
		Domain    string `json:"domain"`
		EventType string `json:"event_type"`
		Data      struct {
			RepoKey   string `json:"repo_key"`
			ImageName string `json:"image_name"`
			Tag       string `json:"tag"`
		} `json:"data"`
		Origin string `json:"jpd_origin"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	if payload.Domain != "docker" || (payload.EventType != "pushed" && payload.EventType != "promoted") {
		return nil
	}
	host := ""
	if origin, err := url.Parse(payload.Origin); err == nil {
		host = origin.Host
	}
	into.add(host, payload.Data.ImageName, payload.Data.Tag)
	into.add(host, payload.Data.RepoKey+"/"+payload.Data.ImageName, payload.Data.Tag)
	return nil
}
