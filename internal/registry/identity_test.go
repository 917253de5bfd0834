// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// platformImage is an image for a platform, with a label.
func platformImage(t *testing.T, layer v1.Layer, platform v1.Platform, label string) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Config.Labels = map[string]string{"build": label}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func randomLayer(t *testing.T) v1.Layer {
	t.Helper()
	layer, err := random.Layer(64, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// TestIdentity: which changes of an index change which identity.
func TestIdentity(t *testing.T) {
	amd64, arm64 := v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	one, two, three := randomLayer(t), randomLayer(t), randomLayer(t)
	type image struct {
		layer v1.Layer
		label string
	}
	index := func(amd, arm image, annotation string) v1.ImageIndex {
		var index v1.ImageIndex = empty.Index
		index = mutate.AppendManifests(index,
			mutate.IndexAddendum{Add: platformImage(t, amd.layer, amd64, amd.label), Descriptor: v1.Descriptor{Platform: &amd64}},
			mutate.IndexAddendum{Add: platformImage(t, arm.layer, arm64, arm.label), Descriptor: v1.Descriptor{Platform: &arm64}},
		)
		annotated, ok := mutate.Annotations(index, map[string]string{"note": annotation}).(v1.ImageIndex)
		if !ok {
			t.Fatal("no index")
		}
		return annotated
	}
	before := index(image{one, "a"}, image{two, "a"}, "")
	only := func(platforms ...v1alpha1.Platform) []v1alpha1.Platform { return platforms }
	tests := map[string]struct {
		after     v1.ImageIndex
		kind      v1alpha1.IdentityKind
		platforms []v1alpha1.Platform
		wantSame  bool
	}{
		"an annotation changes the index":                             {after: index(image{one, "a"}, image{two, "a"}, "new"), kind: v1alpha1.IdentityIndex},
		"an annotation changes no platform":                           {after: index(image{one, "a"}, image{two, "a"}, "new"), kind: v1alpha1.IdentityPlatforms, wantSame: true},
		"a label changes a platform":                                  {after: index(image{one, "b"}, image{two, "a"}, ""), kind: v1alpha1.IdentityPlatforms},
		"a label changes no content":                                  {after: index(image{one, "b"}, image{two, "b"}, ""), kind: v1alpha1.IdentityContent, wantSame: true},
		"a layer changes the content":                                 {after: index(image{three, "a"}, image{two, "a"}, ""), kind: v1alpha1.IdentityContent},
		"a layer of a platform that does not count is none":           {after: index(image{one, "a"}, image{three, "a"}, ""), kind: v1alpha1.IdentityContent, platforms: only("linux/amd64"), wantSame: true},
		"a platform without a variant stands for all of its variants": {after: index(image{one, "a"}, image{three, "a"}, ""), kind: v1alpha1.IdentityPlatforms, platforms: only("linux/arm64")},
	}
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	identity := func(index v1.ImageIndex, detail registry.Detail) v1alpha1.Identity {
		t.Helper()
		description, err := newClient(r.Host).Describe(t.Context(), ref, r.PushIndex(t, ref, index), detail, anonymous)
		if err != nil {
			t.Fatal(err)
		}
		identity, ok := description.Identity(detail)
		if !ok || detail.Kind != identity.Kind {
			t.Fatalf("no identity of %+v: %+v", detail, description)
		}
		return identity
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			detail := registry.Detail{Kind: tt.kind, Platforms: tt.platforms}
			if same := identity(before, detail) == identity(tt.after, detail); same != tt.wantSame {
				t.Errorf("same: %t, want %t", same, tt.wantSame)
			}
		})
	}
}

// TestIdentityOfASingleImage: an image without an index has the content of an index
// with that image alone.
func TestIdentityOfASingleImage(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	amd64 := v1.Platform{OS: "linux", Architecture: "amd64"}
	image := platformImage(t, randomLayer(t), amd64, "a")
	alone := r.PushImage(t, ref, image)
	listed := r.PushIndex(t, ref, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &amd64}}))
	detail := registry.Detail{Kind: v1alpha1.IdentityContent, Platforms: []v1alpha1.Platform{"linux/amd64"}}
	var identities []v1alpha1.Identity
	for _, digest := range []string{alone, listed} {
		description, err := newClient(r.Host).Describe(t.Context(), ref, digest, detail, anonymous)
		if err != nil {
			t.Fatal(err)
		}
		identity, ok := description.Identity(detail)
		if !ok {
			t.Fatalf("no identity: %+v", description)
		}
		identities = append(identities, identity)
		if _, ok := description.Identity(registry.Detail{Kind: v1alpha1.IdentityContent, Platforms: []v1alpha1.Platform{"linux/s390x"}}); ok {
			t.Error("an identity of a platform that the image does not have")
		}
	}
	if identities[0] != identities[1] {
		t.Errorf("%v and %v", identities[0], identities[1])
	}
}
