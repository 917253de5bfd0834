// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"slices"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// The default names of results: the type hints of Tekton Chains (tektoncd/chains,
// docs/slsa-provenance.md).
const (
	defaultDigestResult = "IMAGE_DIGEST"
	defaultURLResult    = "IMAGE_URL"
)

// succeeded is Tekton's one condition; False and True end a run and a task
// (docs/pipelineruns.md, "Monitoring execution status").
const succeeded = "Succeeded"

// invalidReasons are those with which Tekton gives up a run that it cannot carry out as it
// is written (pkg/apis/pipeline/v1, PipelineRunReason*): trying the same again gives the
// same answer. CreateRunFailed is not among them, since a quota or a webhook may be the
// cause of it.
var invalidReasons = []string{
	string(pipelinev1.PipelineRunReasonCouldntGetPipeline),
	string(pipelinev1.PipelineRunReasonCouldntGetTask),
	string(pipelinev1.PipelineRunReasonInvalidBindings),
	string(pipelinev1.PipelineRunReasonInvalidWorkspaceBinding),
	string(pipelinev1.PipelineRunReasonInvalidTaskRunSpec),
	string(pipelinev1.PipelineRunReasonParameterTypeMismatch),
	string(pipelinev1.PipelineRunReasonObjectParameterMissKeys),
	string(pipelinev1.PipelineRunReasonParamArrayIndexingInvalid),
	string(pipelinev1.PipelineRunReasonParameterMissing),
	string(pipelinev1.PipelineRunReasonFailedValidation),
	string(pipelinev1.PipelineRunReasonInvalidGraph),
	string(pipelinev1.PipelineRunReasonInvalidMatrixParameterTypes),
	string(pipelinev1.PipelineRunReasonInvalidTaskResultReference),
	string(pipelinev1.PipelineRunReasonInvalidPipelineResultReference),
	string(pipelinev1.PipelineRunReasonRequiredWorkspaceMarkedOptional),
	string(pipelinev1.PipelineRunReasonResourceVerificationFailed),
	string(pipelinev1.PipelineRunReasonInvalidParamValue),
}

// Observe tells what became of a run. results name the results that tell what was
// pushed; nil stands for the defaults. The digest and the URL are what the run
// reported, whether it succeeded or not: only plan says what may be used.
//
// A run whose annotations are damaged has the number 0.
func Observe(run *pipelinev1.PipelineRun, results *v1alpha1.BuildResults) plan.Run {
	observed := plan.Run{
		Build:   buildOf(run.Name, run.Annotations),
		Created: run.CreationTimestamp.Time, Deleting: run.DeletionTimestamp != nil,
	}
	digestResult, urlResult := resultNames(results)
	if digest := resultOf(run, digestResult); digestPattern.MatchString(digest) {
		observed.Digest = v1alpha1.Digest(digest)
	}
	observed.URL = resultOf(run, urlResult)
	condition := run.Status.GetCondition(succeeded)
	observed.Started = condition != nil || run.Status.StartTime != nil
	if condition == nil || condition.Status == corev1.ConditionUnknown || condition.Status == "" {
		return observed
	}
	observed.Done = true
	observed.Succeeded = condition.Status == corev1.ConditionTrue
	observed.Finished = condition.LastTransitionTime.Inner.Time
	if run.Status.CompletionTime != nil {
		observed.Finished = run.Status.CompletionTime.Time
	}
	if !observed.Succeeded {
		observed.Cancelled = stopped(run)
		observed.Invalid = !observed.Cancelled && slices.Contains(invalidReasons, condition.Reason)
		observed.Message = failureMessage(run, failedTasks(run), logCommand(run))
	}
	return observed
}

// stopped is true where a person asked for an end: Tekton itself never writes
// spec.status, not even when the time is up.
func stopped(run *pipelinev1.PipelineRun) bool {
	switch run.Spec.Status {
	case pipelinev1.PipelineRunSpecStatusCancelled,
		pipelinev1.PipelineRunSpecStatusCancelledRunFinally,
		pipelinev1.PipelineRunSpecStatusStoppedRunFinally:
		return true
	}
	return false
}

func resultNames(results *v1alpha1.BuildResults) (digest, url string) {
	digest, url = defaultDigestResult, defaultURLResult
	if results != nil && results.Digest != "" {
		digest = results.Digest
	}
	if results != nil && results.URL != "" {
		url = results.URL
	}
	return digest, url
}

// resultOf is a result of type string without the whitespace around it: tasks
// often write a newline behind it. Results of other types are empty.
func resultOf(run *pipelinev1.PipelineRun, name string) string {
	for i := range run.Status.Results {
		if run.Status.Results[i].Name == name {
			return strings.TrimSpace(run.Status.Results[i].Value.StringVal)
		}
	}
	return ""
}
