// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// marker begins operator-sdk's markers.
const marker = "+operator-sdk:csv:customresourcedefinitions:"

// description is what a catalog shows of the API.
type description struct {
	displayName string
	description string
	resources   []any
	spec        []any
	status      []any
}

var (
	displayName = regexp.MustCompile(`displayName="([^"]*)"`)
	resource    = regexp.MustCompile(`\{(\w+),(\w+),"([^"]*)"\}`)
)

// describe reads the markers on the types of a directory: the one of the kind itself,
// and those of direct fields of its spec and status.
func describe(dir string) (description, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*_types.go"))
	if err != nil {
		return description{}, err
	}
	var described description
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return description{}, err
		}
		if err := described.read(path, source); err != nil {
			return description{}, err
		}
	}
	if described.displayName == "" {
		return description{}, fmt.Errorf("no type in %s has the marker %s", dir, marker)
	}
	return described, nil
}

// read adds what one file says.
func (d *description) read(path string, source []byte) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			typeSpec, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if marked, text := markerOf(general.Doc); marked != "" {
				d.displayName, d.description = find(displayName, marked), text
				for _, match := range resource.FindAllStringSubmatch(marked, -1) {
					d.resources = append(d.resources, map[string]any{"kind": match[1], "version": match[2], "name": match[3]})
				}
			}
			if structure, ok := typeSpec.Type.(*ast.StructType); ok {
				d.readFields(structure)
			}
		}
	}
	return nil
}

// readFields adds the fields that have a marker.
func (d *description) readFields(structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		marked, text := markerOf(field.Doc)
		if marked == "" || field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		described := map[string]any{"path": name, "displayName": find(displayName, marked), "description": text}
		if strings.Contains(marked, "type=status") {
			d.status = append(d.status, described)
		} else {
			d.spec = append(d.spec, described)
		}
	}
}

// markerOf returns operator-sdk's marker of a comment, and the comment's first paragraph.
func markerOf(doc *ast.CommentGroup) (marked, text string) {
	if doc == nil {
		return "", ""
	}
	for _, comment := range doc.List {
		if _, after, ok := strings.Cut(comment.Text, marker); ok {
			marked = after
		}
	}
	paragraph, _, _ := strings.Cut(doc.Text(), "\n\n")
	return marked, strings.Join(strings.Fields(paragraph), " ")
}

func find(expression *regexp.Regexp, in string) string {
	if match := expression.FindStringSubmatch(in); match != nil {
		return match[1]
	}
	return ""
}
