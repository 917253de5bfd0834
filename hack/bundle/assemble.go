// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// placeholder is the image that config/manager names.
const placeholder = "controller:latest"

// bundle is what the bundle holds.
type bundle struct {
	csv       *unstructured.Unstructured
	manifests []*unstructured.Unstructured
	scorecard *unstructured.Unstructured
}

func (b *bundle) csvFileName() string { return packageName + ".clusterserviceversion.yaml" }

// fileName is operator-sdk's name for the file of an object.
func fileName(object *unstructured.Unstructured) string {
	if object.GetKind() == "CustomResourceDefinition" {
		plural, group, _ := strings.Cut(object.GetName(), ".")
		return group + "_" + plural + ".yaml"
	}
	group, version, _ := strings.Cut(object.GetAPIVersion(), "/")
	if version == "" {
		group, version = "", group
	} else {
		group += "_"
	}
	return fmt.Sprintf("%s_%s%s_%s.yaml", object.GetName(), group, version, strings.ToLower(object.GetKind()))
}

// left names the kinds that are no part of a bundle; config/manifests says why.
var left = map[string]bool{
	"Namespace":                        true,
	"NetworkPolicy":                    true,
	"ValidatingAdmissionPolicy":        true,
	"ValidatingAdmissionPolicyBinding": true,
	// OLM makes the one that the Deployment names, and refuses another.
	"ServiceAccount": true,
}

// sorted are the objects of a kustomization, by what becomes of them.
type sorted struct {
	bundle
	deployment  *appsv1.Deployment
	crd         *unstructured.Unstructured
	examples    []*unstructured.Unstructured
	permissions permissions
}

// assemble makes the bundle from the objects of config/manifests.
func assemble(objects []*unstructured.Unstructured, described description, version, image string) (*bundle, error) {
	s, err := sortOut(objects)
	if err != nil {
		return nil, err
	}
	install, err := s.install(image)
	if err != nil {
		return nil, err
	}
	owned, err := s.owned(described)
	if err != nil {
		return nil, err
	}
	examples, err := json.MarshalIndent(s.examples, "", "  ")
	if err != nil {
		return nil, err
	}

	s.csv.SetName(packageName + ".v" + version)
	annotated := s.csv.GetAnnotations()
	annotated["alm-examples"] = string(examples)
	annotated["containerImage"] = image
	s.csv.SetAnnotations(annotated)
	for path, value := range map[string]any{
		"version": version,
		"install": map[string]any{"strategy": "deployment", "spec": install},
		"customresourcedefinitions": map[string]any{
			"owned": []any{owned},
		},
	} {
		if err := unstructured.SetNestedField(s.csv.Object, value, "spec", path); err != nil {
			return nil, err
		}
	}
	return &s.bundle, nil
}

// sortOut says of each object what becomes of it.
func sortOut(objects []*unstructured.Unstructured) (*sorted, error) {
	s := &sorted{permissions: permissions{rules: map[string][]rbacv1.PolicyRule{}}}
	for _, object := range objects {
		if left[object.GetKind()] {
			continue
		}
		if err := s.add(object); err != nil {
			return nil, err
		}
	}
	if s.csv == nil || s.scorecard == nil || s.deployment == nil || s.crd == nil {
		return nil, errors.New("a ClusterServiceVersion, a scorecard Configuration, a Deployment and a " +
			"CustomResourceDefinition are needed, and one of them is missing")
	}
	s.manifests = append(s.manifests, s.permissions.unbound()...)
	return s, nil
}

// add puts one object where it belongs.
func (s *sorted) add(object *unstructured.Unstructured) error {
	if object.GetKind() != "ClusterServiceVersion" {
		// OLM decides on the namespace.
		object.SetNamespace("")
	}
	switch object.GetKind() {
	case "ClusterServiceVersion":
		s.csv = object
	case "Configuration":
		s.scorecard = object
	case "ImageLineage":
		s.examples = append(s.examples, object)
	case "Deployment":
		s.deployment = &appsv1.Deployment{}
		return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, s.deployment)
	case "Role", "ClusterRole":
		return s.permissions.addRole(object)
	case "RoleBinding", "ClusterRoleBinding":
		return s.permissions.addBinding(object)
	case "CustomResourceDefinition":
		s.crd = object
		s.manifests = append(s.manifests, object)
	default:
		s.manifests = append(s.manifests, object)
	}
	return nil
}

// install is what OLM installs: the Deployment with its rights.
func (s *sorted) install(image string) (map[string]any, error) {
	containers := s.deployment.Spec.Template.Spec.Containers
	if len(containers) != 1 || containers[0].Image != placeholder {
		return nil, fmt.Errorf("one container with the image %s was expected in the Deployment", placeholder)
	}
	containers[0].Image = image
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&s.deployment.Spec)
	if err != nil {
		return nil, err
	}
	install := map[string]any{
		"deployments": []any{map[string]any{
			"name":  s.deployment.Name,
			"label": stringMap(s.deployment.Labels),
			"spec":  spec,
		}},
	}
	account := s.deployment.Spec.Template.Spec.ServiceAccountName
	for field, kind := range map[string]string{"clusterPermissions": "ClusterRole", "permissions": "Role"} {
		rules, err := s.permissions.of(account, kind)
		if err != nil {
			return nil, err
		}
		if len(rules) > 0 {
			install[field] = []any{map[string]any{"serviceAccountName": account, "rules": rules}}
		}
	}
	return install, nil
}

// owned describes the API.
func (s *sorted) owned(described description) (map[string]any, error) {
	kind, _, _ := unstructured.NestedString(s.crd.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(s.crd.Object, "spec", "versions")
	if len(versions) != 1 {
		return nil, errors.New("the CRD has not one version: say which one people shall use")
	}
	version, _ := versions[0].(map[string]any)
	return map[string]any{
		"name":              s.crd.GetName(),
		"kind":              kind,
		"version":           version["name"],
		"displayName":       described.displayName,
		"description":       described.description,
		"resources":         described.resources,
		"specDescriptors":   described.spec,
		"statusDescriptors": described.status,
	}, nil
}

// annotations are what a catalog reads first.
func annotations() map[string]any {
	return map[string]any{
		"operators.operatorframework.io.bundle.mediatype.v1":       "registry+v1",
		"operators.operatorframework.io.bundle.manifests.v1":       "manifests/",
		"operators.operatorframework.io.bundle.metadata.v1":        "metadata/",
		"operators.operatorframework.io.bundle.package.v1":         packageName,
		"operators.operatorframework.io.bundle.channels.v1":        "alpha",
		"operators.operatorframework.io.bundle.channel.default.v1": "alpha",
		"operators.operatorframework.io.test.mediatype.v1":         "scorecard+v1",
		"operators.operatorframework.io.test.config.v1":            "tests/scorecard/",
	}
}

func stringMap(in map[string]string) map[string]any {
	out := make(map[string]any, len(in))
	for key, value := range in {
		out[key] = value
	}
	return out
}
