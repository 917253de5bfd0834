// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import "strings"

// parseECR reads the event "ECR Image Action" as EventBridge sends it
// (ecr-eventbridge in the user guide). The registry's host is made of account
// and region, as the partitions aws and aws-cn name it; the host of others is
// written into the configuration.
func parseECR(body []byte, into *references) error {
	var payload struct {
		DetailType string `json:"detail-type"`
		Account    string `json:"account"`
		Region     string `json:"region"`
		Detail     struct {
			Result         string `json:"result"`
			ActionType     string `json:"action-type"`
			RepositoryName string `json:"repository-name"`
			ImageTag       string `json:"image-tag"`
		} `json:"detail"`
	}
	if err := decode(body, &payload); err != nil {
		return err
	}
	detail := payload.Detail
	if payload.DetailType != "ECR Image Action" || detail.Result != "SUCCESS" || detail.ActionType != "PUSH" {
		return nil
	}
	domain := ".amazonaws.com"
	if strings.HasPrefix(payload.Region, "cn-") {
		domain = ".amazonaws.com.cn"
	}
	into.add(payload.Account+".dkr.ecr."+payload.Region+domain, detail.RepositoryName, detail.ImageTag)
	return nil
}
