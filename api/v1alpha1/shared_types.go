// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

// ImageReference names an image as users write it: a repository with a tag,
// such as registry.example.com/team/app:stable. The short forms of Docker Hub
// are understood: debian:12 is docker.io/library/debian:12.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=384
type ImageReference string

// Digest is the content address of a manifest or index, algorithm:hex.
//
// +kubebuilder:validation:MaxLength=140
// +kubebuilder:validation:Pattern=`^[a-z0-9]+:[0-9a-f]{32,128}$`
type Digest string

// Duration is a span of time as in 90s, 15m or 1h30m (Gateway API, GEP-2257).
//
// +kubebuilder:validation:MaxLength=24
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
type Duration string

// ObjectName is the name of a Kubernetes object.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
type ObjectName string

// NamespaceName is the name of a namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type NamespaceName string

// ParentName names an entry of spec.from. It is a word of the template's
// variables, $(lineage.from.NAME.reference), and so kept short and plain.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type ParentName string

// SecretReference names a Secret in the lineage's namespace.
type SecretReference struct {
	// name of the Secret, of type kubernetes.io/dockerconfigjson or
	// kubernetes.io/dockercfg.
	//
	// +required
	Name ObjectName `json:"name"`
}

// Platform is what an image runs on, as os/architecture or
// os/architecture/variant: linux/amd64, linux/arm/v7.
//
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^[a-z0-9_]+/[a-z0-9_]+(/[a-z0-9_.]+)?$`
type Platform string

// IdentityKind says what an identity is made of; only identities of one kind
// are compared.
//
// +kubebuilder:validation:Enum=Index;Platforms;Content
type IdentityKind string

// The kinds of identities.
const (
	// IdentityIndex is the digest of the manifest or index behind the tag.
	IdentityIndex IdentityKind = "Index"
	// IdentityPlatforms is the digests of the platforms' manifests in an index.
	IdentityPlatforms IdentityKind = "Platforms"
	// IdentityContent is the layers of the platforms' images, uncompressed.
	IdentityContent IdentityKind = "Content"
)

// Identity is what counts as a change of an image: two revisions with equal
// identities hold the same content, whatever their digests.
type Identity struct {
	// kind of the identity.
	//
	// +required
	Kind IdentityKind `json:"kind"`

	// value is compared for equality, and means nothing else.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=140
	Value string `json:"value"`
}
