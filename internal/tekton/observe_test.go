// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// aRun is aBuild as a run, changed.
func aRun(t *testing.T, change ...func(*pipelinev1.PipelineRun)) *pipelinev1.PipelineRun {
	t.Helper()
	annotations, err := annotationsOf(aBuild())
	if err != nil {
		t.Fatal(err)
	}
	run := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-abcdefghij", Annotations: annotations, CreationTimestamp: metav1.NewTime(moment),
	}}
	for _, f := range change {
		f(run)
	}
	return run
}

var (
	completed  = metav1.NewTime(moment.Add(time.Minute))
	transition = metav1.NewTime(moment.Add(2 * time.Minute))
)

// condition sets Succeeded. The slice is grown and not appended to, so that
// knative's types need no import.
func condition(status corev1.ConditionStatus, reason, message string) func(*pipelinev1.PipelineRun) {
	return func(run *pipelinev1.PipelineRun) {
		run.Status.Conditions = slices.Grow(run.Status.Conditions, 1)[:1]
		c := &run.Status.Conditions[0]
		c.Type, c.Status, c.Reason, c.Message = "Succeeded", status, reason, message
		c.LastTransitionTime.Inner = transition
	}
}

func result(name, value string) func(*pipelinev1.PipelineRun) {
	return func(run *pipelinev1.PipelineRun) {
		run.Status.Results = append(run.Status.Results, pipelinev1.PipelineRunResult{
			Name: name, Value: *pipelinev1.NewStructuredValues(value),
		})
	}
}

func children(names ...string) func(*pipelinev1.PipelineRun) {
	return func(run *pipelinev1.PipelineRun) {
		for _, name := range names {
			run.Status.ChildReferences = append(run.Status.ChildReferences,
				pipelinev1.ChildStatusReference{Name: "web-abcdefghij-" + name, PipelineTaskName: name})
		}
	}
}

func TestObserve(t *testing.T) {
	type changes = []func(*pipelinev1.PipelineRun)
	completion := func(run *pipelinev1.PipelineRun) { run.Status.CompletionTime = &completed }
	tests := map[string]struct {
		changes changes
		results *v1alpha1.BuildResults
		want    plan.Run // Build and Created are added.
	}{
		"a run that was just created": {},
		"a run in flight": {
			changes: changes{condition(corev1.ConditionUnknown, "Running", "")},
			want:    plan.Run{Started: true},
		},
		"a run that has a start time alone": {
			changes: changes{func(run *pipelinev1.PipelineRun) { run.Status.StartTime = &completed }},
			want:    plan.Run{Started: true},
		},
		"a run that succeeded": {
			changes: changes{
				condition(corev1.ConditionTrue, "Completed", ""), completion,
				result("IMAGE_DIGEST", string(digestA)+"\n"), result("IMAGE_URL", " registry.example.com/shop/web:x \n"),
			},
			want: plan.Run{
				Started: true, Done: true, Succeeded: true, Finished: completed.Time, Digest: digestA,
				URL: "registry.example.com/shop/web:x",
			},
		},
		"results of other names": {
			changes: changes{
				condition(corev1.ConditionTrue, "Succeeded", ""), completion,
				result("IMAGE_DIGEST", string(digestA)), result("digest", string(digestB)), result("url", "u"),
			},
			results: &v1alpha1.BuildResults{Digest: "digest", URL: "url"},
			want:    plan.Run{Started: true, Done: true, Succeeded: true, Finished: completed.Time, Digest: digestB, URL: "u"},
		},
		"a result that is no digest": {
			changes: changes{condition(corev1.ConditionTrue, "Succeeded", ""), completion, result("IMAGE_DIGEST", "latest")},
			want:    plan.Run{Started: true, Done: true, Succeeded: true, Finished: completed.Time},
		},
		"no completion time": {
			changes: changes{condition(corev1.ConditionTrue, "Succeeded", "")},
			want:    plan.Run{Started: true, Done: true, Succeeded: true, Finished: transition.Time},
		},
		"a failed run": {
			changes: changes{
				condition(corev1.ConditionFalse, "Failed", "Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 1"),
				completion, children("build"),
			},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time,
				Message: "Failed: Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 1; failed task: build; see: " +
					"kubectl logs -n shop -l tekton.dev/pipelineRun=web-abcdefghij --all-containers",
			},
		},
		"a failed run of several tasks and a finally": {
			changes: changes{
				condition(corev1.ConditionFalse, "Failed", ""), completion, children("fetch", "build", "tidy"),
				func(run *pipelinev1.PipelineRun) {
					run.Status.PipelineSpec = &pipelinev1.PipelineSpec{Finally: []pipelinev1.PipelineTask{{Name: "tidy"}}}
				},
			},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time,
				Message: "Failed; failed among the tasks fetch, build; see: " +
					"kubectl logs -n shop -l tekton.dev/pipelineRun=web-abcdefghij --all-containers",
			},
		},
		"a run that came to no task": {
			changes: changes{condition(corev1.ConditionFalse, "CouldntGetPipeline", "pipelines \"build\" not found."), completion},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time, Invalid: true,
				Message: "CouldntGetPipeline: pipelines \"build\" not found; see: " +
					"kubectl describe -n shop pipelineruns.tekton.dev web-abcdefghij",
			},
		},
		"a run that the cluster did not let in may be tried again": {
			changes: changes{condition(corev1.ConditionFalse, "CreateRunFailed", ""), completion},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time,
				Message: "CreateRunFailed; see: kubectl describe -n shop pipelineruns.tekton.dev web-abcdefghij",
			},
		},
		"a run that a person stopped is no other failure": {
			changes: changes{
				condition(corev1.ConditionFalse, "ParameterMissing", ""), completion,
				func(run *pipelinev1.PipelineRun) { run.Spec.Status = pipelinev1.PipelineRunSpecStatusCancelled },
			},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time, Cancelled: true,
				Message: "ParameterMissing; see: kubectl describe -n shop pipelineruns.tekton.dev web-abcdefghij",
			},
		},
		"a message that may be a log is left out": {
			changes: changes{condition(corev1.ConditionFalse, "Failed", "step failed:\npassword is x"), completion},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time,
				Message: "Failed; see: kubectl describe -n shop pipelineruns.tekton.dev web-abcdefghij",
			},
		},
		"a long message is left out": {
			changes: changes{condition(corev1.ConditionFalse, "Failed", strings.Repeat("x", 301)), completion},
			want: plan.Run{
				Started: true, Done: true, Finished: completed.Time,
				Message: "Failed; see: kubectl describe -n shop pipelineruns.tekton.dev web-abcdefghij",
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.want.Build, tc.want.Created = aBuild(), moment
			got := Observe(aRun(t, tc.changes...), tc.results)
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b metav1.MicroTime) bool { return a.Equal(&b) })); diff != "" {
				t.Errorf("Observe (-want +got):\n%s", diff)
			}
		})
	}
}

