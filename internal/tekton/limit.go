// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"encoding/json"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// defaultLimit is how long Tekton lets a run take that says nothing of it, unless the
// cluster is configured otherwise (tektoncd/pipeline, config/config-defaults.yaml:
// default-timeout-minutes).
const defaultLimit = time.Hour

// Limit is how long a run of a build may take by its template (spec.timeouts.pipeline); 0
// is any time. A template that cannot be read has Tekton's default.
func Limit(build *v1alpha1.Build) time.Duration {
	var spec struct {
		Timeouts struct {
			Pipeline string `json:"pipeline"`
		} `json:"timeouts"`
	}
	if build == nil || json.Unmarshal(build.PipelineRun.Spec.Raw, &spec) != nil {
		return defaultLimit
	}
	limit, err := time.ParseDuration(spec.Timeouts.Pipeline)
	if err != nil || limit < 0 {
		return defaultLimit
	}
	return limit
}
