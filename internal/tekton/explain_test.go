// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
)

// secret stands wherever a status may repeat what a step printed.
const secret = "the password is hunter2"

// aTask is the TaskRun of a task of the run u-run, which completed after so many
// minutes.
func aTask(task string, status corev1.ConditionStatus, reason string, minutes int, steps ...pipelinev1.StepState) *pipelinev1.TaskRun {
	yes := true
	name := "web-abcdefghij-" + task
	run := &pipelinev1.TaskRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name,
		Labels: map[string]string{"tekton.dev/pipelineRun": "web-abcdefghij", "tekton.dev/pipelineTask": task},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "tekton.dev/v1", Kind: "PipelineRun", Name: "web-abcdefghij", UID: "u-run", Controller: &yes,
		}},
	}}
	run.Status.Conditions = slices.Grow(run.Status.Conditions, 1)[:1]
	c := &run.Status.Conditions[0]
	c.Type, c.Status, c.Reason, c.Message = "Succeeded", status, reason, secret
	end := metav1.NewTime(moment.Add(time.Duration(minutes) * time.Minute))
	run.Status.CompletionTime = &end
	run.Status.PodName = name + "-pod"
	run.Status.Steps = steps
	return run
}

// aStep has ended with that exit code, for the kubelet's reason and for Tekton's.
func aStep(name string, exitCode int32, kubelet, tekton string) pipelinev1.StepState {
	step := pipelinev1.StepState{Name: name, Container: "step-" + name, TerminationReason: tekton}
	step.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: exitCode, Reason: kubelet, Message: secret, ContainerID: "containerd://" + name, FinishedAt: completed,
	}
	return step
}

func withTask(task *pipelinev1.TaskRun, change func(*pipelinev1.TaskRun)) *pipelinev1.TaskRun {
	change(task)
	return task
}

const (
	failedHead = "Failed: Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0; "
	allLogs    = "; see: kubectl logs -n shop -l tekton.dev/pipelineRun=web-abcdefghij --all-containers"
	stepLog    = "; see: kubectl logs -n shop web-abcdefghij-build-pod -c step-push"
	taskState  = "; see: kubectl describe -n shop taskruns.tekton.dev web-abcdefghij-build"
)

func failedRun(t *testing.T, change ...func(*pipelinev1.PipelineRun)) *pipelinev1.PipelineRun {
	t.Helper()
	return aRun(t, append([]func(*pipelinev1.PipelineRun){
		condition(corev1.ConditionFalse, "Failed", "Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0"), children("build"),
		func(run *pipelinev1.PipelineRun) { run.UID = "u-run" },
	}, change...)...)
}

func explained(t *testing.T, run *pipelinev1.PipelineRun, tasks ...*pipelinev1.TaskRun) string {
	t.Helper()
	objects := []client.Object{run}
	for _, task := range tasks {
		objects = append(objects, task)
	}
	observed := Observe(run, nil)
	if err := Explain(t.Context(), readerOf(t, &answers{}, objects...), "shop", &observed); err != nil {
		t.Fatalf("Explain: %v", err)
	}
	if len(observed.Message) > messageLength || strings.Contains(observed.Message, secret) {
		t.Errorf("message of %d bytes, which must not tell what a step printed: %s", len(observed.Message), observed.Message)
	}
	return observed.Message
}

