// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// PartOfLabel is on every namespace of a shop, with the shop's PartOf as its value.
const PartOfLabel = "app.kubernetes.io/part-of"

// program is what the shop's containers start.
//
//go:embed program.sh
var program string

//go:embed manifests
var manifests embed.FS

// Shop is one instance: where its images and its objects are.
type Shop struct {
	// Registry that holds the images.
	Registry Registry
	// Room is the path before every repository, with its slash; empty for none.
	// A shop in a new room begins with no image.
	Room string
	// NamespacePrefix is put before every namespace.
	NamespacePrefix string
	// PartOf is the value of PartOfLabel.
	PartOf string
	// Buildah is the image that builds run in.
	Buildah string
}

// Repository is a repository of the shop, without its registry: library/debian.
func (s Shop) Repository(name string) string { return s.Room + name }

// Image is a reference of the shop: library/debian:bookworm with registry and room.
func (s Shop) Image(name string) string { return s.Registry.Host + "/" + s.Room + name }

// Namespace is a namespace of the shop: platform or shop.
func (s Shop) Namespace(name string) string { return s.NamespacePrefix + name }

// Namespaces of the shop.
func (s Shop) Namespaces() []string {
	return []string{s.Namespace("platform"), s.Namespace("shop")}
}

// Render renders a file of manifests/ into objects. given is what the file calls dot;
// the shop itself where it is nil.
func (s Shop) Render(file string, given any) ([]*unstructured.Unstructured, error) {
	text, err := manifests.ReadFile("manifests/" + file)
	if err != nil {
		return nil, err
	}
	return s.RenderText(string(text), given)
}

// RenderText renders a template with the shop's functions into objects.
func (s Shop) RenderText(text string, given any) ([]*unstructured.Unstructured, error) {
	if given == nil {
		given = s
	}
	parsed, err := template.New("manifest").Option("missingkey=error").Funcs(s.functions()).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, given); err != nil {
		return nil, err
	}
	return decode(&out)
}

func (s Shop) functions() template.FuncMap {
	return template.FuncMap{
		"image":        s.Image,
		"namespace":    s.Namespace,
		"buildah":      func() string { return s.Buildah },
		"tlsVerify":    func() string { return strconv.FormatBool(!s.Registry.Plain) },
		"programLines": programLines,
		"pod":          func(app, image string) map[string]string { return map[string]string{"app": app, "image": image} },
	}
}

// programLines are the lines of the program as arguments of a shell.
func programLines() (string, error) {
	if strings.Contains(program, "'") {
		return "", errors.New("program.sh must not contain a single quote: it is written by a shell")
	}
	lines := strings.Split(strings.TrimSpace(program), "\n")
	return "'" + strings.Join(lines, "' '") + "'", nil
}

// decode reads all objects of a YAML stream.
func decode(in io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("object %d: %w", len(objects)+1, err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}
