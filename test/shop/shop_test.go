// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRender renders every manifest: a mistake in one is found without a cluster.
func TestRender(t *testing.T) {
	s := Shop{
		Registry: Registry{Host: "registry.example.com:5000", Plain: true},
		Room:     "room/", NamespacePrefix: "test-", PartOf: "test", Buildah: "registry.example.com:5000/tools/buildah:1",
	}
	for file, want := range map[string][]string{
		"namespaces.yaml": {"Namespace test-platform", "Namespace test-shop"},
		"pipeline.yaml":   {"Pipeline build-image"},
		"lineages.yaml": {
			"ImageLineage debian", "ImageLineage corp-base", "ImageLineage web",
			"ImageLineage api", "ImageLineage cache", "ImageLineage reports",
		},
		"workloads.yaml": {"Deployment web", "StatefulSet api", "DaemonSet cache", "Deployment reports"},
	} {
		t.Run(file, func(t *testing.T) {
			given := any(nil)
			if file == "pipeline.yaml" {
				given = "test-shop"
			}
			objects, err := s.Render(file, given)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, object := range objects {
				got = append(got, object.GetKind()+" "+object.GetName())
				if object.GetKind() != "Namespace" && !strings.HasPrefix(object.GetNamespace(), "test-") {
					t.Errorf("%s is in namespace %q", object.GetName(), object.GetNamespace())
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShortImage(t *testing.T) {
	for image, want := range map[string]string{
		"registry.example.com/shop/web:stable":                                   "shop/web:stable",
		"registry.example.com/shop/web:stable@sha256:" + strings.Repeat("a", 64): "shop/web:stable@" + strings.Repeat("a", 12),
	} {
		if got := ShortImage(image); got != want {
			t.Errorf("ShortImage(%s) = %s, want %s", image, got, want)
		}
	}
}
