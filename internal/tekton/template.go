// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"errors"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

const specField = "spec.build.pipelineRun.spec"

func notAnObject() error {
	return &UserError{Field: specField, Message: "must be an object, the spec of a PipelineRun"}
}

// Check finds what is wrong with a lineage's template before it is needed: all
// that Render would find, with the parents of spec.from. It asks no cluster. The
// error is a *UserError; a lineage without a build has nothing wrong.
func Check(lineage *v1alpha1.ImageLineage) error {
	if lineage.Spec.Build == nil {
		return nil
	}
	// Only the names of the variables matter here, not their values.
	const placeholder = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	ref := reference.Reference{Repository: "registry.invalid/image", Tag: "tag"}
	b := plan.Build{Output: ref.Name()}
	for _, parent := range lineage.Spec.From {
		b.BuiltFrom = append(b.BuiltFrom, v1alpha1.BuiltFrom{
			Name: parent.Name, Reference: ref.Name(), Digest: placeholder,
		})
	}
	variables, err := VariablesOf(ref, b)
	if err != nil {
		return err
	}
	_, err = renderSpec(lineage.Spec.Build, variables)
	return err
}

// renderSpec is the template's spec with the variables of its params replaced;
// everything else is left as it is written. The error is a *UserError.
func renderSpec(b *v1alpha1.Build, variables Variables) (map[string]any, error) {
	var spec map[string]any
	if err := utiljson.Unmarshal(b.PipelineRun.Spec.Raw, &spec); err != nil || spec == nil {
		return nil, notAnObject()
	}
	hasRef, hasSpec := spec["pipelineRef"] != nil, spec["pipelineSpec"] != nil
	if hasRef == hasSpec {
		return nil, &UserError{Field: specField, Message: "needs exactly one of pipelineRef and pipelineSpec"}
	}
	if spec["params"] == nil {
		return spec, nil
	}
	params, ok := spec["params"].([]any)
	if !ok {
		return nil, &UserError{Field: specField + ".params", Message: "must be a list of name and value"}
	}
	for i := range params {
		if err := renderParam(params, i, variables); err != nil {
			return nil, err
		}
	}
	return spec, nil
}

// renderParam replaces the variables of one param, in place.
func renderParam(params []any, i int, variables Variables) error {
	path := fmt.Sprintf("%s.params[%d]", specField, i)
	param, ok := params[i].(map[string]any)
	if !ok {
		return &UserError{Field: path, Message: "must be an object with name and value"}
	}
	name, ok := param["name"].(string)
	if !ok || name == "" {
		return &UserError{Field: path + ".name", Message: "must be the name of a param"}
	}
	if param["value"] == nil {
		return &UserError{Field: path + ".value", Message: fmt.Sprintf("param %s needs a value", name)}
	}
	value, err := variables.replace(param["value"], path+".value")
	if err != nil {
		return paramError(err, name)
	}
	param["value"] = value
	return nil
}

// paramError names the param, by which people know it better than by its index.
func paramError(err error, name string) error {
	if user, ok := errors.AsType[*UserError](err); ok {
		return &UserError{Field: user.Field, Message: fmt.Sprintf("param %s: %s", name, user.Message)}
	}
	return err
}
