// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"fmt"
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

const (
	// conditionLength bounds what is repeated of Tekton's own message: a longer
	// one, or one of several lines, may be a log.
	conditionLength = 300
	// messageLength bounds a run's message, as the API does.
	messageLength = 1024
	// namedTasks bounds how many tasks a message names.
	namedTasks = 5
)

// Observe tells what became of a run. results name the results that tell what was
// pushed; nil stands for the defaults. The digest and the URL are what the run
// reported, whether it succeeded or not: only plan says what may be used.
//
// A run whose annotations are damaged has the number 0.
func Observe(run *pipelinev1.PipelineRun, results *v1alpha1.BuildResults) plan.Run {
	observed := plan.Run{
		Build:   buildOf(run.Name, run.Annotations),
		Created: run.CreationTimestamp.Time,
	}
	digestResult, urlResult := resultNames(results)
	if digest := resultOf(run, digestResult); digestPattern.MatchString(digest) {
		observed.Digest = v1alpha1.Digest(digest)
	}
	observed.URL = resultOf(run, urlResult)
	// Tekton's one condition; False and True end a run (docs/pipelineruns.md,
	// "Monitoring execution status").
	condition := run.Status.GetCondition("Succeeded")
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
		observed.Message = failureMessage(run, condition.Reason, condition.Message)
	}
	return observed
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

// failureMessage is Tekton's reason, its message where that is short, the task,
// and the command that shows the rest. It never holds a line of a log.
func failureMessage(run *pipelinev1.PipelineRun, reason, message string) string {
	var b strings.Builder
	b.WriteString(oneLine(reason, conditionLength))
	message = strings.TrimSpace(message)
	if message != "" && len(message) <= conditionLength && !strings.ContainsAny(message, "\n\r") {
		b.WriteString(": " + strings.TrimRight(message, "."))
	}
	b.WriteString(failedTasks(run))
	b.WriteString("; see: " + logCommand(run))
	return oneLine(b.String(), messageLength)
}

// failedTasks names the task that failed where there was only one, and else those
// among which it is: the run's status does not tell more. Tasks under finally run
// in any case, and are left out.
func failedTasks(run *pipelinev1.PipelineRun) string {
	var finally []pipelinev1.PipelineTask
	if run.Status.PipelineSpec != nil {
		finally = run.Status.PipelineSpec.Finally
	}
	var names []string
	for i := range run.Status.ChildReferences {
		name := run.Status.ChildReferences[i].PipelineTaskName
		isFinally := slices.ContainsFunc(finally, func(t pipelinev1.PipelineTask) bool { return t.Name == name })
		if name != "" && !isFinally && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 1:
		return "; failed task: " + names[0]
	case len(names) > 1 && len(names) <= namedTasks:
		return "; failed among the tasks " + strings.Join(names, ", ")
	}
	return ""
}

// logCommand shows the logs, or the run's own state where it came to no task.
func logCommand(run *pipelinev1.PipelineRun) string {
	if len(run.Status.ChildReferences) == 0 {
		return fmt.Sprintf("kubectl describe -n %s pipelineruns.tekton.dev %s", run.Namespace, run.Name)
	}
	return fmt.Sprintf("kubectl logs -n %s -l tekton.dev/pipelineRun=%s --all-containers", run.Namespace, run.Name)
}
