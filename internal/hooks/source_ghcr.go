// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"cmp"
	"strings"
)

// ghcrPackage is GitHub's package, in both of its events.
type ghcrPackage struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	PackageType string `json:"package_type"`
	Owner       struct {
		Login string `json:"login"`
	} `json:"owner"`
	Version struct {
		PackageURL        string `json:"package_url"`
		ContainerMetadata struct {
			Tag struct {
				Name string `json:"name"`
			} `json:"tag"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

// parseGHCR reads GitHub's events package and registry_package; all others,
// such as ping, have neither member.
func parseGHCR(body []byte, into *references) error {
	var payload struct {
		Action          string      `json:"action"`
		Package         ghcrPackage `json:"package"`
		RegistryPackage ghcrPackage `json:"registry_package"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	if payload.Action != "published" && payload.Action != "updated" {
		return nil
	}
	for _, p := range []ghcrPackage{payload.Package, payload.RegistryPackage} {
		if strings.EqualFold(p.PackageType, "container") {
			p.addTo(into)
		}
	}
	return nil
}

// addTo takes the tag. GitHub writes owners as they write themselves; in
// references they are lower case.
func (p ghcrPackage) addTo(into *references) {
	owner := strings.ToLower(cmp.Or(p.Namespace, p.Owner.Login))
	tag := p.Version.ContainerMetadata.Tag.Name
	if owner == "" || p.Name == "" || tag == "" {
		repository, tag, _ := strings.Cut(p.Version.PackageURL, ":")
		into.addImage(strings.ToLower(repository) + ":" + tag)
		return
	}
	into.add("ghcr.io", owner+"/"+strings.ToLower(p.Name), tag)
}
