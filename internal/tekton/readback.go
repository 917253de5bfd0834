// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// digestPattern is that of v1alpha1.Digest.
var digestPattern = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,128}$`)

// buildOf reads back what annotationsOf wrote. Anyone who may edit runs may edit
// annotations: where one that a publish rests on is missing or cannot be read,
// the number is 0, which no build has, and nothing of the run may be used.
func buildOf(name string, annotations map[string]string) plan.Build {
	r := reader{annotations: annotations}
	b := plan.Build{
		Name:      name,
		Number:    r.positive(v1alpha1.NumberAnnotation),
		Attempt:   r.positive(v1alpha1.AttemptAnnotation),
		Inputs:    r.text(v1alpha1.InputsAnnotation),
		Output:    r.text(v1alpha1.OutputAnnotation),
		Expected:  r.expected(),
		Template:  r.text(v1alpha1.TemplateAnnotation),
		Request:   annotations[v1alpha1.RequestAnnotation],
		BuiltFrom: list[v1alpha1.BuiltFrom](&r, v1alpha1.BuiltFromAnnotation),
		Roots:     list[v1alpha1.Root](&r, v1alpha1.RootsAnnotation),
	}
	if reasons := annotations[v1alpha1.ReasonsAnnotation]; reasons != "" {
		b.Reasons = strings.Split(reasons, ",")
	}
	for i := range b.BuiltFrom {
		r.damaged = r.damaged || !digestPattern.MatchString(string(b.BuiltFrom[i].Digest))
	}
	if r.damaged {
		b.Number = 0
	}
	return b
}

// reader reads annotations, and remembers that one was damaged.
type reader struct {
	annotations map[string]string
	damaged     bool
}

func (r *reader) positive(key string) int64 {
	n, err := strconv.ParseInt(r.annotations[key], 10, 64)
	if err != nil || n < 1 {
		r.damaged = true
		return 0
	}
	return n
}

func (r *reader) text(key string) string {
	value := r.annotations[key]
	if value == "" {
		r.damaged = true
	}
	return value
}

func (r *reader) expected() string {
	value := r.annotations[v1alpha1.ExpectedAnnotation]
	if value != v1alpha1.ExpectedAbsent && !digestPattern.MatchString(value) {
		r.damaged = true
		return ""
	}
	return value
}

func list[T any](r *reader, key string) []T {
	var values []T
	if err := json.Unmarshal([]byte(r.annotations[key]), &values); err != nil {
		r.damaged = true
		return nil
	}
	return values
}
