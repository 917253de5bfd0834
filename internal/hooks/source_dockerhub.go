// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

// parseDockerHub reads Docker Hub's webhook, which is sent for pushes only.
func parseDockerHub(body []byte, into *references) error {
	var payload struct {
		PushData struct {
			Tag string `json:"tag"`
		} `json:"push_data"`
		Repository struct {
			RepoName string `json:"repo_name"`
		} `json:"repository"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	into.add(dockerHub, payload.Repository.RepoName, payload.PushData.Tag)
	return nil
}
