// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// The tests below are about the bundle that is checked in: "make verify-generated" sees
// to it that it is the one which the program makes now.
const checkedIn = "../../bundle"

// supported are the kinds that OLM takes in a bundle, of those that we could ever have.
var supported = map[string]bool{
	"ClusterServiceVersion":    true,
	"CustomResourceDefinition": true,
	"ClusterRole":              true,
	"ClusterRoleBinding":       true,
	"ConfigMap":                true,
	"Role":                     true,
	"RoleBinding":              true,
	"Service":                  true,
}

// csv is the part of a ClusterServiceVersion that is checked.
type csv struct {
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Spec struct {
		Version      string
		InstallModes []struct {
			Type      string
			Supported bool
		}
		Install struct {
			Strategy string
			Spec     struct {
				Deployments []struct {
					Name string
					Spec struct {
						Template struct {
							Spec struct{ ServiceAccountName string }
						}
					}
				}
				Permissions, ClusterPermissions []struct {
					ServiceAccountName string
					Rules              []any
				}
			}
		}
		CustomResourceDefinitions struct {
			Owned []struct {
				Name, Kind, Version, DisplayName, Description string
				Resources                                     []any
				SpecDescriptors, StatusDescriptors            []struct{ Path, DisplayName string }
			}
		}
	}
}

func TestManifestsAreOfKindsThatOLMTakes(t *testing.T) {
	for path, object := range manifests(t) {
		if !supported[object.GetKind()] {
			t.Errorf("%s: OLM takes no %s in a bundle", path, object.GetKind())
		}
		if object.GetKind() != "ClusterServiceVersion" && object.GetNamespace() != "" {
			t.Errorf("%s: the namespace is OLM's to decide on", path)
		}
	}
}

func TestTheOperatorCanBeInstalled(t *testing.T) {
	got := readCSV(t)
	if want := packageName + ".v" + got.Spec.Version; got.Metadata.Name != want {
		t.Errorf("name: want %s, got %s", want, got.Metadata.Name)
	}
	modes := map[string]bool{}
	for _, mode := range got.Spec.InstallModes {
		modes[mode.Type] = mode.Supported
	}
	want := map[string]bool{"OwnNamespace": false, "SingleNamespace": false, "MultiNamespace": false, "AllNamespaces": true}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("install modes (-want +got):\n%s", diff)
	}
	install := got.Spec.Install
	if install.Strategy != "deployment" || len(install.Spec.Deployments) != 1 {
		t.Fatalf("want one deployment, got %+v", install)
	}
	account := install.Spec.Deployments[0].Spec.Template.Spec.ServiceAccountName
	for _, permission := range append(install.Spec.Permissions, install.Spec.ClusterPermissions...) {
		if permission.ServiceAccountName != account || len(permission.Rules) == 0 {
			t.Errorf("want rules for %s, got %+v", account, permission)
		}
	}
	if len(install.Spec.Permissions) != 1 || len(install.Spec.ClusterPermissions) != 1 {
		t.Errorf("want permissions in the namespace and in the cluster, got %+v", install.Spec)
	}
	if image := got.Metadata.Annotations["containerImage"]; image == "" || image == placeholder {
		t.Errorf("the bundle names no image: %q", image)
	}
}

