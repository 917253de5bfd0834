// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

// Annotations that a person writes on an ImageLineage. Each holds an opaque
// token; a token that differs from its echo in status.handled is a request.
const (
	// CheckAnnotation asks for a check of the registry now.
	CheckAnnotation = "imagelineage.dev/check"
	// RebuildAnnotation asks for a build even where nothing is outdated, or
	// where the source of the current image is not known. With urgent:REASON it does
	// not wait for spec.build.windows.
	RebuildAnnotation = "imagelineage.dev/rebuild"
	// ApproveAnnotation holds a digest of status.candidates that is taken at once,
	// however young it is; or, with spec.build.approval, the key of the build that may
	// begin.
	ApproveAnnotation = "imagelineage.dev/approve"
)

// Labels and annotations that the operator writes on the PipelineRuns it creates.
// A run carries all that is needed to finish it after a restart.
const (
	// LineageLabel is the name of the lineage that a run builds.
	LineageLabel = "imagelineage.dev/lineage"
	// LineageUIDLabel is the UID of that lineage: runs are found by it, so that
	// a lineage recreated under the same name does not inherit old runs.
	LineageUIDLabel = "imagelineage.dev/lineage-uid"
	// NumberAnnotation is the number of the revision that the run would make.
	NumberAnnotation = "imagelineage.dev/number"
	// AttemptAnnotation counts the runs for one number, from 1.
	AttemptAnnotation = "imagelineage.dev/attempt"
	// InputsAnnotation is the hash of everything that the run is made of.
	InputsAnnotation = "imagelineage.dev/inputs"
	// OutputAnnotation is the revision tag that the run pushes to.
	OutputAnnotation = "imagelineage.dev/output"
	// ExpectedAnnotation is what the lineage's tag showed when the run was
	// decided, a digest or ExpectedAbsent: it is published over nothing else.
	ExpectedAnnotation = "imagelineage.dev/expected"
	// BuiltFromAnnotation is the JSON of the parents that the run is pinned to.
	BuiltFromAnnotation = "imagelineage.dev/built-from"
	// RootsAnnotation is the JSON of the roots that those parents stem from.
	RootsAnnotation = "imagelineage.dev/roots"
	// ReasonsAnnotation lists why the run was created, the headline first.
	ReasonsAnnotation = "imagelineage.dev/reasons"
	// TemplateAnnotation is the hash of the template as written.
	TemplateAnnotation = "imagelineage.dev/template"
	// RequestAnnotation is the rebuild token that the run answers.
	RequestAnnotation = "imagelineage.dev/request"
)

// ExpectedAbsent is the value of ExpectedAnnotation where the tag did not exist.
const ExpectedAbsent = "absent"

// RolloutAnnotation is written on a workload with the patch that changes its
// images. It is a JSON object by container name and remembers from which digest
// to which, for which lineage and revision, and whether the workload was healthy.
const RolloutAnnotation = "imagelineage.dev/rollout"

// Field managers, so that managedFields tell what the operator wrote.
const (
	// FieldManager writes the status of lineages and creates runs.
	FieldManager = "imagelineage"
	// RolloutFieldManager writes the images of workloads.
	RolloutFieldManager = "imagelineage-rollout"
)
