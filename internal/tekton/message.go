// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"fmt"
	"slices"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

const (
	// conditionLength bounds what is repeated of Tekton's own message: a longer
	// one, or one of several lines, may be a log.
	conditionLength = 300
	// causeLength bounds what stands before the command, which is worth nothing
	// when it is cut: names of Kubernetes let it be some 420 bytes long.
	causeLength = 600
	// messageLength bounds a run's message, as the API does.
	messageLength = 1024
	// namedTasks bounds how many tasks a message names.
	namedTasks = 5
)

// failureMessage is Tekton's reason, its message where that is short, what failed,
// which may be empty, and the command that shows the rest. It never holds a line
// of a log.
func failureMessage(run *pipelinev1.PipelineRun, failed, command string) string {
	var parts []string
	if condition := run.Status.GetCondition(succeeded); condition != nil {
		head := oneLine(condition.Reason, conditionLength)
		message := strings.TrimSpace(condition.Message)
		if message != "" && len(message) <= conditionLength && !strings.ContainsAny(message, "\n\r") {
			head += ": " + strings.TrimRight(message, ".")
		}
		parts = append(parts, head)
	}
	if failed != "" {
		parts = append(parts, failed)
	}
	return oneLine(oneLine(strings.Join(parts, "; "), causeLength)+"; see: "+command, messageLength)
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
		return "failed task: " + names[0]
	case len(names) > 1 && len(names) <= namedTasks:
		return "failed among the tasks " + strings.Join(names, ", ")
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