func TestTheAPIIsDescribed(t *testing.T) {
	owned := readCSV(t).Spec.CustomResourceDefinitions.Owned
	if len(owned) != 1 {
		t.Fatalf("want one owned API, got %d", len(owned))
	}
	api := owned[0]
	var schema apiextensionsv1.JSONSchemaProps
	for _, object := range manifests(t) {
		if object.GetKind() != "CustomResourceDefinition" || object.GetName() != api.Name {
			continue
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd); err != nil {
			t.Fatal(err)
		}
		if got := crd.Spec.Versions[0].Name; got != api.Version || crd.Spec.Names.Kind != api.Kind {
			t.Errorf("want %s %s, the CRD has %s %s", api.Version, api.Kind, got, crd.Spec.Names.Kind)
		}
		schema = *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	if len(schema.Properties) == 0 {
		t.Fatalf("the bundle has no CRD %s", api.Name)
	}
	if api.DisplayName == "" || api.Description == "" || len(api.Resources) == 0 || len(api.SpecDescriptors) == 0 {
		t.Errorf("the catalog has nothing to show: %+v", api)
	}
	for _, descriptor := range api.SpecDescriptors {
		if _, ok := schema.Properties["spec"].Properties[descriptor.Path]; !ok || descriptor.DisplayName == "" {
			t.Errorf("spec has no field for %+v", descriptor)
		}
	}
	for _, descriptor := range api.StatusDescriptors {
		if _, ok := schema.Properties["status"].Properties[descriptor.Path]; !ok || descriptor.DisplayName == "" {
			t.Errorf("status has no field for %+v", descriptor)
		}
	}
}

func TestTheExamplesAreOfTheAPI(t *testing.T) {
	got := readCSV(t)
	var examples []unstructured.Unstructured
	if err := json.Unmarshal([]byte(got.Metadata.Annotations["alm-examples"]), &examples); err != nil {
		t.Fatal(err)
	}
	if len(examples) == 0 {
		t.Error("no examples")
	}
	for _, example := range examples {
		if kind := got.Spec.CustomResourceDefinitions.Owned[0].Kind; example.GetKind() != kind {
			t.Errorf("%s: want a %s, got a %s", example.GetName(), kind, example.GetKind())
		}
	}
}

func TestTheMetadataAgrees(t *testing.T) {
	object := readObject(t, filepath.Join(checkedIn, "metadata/annotations.yaml"))
	got, _, err := unstructured.NestedMap(object.Object, "annotations")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(annotations(), got); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	content, err := os.ReadFile(checkedIn + ".Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range annotations() {
		if label := "LABEL " + key + "=" + value.(string) + "\n"; !strings.Contains(string(content), label) {
			t.Errorf("bundle.Dockerfile has no %s", label)
		}
	}
}

func TestRead(t *testing.T) {
	const source = `package v1
// Thing is a thing.
//
// More of it.
//
// +operator-sdk:csv:customresourcedefinitions:displayName="A Thing",resources={{Pod,v1,""},{Job,v1,"x"}}
type Thing struct {
	// size of
	// the thing.
	//
	// +operator-sdk:csv:customresourcedefinitions:type=spec,displayName="Size"
	Size string ` + "`json:\"size,omitempty\"`" + `
	// seen is status.
	//
	// +operator-sdk:csv:customresourcedefinitions:type=status,displayName="Seen"
	Seen string ` + "`json:\"seen\"`" + `
	// plain has no marker.
	Plain string ` + "`json:\"plain\"`" + `
}`
	var got description
	if err := got.read("thing_types.go", []byte(source)); err != nil {
		t.Fatal(err)
	}
	want := description{
		displayName: "A Thing",
		description: "Thing is a thing.",
		resources: []any{
			map[string]any{"kind": "Pod", "version": "v1", "name": ""},
			map[string]any{"kind": "Job", "version": "v1", "name": "x"},
		},
		spec:   []any{map[string]any{"path": "size", "displayName": "Size", "description": "size of the thing."}},
		status: []any{map[string]any{"path": "seen", "displayName": "Seen", "description": "seen is status."}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(description{})); diff != "" {
		t.Errorf("description (-want +got):\n%s", diff)
	}
}

// manifests reads bundle/manifests, by path.
func manifests(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(checkedIn, "manifests/*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, path := range paths {
		objects[path] = readObject(t, path)
	}
	return objects
}

func readObject(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	objects, err := read(file)
	if err != nil || len(objects) != 1 {
		t.Fatalf("%s: want one object, got %d: %v", path, len(objects), err)
	}
	return objects[0]
}

func readCSV(t *testing.T) csv {
	t.Helper()
	for _, object := range manifests(t) {
		if object.GetKind() == "ClusterServiceVersion" {
			content, err := json.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			var got csv
			if err := json.Unmarshal(content, &got); err != nil {
				t.Fatal(err)
			}
			return got
		}
	}
	t.Fatal("no ClusterServiceVersion")
	return csv{}
}