func TestExplainOneTask(t *testing.T) {
	broken := aStep("push", 3, "Error", "Error")
	tests := map[string]struct {
		task *pipelinev1.TaskRun
		want string
	}{
		"a step fails": {
			aTask("build", corev1.ConditionFalse, "StepFailed", 1, aStep("compile", 0, "Completed", "Completed"), broken),
			"task build, step push: exit code 3" + stepLog,
		},
		"a step fails, in the words of an older Tekton": {
			aTask("build", corev1.ConditionFalse, "Failed", 1, broken),
			"task build, step push: exit code 3" + stepLog,
		},
		"the steps after it never ran": {
			aTask("build", corev1.ConditionFalse, "StepFailed", 1, broken, aStep("sign", 1, "Error", "Skipped")),
			"task build, step push: exit code 3" + stepLog,
		},
		"the step before it may fail": {
			aTask("build", corev1.ConditionFalse, "StepFailed", 1, aStep("lint", 7, "Completed", "Continued"), broken),
			"task build, step push: exit code 3" + stepLog,
		},
		"a step has no memory": {
			aTask("build", corev1.ConditionFalse, "StepOOM", 1, aStep("push", 137, "OOMKilled", "")),
			"task build, step push: out of memory (OOMKilled)" + stepLog,
		},
		"a child of a step that may fail has no memory": {
			aTask("build", corev1.ConditionFalse, "StepOOM", 1, aStep("push", 0, "OOMKilled", "Continued")),
			"task build, step push: out of memory (OOMKilled)" + stepLog,
		},
		"a step has a time of its own": {
			aTask("build", corev1.ConditionFalse, "StepFailed", 1, aStep("push", 1, "Error", "TimeoutExceeded")),
			"task build, step push: timed out (TimeoutExceeded)" + stepLog,
		},
		"the task's time is up: the first step that was cut off was at work, and its pod is deleted": {
			aTask("build", corev1.ConditionFalse, "TaskRunTimeout", 1, aStep("compile", 0, "Completed", "Completed"),
				aStep("push", 1, "TaskRunTimeout", "TaskRunTimeout"), aStep("sign", 1, "TaskRunTimeout", "TaskRunTimeout")),
			"task build, step push: timed out (TaskRunTimeout)" + taskState,
		},
		"the task was cancelled": {
			aTask("build", corev1.ConditionFalse, "TaskRunCancelled", 1, aStep("push", 1, "TaskRunCancelled", "TaskRunCancelled")),
			"task build, step push: cancelled (TaskRunCancelled)" + taskState,
		},
		"an image cannot be pulled: no step has failed": {
			aTask("build", corev1.ConditionFalse, "TaskRunImagePullFailed", 1,
				aStep("push", 1, "TaskRunImagePullFailed", "TaskRunImagePullFailed")),
			"task build: TaskRunImagePullFailed" + taskState,
		},
		"the task came to no pod": {
			withTask(aTask("build", corev1.ConditionFalse, "TaskRunValidationFailed", 1), func(task *pipelinev1.TaskRun) {
				task.Status.PodName = ""
			}),
			"task build: TaskRunValidationFailed" + taskState,
		},
		"a sidecar took the step with it": {
			aTask("build", corev1.ConditionFalse, "SidecarOOM", 1, broken),
			"task build, step push: exit code 3 (SidecarOOM)" + stepLog,
		},
		"no step ran": {
			aTask("build", corev1.ConditionFalse, "InitContainerFailed", 1),
			"task build: InitContainerFailed" + allLogs,
		},
		"no reason": {
			aTask("build", corev1.ConditionFalse, "", 1),
			"task build: failed" + allLogs,
		},
		"a retry: the last attempt counts": {
			withTask(aTask("build", corev1.ConditionFalse, "StepFailed", 1, broken), func(task *pipelinev1.TaskRun) {
				task.Status.RetriesStatus = pipelinev1.RetriesStatus{
					aTask("build", corev1.ConditionFalse, "StepOOM", 0, aStep("compile", 137, "OOMKilled", "")).Status,
				}
			}),
			"task build, step push: exit code 3" + stepLog,
		},
		"a retry that came to no step, beside the steps of the attempt before": {
			withTask(aTask("build", corev1.ConditionFalse, "PodEvicted", 1, broken), func(task *pipelinev1.TaskRun) {
				task.Status.RetriesStatus = pipelinev1.RetriesStatus{
					aTask("build", corev1.ConditionFalse, "StepFailed", 0, broken).Status,
				}
			}),
			"task build: PodEvicted" + allLogs,
		},
		"no label tells the task": {
			withTask(aTask("build", corev1.ConditionFalse, "StepFailed", 1, broken), func(task *pipelinev1.TaskRun) {
				delete(task.Labels, "tekton.dev/pipelineTask")
			}),
			"task web-abcdefghij-build, step push: exit code 3" + stepLog,
		},
		"a pod whose name is none is no part of a command": {
			withTask(aTask("build", corev1.ConditionFalse, "StepFailed", 1, broken), func(task *pipelinev1.TaskRun) {
				task.Status.PodName = "x; rm -rf ~"
			}),
			"task build, step push: exit code 3" + allLogs,
		},
		"nor is such a step": {
			aTask("build", corev1.ConditionFalse, "StepFailed", 1, aStep("$(reboot)", 3, "Error", "Error")),
			"task build: exit code 3" + allLogs,
		},
		"a reason that is a novel is cut": {
			aTask("build", corev1.ConditionFalse, strings.Repeat("x", 200), 1),
			"task build: " + strings.Repeat("x", 97) + "…" + allLogs,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explained(t, failedRun(t), tc.task); got != failedHead+tc.want {
				t.Errorf("message\n%s\nwant\n%s", got, failedHead+tc.want)
			}
		})
	}
}

