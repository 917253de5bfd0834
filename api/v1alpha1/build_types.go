// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// Build says how an image is built.
type Build struct {
	// pipelineRun is the template of the Tekton PipelineRun that builds the image
	// and pushes it to $(lineage.output).
	//
	// +required
	PipelineRun PipelineRunTemplate `json:"pipelineRun"`

	// results name the run's results that tell what was pushed.
	//
	// +optional
	Results *BuildResults `json:"results,omitempty"`

	// pushSecrets are credentials for putting the built image under the tag.
	// By default those for reading: pullSecrets and serviceAccountName. The run
	// itself pushes with the credentials of its own service account.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	PushSecrets []SecretReference `json:"pushSecrets,omitempty"`

	// retryLimit is how often a build that failed is tried again with the same
	// inputs: by default 3 times, after 1, 2 and 4 minutes, and further ones after
	// 8, 16 and 32 each. Then it needs other inputs, or a person.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	RetryLimit *int32 `json:"retryLimit,omitempty"`

	// rebuildEvery has the image built anew although nothing has moved, so that what is
	// installed into it does not get old: at least 1h, by default never. It counts from
	// the last success, whatever that was built for, and begins up to a tenth earlier, at
	// a time of the lineage's own. $(lineage.noCache) is true for these builds. One that
	// makes the same layers again is not published.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) >= duration('1h')",message="build.rebuildEvery must be at least 1h; remove it to build only when something has changed"
	RebuildEvery *Duration `json:"rebuildEvery,omitempty"`

	// runHistory is how many ended PipelineRuns are kept, the newest: by default 5.
	// Older ones are deleted once what they did is in the status.
	//
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=50
	RunHistory *int32 `json:"runHistory,omitempty"`

	// windows are when a build may begin: while any of them is open, by default at any
	// time. One that has begun goes on, and is published, when its window closes. The
	// annotation imagelineage.dev/rebuild: urgent:REASON waits for none.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Windows []BuildWindow `json:"windows,omitempty"`

	// approval is Required where a person has to approve each build before it begins,
	// by the annotation imagelineage.dev/approve with the key that the Ready condition
	// tells. By default builds need none.
	//
	// +optional
	Approval BuildApproval `json:"approval,omitempty"`
}

// PipelineRunTemplate is a PipelineRun without its name. The cluster's own Tekton
// decides what is valid in it.
type PipelineRunTemplate struct {
	// metadata holds labels and annotations for the run.
	//
	// +optional
	Metadata *TemplateMetadata `json:"metadata,omitempty"`

	// spec of the run, with pipelineRef or pipelineSpec. In the strings of params
	// these variables are replaced: $(lineage.image), $(lineage.repository),
	// $(lineage.tag), $(lineage.output), $(lineage.reasons), $(lineage.noCache) and
	// $(lineage.from.NAME.reference), .digest and .repository.
	//
	// +required
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Spec runtime.RawExtension `json:"spec"`
}

// TemplateMetadata is the metadata that a template may set.
type TemplateMetadata struct {
	// labels of the run. Those of imagelineage.dev belong to the operator.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('imagelineage.dev/'))",message="labels of imagelineage.dev are set by the operator"
	Labels map[string]string `json:"labels,omitempty"`

	// annotations of the run. Those of imagelineage.dev belong to the operator.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('imagelineage.dev/'))",message="annotations of imagelineage.dev are set by the operator"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// BuildResults name a run's results. The defaults are Tekton Chains' type hints.
type BuildResults struct {
	// digest is the result that holds the digest of the pushed image; by default
	// IMAGE_DIGEST.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`

	// url is the result that holds the reference that was pushed; by default
	// IMAGE_URL.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	URL string `json:"url,omitempty"`
}

// BuildApproval says whether builds need a person's approval.
//
// +kubebuilder:validation:Enum=Required
type BuildApproval string

// ApprovalRequired has each build wait for a person's approval.
const ApprovalRequired BuildApproval = "Required"

// BuildWindow is a time that comes again and again.
type BuildWindow struct {
	// schedule is when the window opens, as a cron schedule of five fields: minute,
	// hour, day of the month, month and day of the week.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Schedule string `json:"schedule"`

	// duration is how long it stays open; at least 1m.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) >= duration('1m')",message="build.windows[].duration must be at least 1m"
	Duration Duration `json:"duration"`

	// timeZone by whose clock the schedule is read, as the IANA database names it
	// (Europe/Berlin); by default UTC. Where that clock is put forward past an opening,
	// the window opens at that moment.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}
