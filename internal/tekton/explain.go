// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
)

// Why a step ended, in the words of the kubelet (oomKilled) and of Tekton
// (pkg/pod/pod.go, TerminationReason*).
const (
	oomKilled       = "OOMKilled"
	timeoutExceeded = "TimeoutExceeded"
	skipped         = "Skipped"
	continued       = "Continued"
)

// reasonLength bounds Tekton's reason of a task, which is one word.
const reasonLength = 100

// podsDeleted are the reasons with which Tekton deletes the pod of a task: no log
// is left, and the TaskRun tells more (pkg/reconciler/taskrun, failTaskRun).
var podsDeleted = []string{
	string(pipelinev1.TaskRunReasonCancelled),
	string(pipelinev1.TaskRunReasonTimedOut),
	string(pipelinev1.TaskRunReasonImagePullFailed),
	string(pipelinev1.TaskRunReasonCreateContainerConfigError),
	string(pipelinev1.TaskRunReasonPodCreationFailed),
	string(pipelinev1.TaskRunReasonResultLargerThanAllowedLimit),
}

// saidByStep are the reasons that say no more than the failed step does.
var saidByStep = []string{
	"",
	string(pipelinev1.TaskRunReasonFailed),
	string(pipelinev1.TaskRunReasonStepFailed),
	string(pipelinev1.TaskRunReasonStepOOM),
}

// Explain makes the message of a failed run name the task and the step that
// failed, and how. Of other runs nothing is asked. Where the run or its tasks are
// gone, or may not be read, the message stays as it is.
//
// reader should ask the API server: a cache would watch every TaskRun there is.
func Explain(ctx context.Context, reader client.Reader, namespace string, run *plan.Run) error {
	if !run.Done || run.Succeeded {
		return nil
	}
	found := &pipelinev1.PipelineRun{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: run.Name}, found)
	if unreadable(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get PipelineRun %s/%s: %w", namespace, run.Name, err)
	}
	// Another run may have taken the name since.
	condition := found.Status.GetCondition(succeeded)
	if condition == nil || condition.Status != corev1.ConditionFalse {
		return nil
	}
	var tasks pipelinev1.TaskRunList
	err = reader.List(ctx, &tasks, client.InNamespace(namespace),
		client.MatchingLabels{pipeline.PipelineRunLabelKey: run.Name})
	if unreadable(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list TaskRuns of PipelineRun %s/%s: %w", namespace, run.Name, err)
	}
	if failed := failedTaskRuns(found, tasks.Items); len(failed) > 0 {
		first := failed[0]
		step := failedStep(first)
		text := describe(first, step)
		if others := len(failed) - 1; others > 0 {
			text += fmt.Sprintf("; other failed tasks: %d", others)
		}
		run.Message = failureMessage(found, text, commandFor(found, first, step))
	}
	return nil
}

// unreadable errors leave a message less exact, and are nobody's to mend.
func unreadable(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || Missing(err)
}

// failedTaskRuns are those that the run failed by, the first to end first. Tasks
// that were cancelled are a consequence, and count only where nothing else failed.
// Anyone may set the label, so only what the run controls is its own.
func failedTaskRuns(run *pipelinev1.PipelineRun, tasks []pipelinev1.TaskRun) []*pipelinev1.TaskRun {
	var failed, cancelled []*pipelinev1.TaskRun
	for i := range tasks {
		task := &tasks[i]
		reason, ended := endedFor(task)
		if !ended || !metav1.IsControlledBy(task, run) || isIgnored(run, task) {
			continue
		}
		if reason == string(pipelinev1.TaskRunReasonCancelled) {
			cancelled = append(cancelled, task)
		} else {
			failed = append(failed, task)
		}
	}
	if len(failed) == 0 {
		failed = cancelled
	}
	slices.SortFunc(failed, func(a, b *pipelinev1.TaskRun) int {
		return cmp.Or(endOf(a).Compare(endOf(b)), strings.Compare(a.Name, b.Name))
	})
	return failed
}

// endedFor is the reason for which a task failed; false where it did not. Tekton ends a
// run that timed out or was cancelled a moment before its tasks, which are only marked
// until then.
func endedFor(task *pipelinev1.TaskRun) (reason string, ended bool) {
	condition := task.Status.GetCondition(succeeded)
	switch {
	case condition != nil && condition.Status == corev1.ConditionFalse:
		return condition.Reason, true
	case (condition == nil || condition.Status != corev1.ConditionTrue) && task.Spec.Status == pipelinev1.TaskRunSpecStatusCancelled:
		return string(pipelinev1.TaskRunReasonCancelled), true
	default:
		return "", false
	}
}

// reasonFor is the reason for which a task failed.
func reasonFor(task *pipelinev1.TaskRun) string {
	reason, _ := endedFor(task)
	return reason
}

