// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageLineage is one moving image reference and what it descends from.
//
// Without from it is followed: its tag is polled, and whatever appears there is
// what children and workloads get. With from and build it is produced: rebuilt
// whenever a parent moves. With from alone it is tracked: somebody else builds
// it, and the lineage reports when it is outdated.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=iml,categories=lineage
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.status.role`,description="Position in the graph: Base, Intermediary, Application or Service"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Reason of the Ready condition"
// +kubebuilder:printcolumn:name="Digest",type=string,JSONPath=`.status.current.short`,description="Current digest, shortened"
// +kubebuilder:printcolumn:name="Behind",type=date,JSONPath=`.status.outdatedSince`,description="How long a base has been ahead of this image"
// +kubebuilder:printcolumn:name="Workloads",type=string,JSONPath=`.status.rollout.summary`,description="Workloads that run the current image, of all that run this lineage"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Image",type=string,priority=1,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Parents",type=string,priority=1,JSONPath=`.status.parents`
// +kubebuilder:printcolumn:name="Run",type=string,priority=1,JSONPath=`.status.run.name`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +operator-sdk:csv:customresourcedefinitions:displayName="Image Lineage",resources={{PipelineRun,v1,""},{Deployment,v1,""},{StatefulSet,v1,""},{DaemonSet,v1,""}}
type ImageLineage struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user declares.
	//
	// +required
	Spec ImageLineageSpec `json:"spec"`

	// status is what the operator observed and did.
	//
	// +optional
	Status ImageLineageStatus `json:"status,omitempty"`
}

// ImageLineageList is a list of ImageLineage objects.
//
// +kubebuilder:object:root=true
type ImageLineageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ImageLineage `json:"items"`
}

// ImageLineageSpec declares one moving reference.
//
// +kubebuilder:validation:XValidation:rule="!has(self.build) || has(self.from)",message="build without from: name at least one parent in spec.from, or remove spec.build to only follow the image"
// +kubebuilder:validation:XValidation:rule="has(self.tags) || self.image.matches('^[^@]*[^/:@]:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="spec.image must name a tag: write repository:tag, or say in spec.tags which tags count"
// +kubebuilder:validation:XValidation:rule="!has(self.tags) || !self.image.matches('[^/:@]:[^/]*$')",message="spec.tags chooses the tag: write spec.image without one"
// +kubebuilder:validation:XValidation:rule="!has(self.tags) || !has(self.build)",message="spec.tags is for images that somebody else builds: remove it, or spec.build"
// +kubebuilder:validation:XValidation:rule="!has(self.mirror) || !has(self.from)",message="spec.mirror is for images that are followed: remove it, or spec.from"
// +kubebuilder:validation:XValidation:rule="!has(self.mirror) || self.image != self.mirror.image && !self.image.startsWith(self.mirror.image + ':')",message="spec.mirror.image is the repository of spec.image: name another one to copy to"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || !has(self.rollout.useMirror) || !self.rollout.useMirror || has(self.mirror)",message="rollout.useMirror needs spec.mirror"
// +kubebuilder:validation:XValidation:rule="!has(self.poll) || !has(self.poll.minAge) || !has(self.from)",message="poll.minAge is for images that are followed: remove it, or spec.from"
type ImageLineageSpec struct {
	// image is the reference that moves: repository:tag, or with spec.tags the
	// repository alone. It cannot be changed; another image is another lineage.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.image is immutable: create another ImageLineage for another image"
	// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="spec.image must be a tag that moves, repository:tag, not a digest"
	// +operator-sdk:csv:customresourcedefinitions:type=spec,displayName="Image"
	Image ImageReference `json:"image"`

	// tags choose the tag that is followed or tracked, in place of one in image: the
	// highest of those that count. A workload that runs any of them is one of the
	// lineage's, and moves to the highest; never to a lower one.
	//
	// +optional
	Tags *TagPolicy `json:"tags,omitempty"`

	// poll says how often the registry is asked what the tag shows.
	//
	// +optional
	Poll *Poll `json:"poll,omitempty"`

	// mirror has each digest that is taken copied into a repository of your own, with
	// all of its platforms and its signatures, before it is current. Children are
	// built on the copy, so that nothing that happens to the original breaks a build.
	//
	// +optional
	Mirror *Mirror `json:"mirror,omitempty"`

	// pullSecrets are credentials for reading the image and its implicit
	// parents. Without any, registries are read anonymously.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	PullSecrets []SecretReference `json:"pullSecrets,omitempty"`

	// serviceAccountName is a ServiceAccount of the lineage's namespace whose
	// imagePullSecrets are used after pullSecrets, as pods of it would use them.
	//
	// +optional
	ServiceAccountName ObjectName `json:"serviceAccountName,omitempty"`

	// allowedChildren says which lineages may name this one in their from.
	// By default only those of the same namespace.
	//
	// +optional
	AllowedChildren *AllowedChildren `json:"allowedChildren,omitempty"`

	// from names the parents: the images that this one is built on.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.size() < 2 || self.all(p, has(p.as))",message="with two or more parents each needs as: Base (the final stage's) or Builder"
	// +kubebuilder:validation:XValidation:rule="self.filter(p, has(p.as) && p.as == 'Base').size() <= 1",message="at most one parent can be as: Base, the one of the final stage"
	// +operator-sdk:csv:customresourcedefinitions:type=spec,displayName="Parents"
	From []Parent `json:"from,omitempty"`

	// build says how the image is built. Without it the lineage never builds.
	//
	// +optional
	// +operator-sdk:csv:customresourcedefinitions:type=spec,displayName="Build"
	Build *Build `json:"build,omitempty"`

	// rollout says whether workloads of this namespace that run the image are
	// moved to its current digest. Without it they are only counted.
	//
	// +optional
	// +operator-sdk:csv:customresourcedefinitions:type=spec,displayName="Rollout"
	Rollout *Rollout `json:"rollout,omitempty"`

	// suspend stops new builds, publishes and rollouts. Observation goes on, and
	// a run in flight ends unpublished until the lineage is resumed.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// TagPolicy says which tags of a repository count, and which of them is higher.
//
// +kubebuilder:validation:XValidation:rule="has(self.semver) || has(self.pattern)",message="spec.tags needs semver, pattern, or both"
// +kubebuilder:validation:XValidation:rule="!has(self.pattern) || has(self.semver) || has(self.order)",message="spec.tags.order is needed with a pattern: SemVer, Numerical or Alphabetical"
// +kubebuilder:validation:XValidation:rule="!has(self.semver) || !has(self.order) || self.order == 'SemVer'",message="spec.tags.semver has an order of its own: remove spec.tags.order"
type TagPolicy struct {
	// semver is a range of versions, as in >=15.2 <16, ~15.4 or 15.x. Tags that are
	// no semantic version do not count, and versions with a pre-release only where
	// the range names one. A leading v, and missing minor and patch numbers, are
	// understood.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	SemVer string `json:"semver,omitempty"`

	// pattern is a regular expression (RE2) that the whole tag has to match. What its
	// first group captures is compared, or else the whole tag.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Pattern string `json:"pattern,omitempty"`

	// order of what is compared: SemVer, Numerical (a decimal number of any length)
	// or Alphabetical. What does not fit the order does not count.
	//
	// +optional
	Order TagOrder `json:"order,omitempty"`
}

// TagOrder says which of two tags is higher.
//
// +kubebuilder:validation:Enum=SemVer;Numerical;Alphabetical
type TagOrder string

// The orders of tags.
const (
	// TagsSemVer orders by semantic versioning.
	TagsSemVer TagOrder = "SemVer"
	// TagsNumerical orders by number: 9 before 10.
	TagsNumerical TagOrder = "Numerical"
	// TagsAlphabetical orders byte by byte: 10 before 9, and dates as people expect.
	TagsAlphabetical TagOrder = "Alphabetical"
)

// Poll says how often a tag is read, and what counts as a change.
//
// +kubebuilder:validation:XValidation:rule="!has(self.platforms) || has(self.changeOn) && self.changeOn != 'Index'",message="poll.platforms needs poll.changeOn: Platforms or Content; the digest of an index is that of all its platforms"
type Poll struct {
	// interval between two checks of the tag: at least 10s, by default 15m.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) >= duration('10s')",message="poll.interval must be at least 10s"
	Interval *Duration `json:"interval,omitempty"`

	// minAge is how long a new digest is left alone before it is taken, from when it
	// was first seen here: by default not at all. Of those that are old enough, the
	// newest that still exists is taken, so that an image that moves all the time
	// moves you as well. The annotation imagelineage.dev/approve: DIGEST takes one at
	// once.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) >= duration('1m')",message="poll.minAge must be at least 1m; remove it to take each digest at once"
	MinAge *Duration `json:"minAge,omitempty"`

	// changeOn is what counts as a change of the image, of which children are built
	// anew and workloads restarted: Index (the default) is any new digest, Platforms
	// one of the platforms' images, Content the layers of one of them, so that a
	// label or a timestamp moves nothing. A new digest without such a change is
	// taken on for the builds to come. It counts for spec.image, and for the parents
	// that are named as image.
	//
	// +optional
	ChangeOn IdentityKind `json:"changeOn,omitempty"`

	// platforms that count with changeOn: Platforms and Content, as os/architecture
	// or os/architecture/variant: by default all. Attestations never count.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Platforms []Platform `json:"platforms,omitempty"`
}

// Mirror says where copies of an image are kept.
type Mirror struct {
	// image is the repository to copy to, without a tag: each digest is kept under a
	// tag of its own, TAG-DIGEST, and nothing there is ever deleted.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.matches('[^/:@]:[^/]*$') && !self.contains('@')",message="mirror.image must be a repository without a tag or digest: each digest is kept under a tag of its own"
	Image ImageReference `json:"image"`

	// pushSecrets are credentials for writing there. By default the pullSecrets.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	PushSecrets []SecretReference `json:"pushSecrets,omitempty"`
}

// AllowedChildren says which lineages may be built on this one.
type AllowedChildren struct {
	// namespaces whose lineages may name this one as a parent.
	//
	// +required
	Namespaces AllowedNamespaces `json:"namespaces"`
}

// AllowedNamespaces selects namespaces, as Gateway API's allowedRoutes does.
//
// +kubebuilder:validation:XValidation:rule="(self.from == 'Selector') == has(self.selector)",message="selector is needed with from: Selector, and allowed with nothing else"
type AllowedNamespaces struct {
	// from is Same (only the lineage's own namespace), All, or Selector.
	//
	// +required
	From NamespacesFrom `json:"from"`

	// selector matches the labels of the namespaces that are allowed.
	//
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// NamespacesFrom is the way in which namespaces are selected.
//
// +kubebuilder:validation:Enum=Same;All;Selector
type NamespacesFrom string

// The ways of selecting namespaces.
const (
	// NamespacesSame allows the lineage's own namespace.
	NamespacesSame NamespacesFrom = "Same"
	// NamespacesAll allows every namespace.
	NamespacesAll NamespacesFrom = "All"
	// NamespacesSelector allows the namespaces that a label selector matches.
	NamespacesSelector NamespacesFrom = "Selector"
)

// ParentUse says for what an image is used in a build.
//
// +kubebuilder:validation:Enum=Base;Builder
type ParentUse string

// The uses of a parent.
const (
	// ParentBase is the image of the final stage: its layers are in the result.
	ParentBase ParentUse = "Base"
	// ParentBuilder is the image of an earlier stage: it makes what is copied.
	ParentBuilder ParentUse = "Builder"
)

// Parent is an image that the lineage's image is built on.
//
// +kubebuilder:validation:XValidation:rule="has(self.lineageRef) != has(self.image)",message="a parent is either a lineageRef or an image: set exactly one of them"
type Parent struct {
	// name of the parent within this lineage; the template's variables use it,
	// as in $(lineage.from.base.reference).
	//
	// +required
	Name ParentName `json:"name"`

	// as says what the image is used for: Base is the final stage's, Builder an
	// earlier stage's. A single parent is the Base unless said otherwise.
	//
	// +optional
	As ParentUse `json:"as,omitempty"`

	// lineageRef names another ImageLineage, which must allow this namespace.
	//
	// +optional
	LineageRef *LineageReference `json:"lineageRef,omitempty"`

	// image is followed without an object of its own, at this lineage's interval
	// and with its pullSecrets and serviceAccountName.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="a parent's image must be a tag that moves, repository:tag, not a digest"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@]*[^/:@]:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="a parent's image must name a tag: write repository:tag"
	Image ImageReference `json:"image,omitempty"`
}

// LineageReference names an ImageLineage.
type LineageReference struct {
	// name of the lineage.
	//
	// +required
	Name ObjectName `json:"name"`

	// namespace of the lineage; by default the namespace of the one that refers.
	//
	// +optional
	Namespace NamespaceName `json:"namespace,omitempty"`
}

// Rollout says what happens to workloads that run the image.
type Rollout struct {
	// mode is Patch (move the workloads of this namespace to the current digest)
	// or None (count and report them only).
	//
	// +required
	Mode RolloutMode `json:"mode"`

	// useMirror has workloads pull from spec.mirror. Without it each keeps the
	// repository that it names, the original or the mirror. One that names the plain
	// tag, and whose pods run the current image, is moved with the next digest.
	//
	// +optional
	UseMirror bool `json:"useMirror,omitempty"`
}

// RolloutMode says whether workloads are moved.
//
// +kubebuilder:validation:Enum=Patch;None
type RolloutMode string

// The modes of a rollout.
const (
	// RolloutPatch writes repository:tag@digest into the workload's containers.
	RolloutPatch RolloutMode = "Patch"
	// RolloutNone writes nothing.
	RolloutNone RolloutMode = "None"
)