func TestExplainPicksTheTask(t *testing.T) {
	const asObserved = failedHead + "failed task: build" + allLogs
	build := aTask("build", corev1.ConditionFalse, "StepFailed", 5, aStep("push", 3, "Error", "Error"))
	other := func(task, reason string, minutes int) *pipelinev1.TaskRun {
		return aTask(task, corev1.ConditionFalse, reason, minutes, aStep("run", 1, "Error", "Error"))
	}
	tests := map[string]struct {
		run   func(*pipelinev1.PipelineRun)
		tasks []*pipelinev1.TaskRun
		want  string
	}{
		"the first to end, and how many others": {
			tasks: []*pipelinev1.TaskRun{other("a", "StepFailed", 6), build, other("z", "TaskRunTimeout", 7)},
			want:  failedHead + "task build, step push: exit code 3; other failed tasks: 2" + stepLog,
		},
		"without a completion time the condition tells the end": {
			tasks: []*pipelinev1.TaskRun{build, withTask(other("a", "StepFailed", 0), func(task *pipelinev1.TaskRun) {
				task.Status.CompletionTime = nil
				task.Status.Conditions[0].LastTransitionTime.Inner = metav1.NewTime(moment.Add(time.Hour))
			})},
			want: failedHead + "task build, step push: exit code 3; other failed tasks: 1" + stepLog,
		},
		"not those that succeeded, run, may fail, or were cancelled because of it": {
			run: func(run *pipelinev1.PipelineRun) {
				run.Status.PipelineSpec = &pipelinev1.PipelineSpec{Tasks: []pipelinev1.PipelineTask{{Name: "scan", OnError: "continue"}}}
			},
			tasks: []*pipelinev1.TaskRun{
				aTask("fetch", corev1.ConditionTrue, "Succeeded", 0), aTask("tidy", corev1.ConditionUnknown, "Running", 0),
				other("lint", "FailureIgnored", 1), other("scan", "TaskRunTimeout", 2), other("a", "TaskRunCancelled", 3), build,
				withTask(other("new", "", 0), func(task *pipelinev1.TaskRun) { task.Status.Conditions = nil }),
			},
			want: failedHead + "task build, step push: exit code 3" + stepLog,
		},
		"not those of another run, of nobody, or elsewhere": {
			tasks: []*pipelinev1.TaskRun{
				withTask(other("a", "StepFailed", 1), func(task *pipelinev1.TaskRun) { task.OwnerReferences[0].UID = "u-other" }),
				withTask(other("b", "StepFailed", 1), func(task *pipelinev1.TaskRun) { task.OwnerReferences = nil }),
				withTask(other("c", "StepFailed", 1), func(task *pipelinev1.TaskRun) { task.Namespace = "prod" }),
				withTask(other("d", "StepFailed", 1), func(task *pipelinev1.TaskRun) { task.Labels["tekton.dev/pipelineRun"] = "web-x" }),
				build,
			},
			want: failedHead + "task build, step push: exit code 3" + stepLog,
		},
		"the run's time is up": {
			run: condition(corev1.ConditionFalse, "PipelineRunTimeout", `PipelineRun "web-abcdefghij" failed to finish within "1h0m0s"`),
			tasks: []*pipelinev1.TaskRun{withTask(
				aTask("build", corev1.ConditionFalse, "TaskRunCancelled", 1, aStep("push", 1, "TaskRunCancelled", "TaskRunCancelled")),
				func(task *pipelinev1.TaskRun) {
					task.Spec.StatusMessage = pipelinev1.TaskRunCancelledByPipelineTimeoutMsg
				})},
			want: `PipelineRunTimeout: PipelineRun "web-abcdefghij" failed to finish within "1h0m0s"; ` +
				"task build, step push: stopped because the run timed out (TaskRunCancelled)" + taskState,
		},
		"the run's time is up, and its task is only marked yet": {
			run: condition(corev1.ConditionFalse, "PipelineRunTimeout", `PipelineRun "web-abcdefghij" failed to finish within "1h0m0s"`),
			tasks: []*pipelinev1.TaskRun{withTask(
				aTask("build", corev1.ConditionUnknown, "Running", 1),
				func(task *pipelinev1.TaskRun) {
					task.Status.CompletionTime = nil
					task.Spec.Status = pipelinev1.TaskRunSpecStatusCancelled
					task.Spec.StatusMessage = pipelinev1.TaskRunCancelledByPipelineTimeoutMsg
				})},
			want: `PipelineRunTimeout: PipelineRun "web-abcdefghij" failed to finish within "1h0m0s"; ` +
				"task build: stopped because the run timed out (TaskRunCancelled)" + taskState,
		},
		"none failed":           {tasks: []*pipelinev1.TaskRun{aTask("build", corev1.ConditionTrue, "Succeeded", 1)}, want: asObserved},
		"the TaskRuns are gone": {want: asObserved},
		"the longest names there are leave the command whole": {
			run: condition(corev1.ConditionFalse, strings.Repeat("r", 300), strings.Repeat("m", 300)),
			tasks: []*pipelinev1.TaskRun{withTask(build.DeepCopy(), func(task *pipelinev1.TaskRun) {
				task.Status.PodName = strings.Repeat("p", 253)
			})},
			want: strings.Repeat("r", 300) + ": " + strings.Repeat("m", 295) + "…" +
				"; see: kubectl logs -n shop " + strings.Repeat("p", 253) + " -c step-push",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := failedRun(t)
			if tc.run != nil {
				tc.run(run)
			}
			if got := explained(t, run, tc.tasks...); got != tc.want {
				t.Errorf("message\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestExplainWithoutAnAnswer(t *testing.T) {
	taskRuns := schema.GroupResource{Group: "tekton.dev", Resource: "taskruns"}
	down := apierrors.NewServiceUnavailable("later")
	tests := map[string]struct {
		answers   answers
		now       func(*pipelinev1.PipelineRun)
		wantError bool
	}{
		"the run is gone":                      {answers: answers{get: apierrors.NewNotFound(pipelineRuns, "web")}},
		"the run may not be read":              {answers: answers{get: apierrors.NewForbidden(pipelineRuns, "web", errors.New("no"))}},
		"the TaskRuns may not be read":         {answers: answers{list: apierrors.NewForbidden(taskRuns, "", errors.New("no"))}},
		"TaskRuns are not served":              {answers: answers{list: notServed("")}},
		"there is no such kind":                {answers: answers{list: &meta.NoKindMatchError{}}},
		"the server is down":                   {answers: answers{get: down}, wantError: true},
		"the server goes down between":         {answers: answers{list: down}, wantError: true},
		"another run has the name, and runs":   {now: condition(corev1.ConditionUnknown, "Running", "")},
		"another run has the name, and is new": {now: func(run *pipelinev1.PipelineRun) { run.Status.Conditions = nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := failedRun(t)
			observed := Observe(run, nil)
			before := observed.Message
			if tc.now != nil {
				tc.now(run)
			}
			task := aTask("build", corev1.ConditionFalse, "StepFailed", 1, aStep("push", 3, "Error", "Error"))
			err := Explain(t.Context(), readerOf(t, &tc.answers, run, task), "shop", &observed)
			if (err != nil) != tc.wantError || err != nil && !errors.Is(err, down) {
				t.Errorf("Explain: %v, want an error: %v", err, tc.wantError)
			}
			if observed.Message != before {
				t.Errorf("the message is now %s", observed.Message)
			}
		})
	}
}

func TestExplainAsksNothingOfOtherRuns(t *testing.T) {
	for name, run := range map[string]plan.Run{
		"a new run":            {},
		"a run in flight":      {Started: true},
		"a run that succeeded": {Started: true, Done: true, Succeeded: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{get: errors.New("asked")}
			if err := Explain(t.Context(), readerOf(t, a), "shop", &run); err != nil || a.asked > 0 || run.Message != "" {
				t.Errorf("Explain: %v, asked %d times, message %q", err, a.asked, run.Message)
			}
		})
	}
}