func TestObserveWhoEndedARun(t *testing.T) {
	tests := map[string]struct {
		status    pipelinev1.PipelineRunSpecStatus
		condition func(*pipelinev1.PipelineRun)
		want      bool
	}{
		"cancelled":                      {"Cancelled", condition(corev1.ConditionFalse, "Cancelled", ""), true},
		"cancelled, finally tasks ran":   {"CancelledRunFinally", condition(corev1.ConditionFalse, "Cancelled", ""), true},
		"stopped, running tasks ended":   {"StoppedRunFinally", condition(corev1.ConditionFalse, "Cancelled", ""), true},
		"stopped, and then a task broke": {"StoppedRunFinally", condition(corev1.ConditionFalse, "Failed", ""), true},
		"it is being cancelled":          {"CancelledRunFinally", condition(corev1.ConditionUnknown, "CancelledRunningFinally", ""), false},
		"it was cancelled too late":      {"StoppedRunFinally", condition(corev1.ConditionTrue, "Completed", ""), false},
		"it failed by itself":            {"", condition(corev1.ConditionFalse, "Failed", ""), false},
		"the time was up":                {"", condition(corev1.ConditionFalse, "PipelineRunTimeout", ""), false},
		"a task of it was cancelled":     {"", condition(corev1.ConditionFalse, "Cancelled", ""), false},
		"it is still held back":          {"PipelineRunPending", condition(corev1.ConditionUnknown, "PipelineRunPending", ""), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := aRun(t, tc.condition)
			run.Spec.Status = tc.status
			if got := Observe(run, nil); got.Cancelled != tc.want {
				t.Errorf("Cancelled is %v, want %v", got.Cancelled, tc.want)
			}
		})
	}
}

func TestObserveOfDamagedAnnotations(t *testing.T) {
	tests := map[string]map[string]string{
		"the number is none":      {v1alpha1.NumberAnnotation: "four"},
		"the number is negative":  {v1alpha1.NumberAnnotation: "-4"},
		"the attempt is none":     {v1alpha1.AttemptAnnotation: ""},
		"no inputs":               {v1alpha1.InputsAnnotation: ""},
		"no output":               {v1alpha1.OutputAnnotation: ""},
		"no template":             {v1alpha1.TemplateAnnotation: ""},
		"expected is no digest":   {v1alpha1.ExpectedAnnotation: "anything"},
		"the parents are no JSON": {v1alpha1.BuiltFromAnnotation: `[{"name":`},
		"the parents are no list": {v1alpha1.BuiltFromAnnotation: `{}`},
		"a parent has no digest":  {v1alpha1.BuiltFromAnnotation: `[{"name":"base"}]`},
		"the roots are no JSON":   {v1alpha1.RootsAnnotation: `x`},
		"the roots' time is none": {v1alpha1.RootsAnnotation: `[{"accepted":"yesterday"}]`},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			got := Observe(aRun(t, func(run *pipelinev1.PipelineRun) { maps.Copy(run.Annotations, damage) }), nil)
			if got.Number != 0 || got.Name != "web-abcdefghij" {
				t.Errorf("number %d of run %q, want 0 of web-abcdefghij", got.Number, got.Name)
			}
		})
	}
	t.Run("no annotations at all", func(t *testing.T) {
		if got := Observe(&pipelinev1.PipelineRun{}, nil); got.Number != 0 || got.Done {
			t.Errorf("Observe of an empty run = %+v", got)
		}
	})
}