// isIgnored is true where the pipeline says that the task may fail (onError).
func isIgnored(run *pipelinev1.PipelineRun, task *pipelinev1.TaskRun) bool {
	if reasonFor(task) == string(pipelinev1.TaskRunReasonFailureIgnored) {
		return true
	}
	return run.Status.PipelineSpec != nil &&
		slices.ContainsFunc(run.Status.PipelineSpec.Tasks, func(t pipelinev1.PipelineTask) bool {
			return t.Name == taskName(task) && t.OnError == pipelinev1.PipelineTaskContinue
		})
}

func endOf(task *pipelinev1.TaskRun) time.Time {
	if task.Status.CompletionTime != nil {
		return task.Status.CompletionTime.Time
	}
	if condition := task.Status.GetCondition(succeeded); condition != nil {
		return condition.LastTransitionTime.Inner.Time
	}
	return time.Time{}
}

// taskName is the name in the pipeline.
func taskName(task *pipelinev1.TaskRun) string {
	return cmp.Or(task.Labels[pipeline.PipelineTaskLabelKey], task.Name)
}

// failedStep is the step that a failed task failed in; nil where it was none. The
// status is that of the last attempt.
func failedStep(task *pipelinev1.TaskRun) *pipelinev1.StepState {
	reason := reasonFor(task)
	interrupted := reason == string(pipelinev1.TaskRunReasonTimedOut) || reason == string(pipelinev1.TaskRunReasonCancelled)
	for i := range task.Status.Steps {
		step := &task.Status.Steps[i]
		if step.Terminated == nil || isLeftOver(task, step) {
			continue
		}
		// The steps that Tekton itself ends together with a task get the task's
		// reason. The containers of a pod start together and wait for each other,
		// so the first of these is the one that was at work.
		byTekton := step.Terminated.Reason == reason
		if interrupted && byTekton || !interrupted && !byTekton && broke(step) {
			return step
		}
	}
	return nil
}

// broke is true for a step that fails its task: an exit code may be that of a step
// that may fail, or of one that never ran because of another. Being short of
// memory is always a failure.
func broke(step *pipelinev1.StepState) bool {
	if step.Terminated.Reason == oomKilled {
		return true
	}
	return step.Terminated.ExitCode != 0 && step.TerminationReason != continued && step.TerminationReason != skipped
}

// isLeftOver is true for a step of the attempt before: Tekton keeps it in the
// status until the new pod has containers.
func isLeftOver(task *pipelinev1.TaskRun, step *pipelinev1.StepState) bool {
	retries := task.Status.RetriesStatus
	if len(retries) == 0 {
		return false
	}
	return slices.ContainsFunc(retries[len(retries)-1].Steps, func(old pipelinev1.StepState) bool {
		return old.Name == step.Name && old.Terminated != nil &&
			old.Terminated.ContainerID == step.Terminated.ContainerID &&
			old.Terminated.FinishedAt.Equal(&step.Terminated.FinishedAt)
	})
}

// describe says which task failed, in which step, and how. The messages of the
// task and the step are left out: they may hold what the step printed.
func describe(task *pipelinev1.TaskRun, step *pipelinev1.StepState) string {
	text := "task " + taskName(task)
	if step != nil && len(validation.IsDNS1123Label(step.Name)) == 0 {
		text += ", step " + step.Name
	}
	return text + ": " + cause(task, step)
}

func cause(task *pipelinev1.TaskRun, step *pipelinev1.StepState) string {
	reason := oneLine(reasonFor(task), reasonLength)
	var text string
	switch {
	case reason == string(pipelinev1.TaskRunReasonTimedOut):
		text = "timed out"
	case reason == string(pipelinev1.TaskRunReasonCancelled):
		text = "cancelled"
		if task.Spec.StatusMessage == pipelinev1.TaskRunCancelledByPipelineTimeoutMsg {
			text = "stopped because the run timed out"
		}
	case step == nil:
		return cmp.Or(reason, "failed")
	case step.Terminated.Reason == oomKilled:
		text = "out of memory (" + oomKilled + ")"
	case step.TerminationReason == timeoutExceeded:
		text = "timed out (" + timeoutExceeded + ")"
	default:
		text = fmt.Sprintf("exit code %d", step.Terminated.ExitCode)
	}
	if !slices.Contains(saidByStep, reason) {
		text += " (" + reason + ")"
	}
	return text
}

// commandFor shows the log of the step that failed, or else what there is. Names
// in a status are checked before they become part of a command: somebody is going
// to paste it.
func commandFor(run *pipelinev1.PipelineRun, task *pipelinev1.TaskRun, step *pipelinev1.StepState) string {
	pod := task.Status.PodName
	switch {
	case pod == "" || slices.Contains(podsDeleted, reasonFor(task)):
		return fmt.Sprintf("kubectl describe -n %s taskruns.tekton.dev %s", run.Namespace, task.Name)
	case step == nil || len(validation.IsDNS1123Label(step.Container)) > 0 || len(validation.IsDNS1123Subdomain(pod)) > 0:
		return logCommand(run)
	}
	return fmt.Sprintf("kubectl logs -n %s %s -c %s", run.Namespace, pod, step.Container)
}
