// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestEveryConstraintOfTheSpecIsTested compares the constraints that stand in the schema
// with what the tables of cel_test.go provoke, so that a rule without a tested message
// cannot be added.
func TestEveryConstraintOfTheSpecIsTested(t *testing.T) {
	objects, err := readYAML(filepath.Join(root, "config/crd/bases/imagelineage.dev_imagelineages.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]

	tested := provoked()
	for _, constraint := range constraints("spec", spec) {
		if !slices.Contains(tested, constraint) {
			t.Errorf("no test provokes %q", constraint)
		}
	}
}

// constraints lists what a schema demands, as "path: message" with the values left out.
func constraints(path string, schema apiextensionsv1.JSONSchemaProps) []string {
	// The selector is Kubernetes' own type, and checked where it is used.
	if strings.HasSuffix(path, ".selector") {
		return nil
	}
	var all []string
	add := func(format string, args ...any) { all = append(all, path+": "+fmt.Sprintf(format, args...)) }
	for _, rule := range schema.XValidations {
		// Immutability has a test of its own: it needs an update.
		if !strings.Contains(rule.Rule, "oldSelf") {
			add("Invalid value: %s", rule.Message)
		}
	}
	if schema.MinLength != nil {
		add("should be at least %d chars long", *schema.MinLength)
	}
	if schema.MaxLength != nil {
		add("may not be more than %d bytes", *schema.MaxLength)
	}
	if schema.MinItems != nil {
		add("should have at least %d items", *schema.MinItems)
	}
	if schema.MaxItems != nil {
		add("must have at most %d items", *schema.MaxItems)
	}
	if schema.MaxProperties != nil {
		add("must have at most %d items", *schema.MaxProperties)
	}
	if schema.Pattern != "" {
		add("should match '%s'", schema.Pattern)
	}
	if len(schema.Enum) > 0 {
		add("supported values")
	}
	if len(schema.XListMapKeys) > 0 {
		all = append(all, path+"[]: Duplicate value")
	}
	for _, name := range schema.Required {
		all = append(all, path+"."+name+": Required value")
	}
	for name, property := range schema.Properties {
		all = append(all, constraints(path+"."+name, property)...)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		all = append(all, constraints(path+"[]", *schema.Items.Schema)...)
	}
	return all
}

var (
	index = regexp.MustCompile(`\[[0-9]+\]`)
	// variants are the parts of a message that constraints lists.
	variants = regexp.MustCompile(`should be at least .*|may not be more than .*|should have at least .*|` +
		`must have at most .*|should match .*|supported values|Duplicate value|Required value|Invalid value: .*`)
)

// provoked lists what the table of invalid specs provokes, in the form of constraints.
func provoked() []string {
	var all []string
	for _, tc := range invalidSpecs {
		for _, want := range tc.want {
			path, message, _ := strings.Cut(want, ": ")
			path = index.ReplaceAllString(path, "[]")
			all = append(all, path+": "+variants.FindString(message))
			// "Invalid value: VALUE: … should match …" holds two variants.
			for _, word := range []string{"should be at least", "should have at least", "should match"} {
				if at := strings.Index(message, word); at >= 0 {
					all = append(all, path+": "+message[at:])
				}
			}
		}
	}
	return all
}
