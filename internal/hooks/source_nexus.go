// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import "strings"

// parseNexus reads the repository webhook of Sonatype Nexus, for the event types
// component and asset. It tells of no registry; that is the configuration's host.
//
// A repository of Nexus is served on a port or host of its own, or under its name
// in the path. The payload does not say which, so both are hinted at: nobody
// follows the one that does not exist.
func parseNexus(body []byte, into *references) error {
	var payload struct {
		Action         string `json:"action"`
		RepositoryName string `json:"repositoryName"`
		Component      struct {
			Format  string `json:"format"`
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"component"`
		Asset struct {
			Format string `json:"format"`
			Name   string `json:"name"`
		} `json:"asset"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	if payload.Action != "CREATED" && payload.Action != "UPDATED" {
		return nil
	}
	image, tag := payload.Component.Name, payload.Component.Version
	if payload.Asset.Format == "docker" {
		image, tag = manifestOf(payload.Asset.Name)
	} else if payload.Component.Format != "docker" {
		return nil
	}
	into.add("", image, tag)
	into.add("", payload.RepositoryName+"/"+image, tag)
	return nil
}

// manifestOf reads an asset's name, such as v2/team/app/manifests/1.0; those of
// blobs, and of manifests by digest, are none.
func manifestOf(asset string) (image, tag string) {
	path := strings.TrimPrefix(strings.TrimPrefix(asset, "/"), "v2/")
	image, tag, _ = strings.Cut(path, "/manifests/")
	if strings.Contains(tag, ":") {
		return "", ""
	}
	return image, tag
}
