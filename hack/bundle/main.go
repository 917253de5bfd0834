// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command bundle makes the OLM bundle, bundle/ and bundle.Dockerfile, from what
// "kustomize build config/manifests" writes to its standard input. It does what
// "operator-sdk generate bundle" does, as far as this operator needs it, and without
// that tool's hundreds of modules.
//
// The ClusterServiceVersion is the written base with four things added: the Deployment,
// the rights of its ServiceAccount, the samples as examples, and a description of the
// API that is read from the markers on the Go types.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// packageName is the operator's name in catalogs.
const packageName = "imagelineage"

func main() {
	version := flag.String("version", "", "version of the bundle, as in 0.1.0")
	image := flag.String("image", "", "reference of the operator's image")
	types := flag.String("types", "api/v1alpha1", "directory of the API types")
	dir := flag.String("dir", ".", "directory to write bundle/ and bundle.Dockerfile to")
	flag.Parse()
	if err := run(os.Stdin, *version, *image, *types, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, version, image, types, dir string) error {
	if version == "" || image == "" {
		return errors.New("-version and -image are needed")
	}
	objects, err := read(in)
	if err != nil {
		return err
	}
	described, err := describe(types)
	if err != nil {
		return err
	}
	made, err := assemble(objects, described, version, image)
	if err != nil {
		return err
	}
	return write(dir, made)
}

// read reads every object of a stream of YAML.
func read(in io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(in, 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the manifests: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// write replaces the bundle by the files that were made.
func write(dir string, made *bundle) error {
	if err := os.RemoveAll(filepath.Join(dir, "bundle")); err != nil {
		return err
	}
	files := map[string]any{
		"bundle/metadata/annotations.yaml":       map[string]any{"annotations": annotations()},
		"bundle/tests/scorecard/config.yaml":     made.scorecard.Object,
		"bundle/manifests/" + made.csvFileName(): made.csv.Object,
	}
	for _, object := range made.manifests {
		files["bundle/manifests/"+fileName(object)] = object.Object
	}
	for path, content := range files {
		out, err := yaml.Marshal(content)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, out, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "bundle.Dockerfile"), []byte(dockerfile()), 0o644)
}
