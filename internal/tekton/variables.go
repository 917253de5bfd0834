// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Variables are the values of a template's variables, by their names without
// $(lineage. and the closing parenthesis: image, from.base.reference.
type Variables map[string]string

// VariablesOf are the variables of a build of the lineage whose image is ref:
//
//	image                repository:tag, canonical
//	repository, tag      its parts
//	output               the revision tag to push to, repository:tag
//	reasons              why, separated by commas, the headline first
//	noCache              true where spec.build.rebuildEvery is among the reasons: what a
//	                     cache keeps is what has to be made anew; false otherwise
//	from.NAME.reference  repository@digest of a parent, or of its copy; never a tag
//	from.NAME.digest     the digest of that
//	from.NAME.repository the repository of that
func VariablesOf(ref reference.Reference, b plan.Build) (Variables, error) {
	v := Variables{
		"image":      ref.Name(),
		"repository": ref.Repository,
		"tag":        ref.Tag,
		"output":     b.Output,
		"reasons":    strings.Join(b.Reasons, ","),
		"noCache":    strconv.FormatBool(slices.Contains(b.Reasons, v1alpha1.ReasonPeriodic)),
	}
	for _, parent := range b.BuiltFrom {
		parsed, err := reference.Parse(cmp.Or(parent.Mirror, parent.Reference))
		if err != nil {
			return nil, fmt.Errorf("parent %s: %w", parent.Name, err)
		}
		prefix := "from." + string(parent.Name) + "."
		v[prefix+"reference"] = parsed.Pinned(string(parent.Digest))
		v[prefix+"digest"] = string(parent.Digest)
		v[prefix+"repository"] = parsed.Repository
	}
	return v, nil
}

// variable matches $(lineage.NAME), and the same behind another $, which Tekton
// and Kubernetes read as an escape. Everything else in $() is Tekton's.
var variable = regexp.MustCompile(`\$?\$\(lineage(?:\.[^()]*)?\)`)

// replace replaces the variables in the string leaves of value, a tree of JSON.
// The tree that was given is not modified. path is the field's, for the error,
// which is a *UserError for a variable that does not exist.
func (v Variables) replace(value any, path string) (any, error) {
	switch value := value.(type) {
	case string:
		return v.replaceString(value, path)
	case []any:
		replaced := make([]any, len(value))
		for i := range value {
			var err error
			if replaced[i], err = v.replace(value[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return nil, err
			}
		}
		return replaced, nil
	case map[string]any:
		replaced := make(map[string]any, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			var err error
			if replaced[key], err = v.replace(value[key], path+"."+key); err != nil {
				return nil, err
			}
		}
		return replaced, nil
	}
	return value, nil
}

func (v Variables) replaceString(s, path string) (string, error) {
	unknown := ""
	replaced := variable.ReplaceAllStringFunc(s, func(match string) string {
		if strings.HasPrefix(match, "$$") {
			return match
		}
		name := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(match, "$(lineage"), ")"), ".")
		value, ok := v[name]
		if !ok && unknown == "" {
			unknown = match
		}
		return value
	})
	if unknown != "" {
		return "", &UserError{Field: path, Message: fmt.Sprintf("unknown variable %s; known are %s", unknown, v.known())}
	}
	return replaced, nil
}

// known lists the variables as they are written.
func (v Variables) known() string {
	names := slices.Sorted(maps.Keys(v))
	for i, name := range names {
		names[i] = "$(lineage." + name + ")"
	}
	return strings.Join(names, ", ")
}
