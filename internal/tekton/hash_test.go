// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// buildOfSpec is a build whose run has the spec, as JSON.
func buildOfSpec(spec string) *v1alpha1.Build {
	return &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{Spec: runtime.RawExtension{Raw: []byte(spec)}}}
}

func TestTemplateHash(t *testing.T) {
	// The hash stands in the status of every built revision. If this value has to
	// be changed, every lineage of every cluster is built anew by the upgrade:
	// keep the former hash and give the new one another version instead.
	const golden = "v1:9eace3ab3708b7fd1bd0500ffa53564d"
	tests := map[string]struct {
		spec     string
		wantSame bool
	}{
		"the template": {
			`{"pipelineRef":{"name":"build"},"params":[{"name":"BASE","value":"$(lineage.from.base.reference)"},{"name":"N","value":["a",1.50]}]}`, true,
		},
		"other whitespace and another order of keys": {
			` {"params" : [ {"value":"$(lineage.from.base.reference)", "name":"BASE"},
			  {"value":["a",1.50],"name":"N"}],
			  "pipelineRef":{"name":"build"}} `, true,
		},
		"fields that say how and not what": {
			`{"timeouts":{"pipeline":"1h"},"taskRunTemplate":{"serviceAccountName":"x"},"workspaces":[],"pipelineSpec":null,
			  "pipelineRef":{"name":"build"},"params":[{"name":"BASE","value":"$(lineage.from.base.reference)"},{"name":"N","value":["a",1.50]}]}`, true,
		},
		"another pipeline": {
			`{"pipelineRef":{"name":"other"},"params":[{"name":"BASE","value":"$(lineage.from.base.reference)"},{"name":"N","value":["a",1.50]}]}`, false,
		},
		"a pipeline of its own": {
			`{"pipelineSpec":{"name":"build"},"params":[{"name":"BASE","value":"$(lineage.from.base.reference)"},{"name":"N","value":["a",1.50]}]}`, false,
		},
		"another param": {
			`{"pipelineRef":{"name":"build"},"params":[{"name":"BASE","value":"$(lineage.from.base.digest)"},{"name":"N","value":["a",1.50]}]}`, false,
		},
		"another order of params": {
			`{"pipelineRef":{"name":"build"},"params":[{"name":"N","value":["a",1.50]},{"name":"BASE","value":"$(lineage.from.base.reference)"}]}`, false,
		},
		"no params": {`{"pipelineRef":{"name":"build"}}`, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := TemplateHash(buildOfSpec(tc.spec))
			if err != nil {
				t.Fatalf("TemplateHash: %v", err)
			}
			if same := got == golden; same != tc.wantSame {
				t.Errorf("TemplateHash = %q, golden %q, want same: %v", got, golden, tc.wantSame)
			}
		})
	}
}

func TestTemplateHashOfNoTemplate(t *testing.T) {
	if got, err := TemplateHash(nil); got != "" || err != nil {
		t.Errorf("without a build: %q, %v", got, err)
	}
	for _, spec := range []string{"", "null", "[]", `"x"`, "{"} {
		_, err := TemplateHash(buildOfSpec(spec))
		if _, ok := errors.AsType[*UserError](err); !ok {
			t.Errorf("TemplateHash of %q: %v, want a *UserError", spec, err)
		}
	}
}
