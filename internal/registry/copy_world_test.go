// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

const (
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	foreign     = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

type object = map[string]any

func sha(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// original is an image with everything that can belong to one, and the list of it.
type original struct {
	t   *testing.T
	r   *registrytest.Registry
	ref reference.Reference
	// digest of the index.
	digest string
	// child is an image in it.
	child string
	// manifests that belong to it, and tags of cosign's; blobs, by digest.
	manifests, tags map[string][]byte
	blobs           map[string]int
	// referrers by what they refer to.
	referrers map[string][]string
}

func emptyOriginal(t *testing.T, r *registrytest.Registry) *original {
	t.Helper()
	return &original{
		t: t, r: r, ref: r.Reference(t, "team/app:stable"),
		manifests: map[string][]byte{}, tags: map[string][]byte{}, blobs: map[string]int{}, referrers: map[string][]string{},
	}
}

// newOriginal makes an index of two images and an attestation; a referrer of the index
// and one of a child; and two tags of cosign's. With tagged, referrers are listed under
// the fallback tags.
func newOriginal(t *testing.T, r *registrytest.Registry, tagged bool) *original {
	t.Helper()
	o := emptyOriginal(t, r)
	shared := o.blob(ociLayer, "shared layer")
	amd64 := o.image(nil, "amd64", shared, o.blob(ociLayer, "layer of amd64"))
	arm64 := o.image(nil, "arm64", shared, o.blob(ociLayer, "layer of arm64"), object{
		"mediaType": foreign, "digest": sha([]byte("somebody else's")), "size": 15, "urls": []string{"https://publisher.example.com/layer"},
	})
	attestation := o.image(nil, "attestation", o.blob("application/vnd.in-toto+json", "provenance"))
	index := o.manifest(ociIndex, object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []object{
		with(amd64, "platform", object{"os": "linux", "architecture": "amd64"}),
		with(arm64, "platform", object{"os": "linux", "architecture": "arm64"}),
		with(attestation, "platform", object{"os": "unknown", "architecture": "unknown"}),
	}})
	o.digest, o.child = digestIn(index), digestIn(amd64)
	r.Move(t, o.ref, o.digest)
	o.refer(index, tagged, "sbom of the index")
	o.refer(amd64, tagged, "signature of a child")
	o.cosign(o.digest, ".sig")
	o.cosign(o.child, ".att")
	return o
}

func with(descriptor object, key string, value any) object {
	more := maps.Clone(descriptor)
	more[key] = value
	return more
}

func digestIn(descriptor object) string {
	digest, _ := descriptor["digest"].(string)
	return digest
}

func (o *original) blob(mediaType, content string) object {
	o.t.Helper()
	digest := o.r.PushBlob(o.t, o.ref, []byte(content))
	o.blobs[digest] = len(content)
	return object{"mediaType": mediaType, "digest": digest, "size": len(content)}
}

func (o *original) manifest(mediaType string, document object) object {
	o.t.Helper()
	raw, err := json.MarshalIndent(document, "", "   ") // nobody may format it anew
	if err != nil {
		o.t.Fatal(err)
	}
	digest := sha(raw)
	o.r.PushManifest(o.t, o.ref.WithTag(digest), mediaType, raw)
	o.manifests[digest] = raw
	return object{"mediaType": mediaType, "digest": digest, "size": len(raw)}
}

func (o *original) image(subject object, config string, layers ...object) object {
	o.t.Helper()
	document := object{"schemaVersion": 2, "mediaType": ociManifest, "config": o.blob(ociConfig, config), "layers": layers}
	if subject != nil {
		document["subject"] = subject
	}
	return o.manifest(ociManifest, document)
}

func (o *original) refer(to object, tagged bool, content string) {
	o.t.Helper()
	referrer := o.image(to, "config of "+content, o.blob("application/spdx+json", content))
	o.referrers[digestIn(to)] = append(o.referrers[digestIn(to)], digestIn(referrer))
	if tagged {
		raw, err := json.Marshal(object{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []object{referrer}})
		if err != nil {
			o.t.Fatal(err)
		}
		o.r.PushManifest(o.t, o.ref.WithTag(fallback(digestIn(to))), ociIndex, raw)
	}
}

func (o *original) cosign(of, suffix string) {
	o.t.Helper()
	kept := o.image(nil, "cosign's "+suffix, o.blob("application/vnd.dev.cosign.simplesigning.v1+json", "payload"+suffix))
	tag := fallback(of) + suffix
	o.r.Move(o.t, o.ref.WithTag(tag), digestIn(kept))
	o.tags[tag] = o.manifests[digestIn(kept)]
}

func fallback(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// missing is what a repository lacks of the image.
func (o *original) missing(r *registrytest.Registry, ref reference.Reference) []string {
	o.t.Helper()
	var missing []string
	for digest, raw := range o.manifests {
		if !bytes.Equal(r.Content(o.t, ref, "manifests/"+digest), raw) {
			missing = append(missing, "manifest "+digest)
		}
	}
	for digest, size := range o.blobs {
		if len(r.Content(o.t, ref, "blobs/"+digest)) != size {
			missing = append(missing, "blob "+digest)
		}
	}
	for tag, raw := range o.tags {
		if !bytes.Equal(r.Content(o.t, ref, "manifests/"+tag), raw) {
			missing = append(missing, "tag "+tag)
		}
	}
	for subject, referrers := range o.referrers {
		for _, referrer := range referrers {
			if !slices.Contains(listed(o.t, r, ref, subject), referrer) {
				missing = append(missing, "list of referrer "+referrer)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// listed are the referrers under the fallback tag.
func listed(t *testing.T, r *registrytest.Registry, ref reference.Reference, subject string) []string {
	t.Helper()
	raw := r.Content(t, ref, "manifests/"+fallback(subject))
	if raw == nil {
		return nil
	}
	var index struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, m := range index.Manifests {
		digests = append(digests, m.Digest)
	}
	return digests
}

// kept is the reference of the copy's kept tag.
func (o *original) kept(to reference.Reference) reference.Reference {
	return to.WithTag(registry.KeptTag(o.ref.Tag, o.digest))
}

func (o *original) copy(client *registry.Client, to reference.Reference) (registry.Copied, error) {
	return client.Copy(o.t.Context(), o.ref, o.digest, to, anonymous, anonymous)
}
