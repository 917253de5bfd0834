// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func TestLimit(t *testing.T) {
	tests := map[string]struct {
		spec string
		want time.Duration
	}{
		"a template without a limit has Tekton's": {`{"pipelineRef": {"name": "build"}}`, time.Hour},
		"a template's own limit":                  {`{"timeouts": {"pipeline": "2h30m"}}`, 150 * time.Minute},
		"none at all":                             {`{"timeouts": {"pipeline": "0"}}`, 0},
		"one that is no time":                     {`{"timeouts": {"pipeline": "soon"}}`, time.Hour},
		"a template that cannot be read":          {`{"timeouts": 1}`, time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			build := &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{Spec: runtime.RawExtension{Raw: []byte(tc.spec)}}}
			if got := Limit(build); got != tc.want {
				t.Errorf("Limit = %s, want %s", got, tc.want)
			}
		})
	}
	if got := Limit(nil); got != time.Hour {
		t.Errorf("Limit without a build = %s, want %s", got, time.Hour)
	}
}
