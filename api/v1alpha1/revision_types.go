// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Origin says how a revision came about.
//
// +kubebuilder:validation:Enum=Followed;Built;Adopted;RolledBack
type Origin string

// The origins of a revision.
const (
	// OriginFollowed is a digest that appeared on a followed or tracked tag.
	OriginFollowed Origin = "Followed"
	// OriginBuilt is a digest that one of the lineage's own runs made.
	OriginBuilt Origin = "Built"
	// OriginAdopted is a digest that somebody else pushed to a produced tag.
	OriginAdopted Origin = "Adopted"
	// OriginRolledBack is an older digest that a person put back under the tag.
	OriginRolledBack Origin = "RolledBack"
)

// Revision is one numbered entry of a lineage's history.
type Revision struct {
	// revision number, rising; a digest may have more than one.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision"`

	// digest of the image.
	//
	// +required
	Digest Digest `json:"digest"`

	// tag that showed the digest, where spec.tags chooses.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// identities by kind: what counts as a change.
	//
	// +optional
	// +listType=map
	// +listMapKey=kind
	Identities []Identity `json:"identities,omitempty"`

	// reference is what a kubelet can pull: repository@digest.
	//
	// +required
	// +kubebuilder:validation:MaxLength=512
	Reference string `json:"reference"`

	// mirror is the copy in spec.mirror, as repository:tag@digest.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=640
	Mirror string `json:"mirror,omitempty"`

	// origin says how the revision came about.
	//
	// +required
	Origin Origin `json:"origin"`

	// accepted is when the revision became current.
	//
	// +required
	Accepted metav1.MicroTime `json:"accepted"`

	// builtFrom is what the image was made of, where that is proven.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	BuiltFrom []BuiltFrom `json:"builtFrom,omitempty"`

	// roots are the followed references at the top of the ancestry, as the image
	// contains them.
	//
	// +optional
	// +listType=map
	// +listMapKey=reference
	Roots []Root `json:"roots,omitempty"`

	// template is the hash of the build template that made the image.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Template string `json:"template,omitempty"`

	// inputs is the hash of everything that the image was made of.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Inputs string `json:"inputs,omitempty"`

	// reasons why the image was built, the headline first.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Reasons []string `json:"reasons,omitempty"`

	// run is the name of the PipelineRun that built the image.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run,omitempty"`

	// rolledBackFrom is the revision that a person left when the tag was put
	// back to an older digest.
	//
	// +optional
	RolledBackFrom int64 `json:"rolledBackFrom,omitempty"`
}

// CurrentRevision is the accepted revision.
type CurrentRevision struct {
	Revision `json:",inline"`

	// short is the digest as people read it: the first twelve characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=12
	Short string `json:"short"`
}

// BuiltFrom is one parent as an image contains it.
type BuiltFrom struct {
	// name of the parent in spec.from.
	//
	// +required
	Name ParentName `json:"name"`

	// reference is the parent's canonical repository:tag.
	//
	// +required
	// +kubebuilder:validation:MaxLength=384
	Reference string `json:"reference"`

	// mirror is the copy that the build was pinned to, as repository:tag@digest, where
	// the parent has one.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=640
	Mirror string `json:"mirror,omitempty"`

	// digest that the build was pinned to.
	//
	// +required
	Digest Digest `json:"digest"`

	// identities of that digest.
	//
	// +optional
	// +listType=map
	// +listMapKey=kind
	Identities []Identity `json:"identities,omitempty"`
}

// Root is a followed reference at the top of an ancestry.
type Root struct {
	// reference of the root, canonical.
	//
	// +required
	// +kubebuilder:validation:MaxLength=384
	Reference string `json:"reference"`

	// digest of the root that is contained.
	//
	// +required
	Digest Digest `json:"digest"`

	// revision is the number of that digest in the root's own lineage; 0 for an
	// implicit parent, which has no object.
	//
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// accepted is when the root's digest was accepted. Roots are ordered by it.
	//
	// +required
	Accepted metav1.MicroTime `json:"accepted"`
}
