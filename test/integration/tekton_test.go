// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// behaviour is what becomes of a lineage's runs. The image is a function of the
// base and the lineage.
type behaviour struct {
	// holds: the run does not end.
	holds bool
	// pushes the image to its output, or to a repository:tag of the world's registry.
	pushes bool
	to     string
	// reports the digest of the image, or another one, as a result.
	reports bool
	digest  v1alpha1.Digest
	// content replaces that of the image, so that it can be told from a good one.
	content string
	// label is an annotation of the image, and changes nothing but its digest.
	label string
	// fails is the reason of the run's condition; empty where it succeeds.
	fails string
}

// of is a behaviour whose image has another content.
func (b behaviour) of(content string) behaviour {
	b.content = content
	return b
}

// labelled is a behaviour whose image has the same layers, and another digest.
func (b behaviour) labelled(label string) behaviour {
	b.label = label
	return b
}

// unknownDigest is of no image.
const unknownDigest = v1alpha1.Digest("sha256:0000000000000000000000000000000000000000000000000000000000000000")

var (
	builds             = behaviour{pushes: true, reports: true}
	holds              = behaviour{holds: true}
	failsWithoutPush   = behaviour{fails: string(pipelinev1.PipelineRunReasonFailed)}
	pushesThenFails    = behaviour{pushes: true, reports: true, fails: string(pipelinev1.PipelineRunReasonFailed)}
	reportsNoDigest    = behaviour{pushes: true}
	reportsWrongDigest = behaviour{pushes: true, reports: true, digest: unknownDigest}
	pushesNothing      = behaviour{reports: true}
	pushesElsewhere    = behaviour{pushes: true, to: "elsewhere:1", reports: true}
	timesOut           = behaviour{fails: string(pipelinev1.PipelineRunReasonTimedOut)}
	namesNoTask        = behaviour{fails: string(pipelinev1.PipelineRunReasonCouldntGetTask)}
	cancelled          = behaviour{fails: string(pipelinev1.PipelineRunReasonCancelled)}
)

// stops are the runs that Tekton ends before they end by themselves, and what it then
// tells of their tasks.
var stops = map[string]pipelinev1.TaskRunSpecStatusMessage{
	timesOut.fails:  pipelinev1.TaskRunCancelledByPipelineTimeoutMsg,
	cancelled.fails: pipelinev1.TaskRunCancelledByPipelineMsg,
}

// tekton is the stand-in for Tekton's controller. Its mutex is held while it works,
// so that what a method says is so when it returns.
type tekton struct {
	mu         sync.Mutex
	stopped    bool
	behaviours map[string]behaviour
}

// behave says what becomes of a lineage's runs that have not ended yet.
func (t *tekton) behave(lineage string, b behaviour) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.behaviours == nil {
		t.behaviours = map[string]behaviour{}
	}
	t.behaviours[lineage] = b
}

// stop takes the controller down: no run is touched.
func (t *tekton) stop() { t.setStopped(true) }

func (t *tekton) start() { t.setStopped(false) }

func (t *tekton) setStopped(stopped bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = stopped
}

func (t *tekton) ofLocked(lineage string) behaviour {
	if b, ok := t.behaviours[lineage]; ok {
		return b
	}
	return builds
}

func pipelineRuns() *unstructured.UnstructuredList { return tektonList("PipelineRunList") }

func taskRuns() *unstructured.UnstructuredList { return tektonList("TaskRunList") }

func tektonList(kind string) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("tekton.dev/v1")
	list.SetKind(kind)
	return list
}

// driveRuns finishes the runs that have not ended.
func (w *world) driveRuns(ctx context.Context) error {
	w.tekton.mu.Lock()
	defer w.tekton.mu.Unlock()
	if w.tekton.stopped {
		return nil
	}
	runs := pipelineRuns()
	if err := admin.List(ctx, runs, client.InNamespace(w.namespace)); err != nil {
		// A test may have removed Tekton altogether.
		return client.IgnoreNotFound(err)
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		b := w.tekton.ofLocked(lineageOfRun(run))
		if status, _, _ := unstructured.NestedString(run.Object, "spec", "status"); status != "" {
			b = cancelled
		}
		if ended(run) || b.holds {
			continue
		}
		if err := w.endRun(ctx, run, b); err != nil {
			return err
		}
	}
	return nil
}

func lineageOfRun(run *unstructured.Unstructured) string {
	return run.GetLabels()[v1alpha1.LineageLabel]
}

func ended(run *unstructured.Unstructured) bool {
	_, ended, _ := unstructured.NestedString(run.Object, "status", "completionTime")
	return ended
}

// endRun pushes an image, and reports it, as a real pipeline would.
func (w *world) endRun(ctx context.Context, run *unstructured.Unstructured, b behaviour) error {
	params := paramsOf(run)
	output, base := params["IMAGE"], params["BASE"]
	if b.to != "" {
		output = w.image(b.to)
	}
	parsed, _ := reference.Parse(base)
	content := fmt.Sprintf("%s on %s", lineageOfRun(run), base)
	if b.content != "" {
		content = b.content
	}
	img, err := makeImage(content, base, parsed.Digest)
	if err != nil {
		return err
	}
	if b.label != "" {
		img = mutate.Annotations(img, map[string]string{"built": b.label}).(v1.Image)
	}
	digest, err := digestOf(img)
	if err != nil {
		return err
	}
	if b.pushes {
		if err := pushImage(w.behind(output), img); err != nil {
			return err
		}
	}
	results := map[string]string{}
	if b.pushes {
		results["IMAGE_URL"] = output
	}
	if b.digest != "" {
		digest = b.digest
	}
	if b.reports {
		results["IMAGE_DIGEST"] = string(digest) + "\n"
	}
	if b.fails != "" && b.fails != namesNoTask.fails {
		if err := w.failTask(ctx, run, b); err != nil {
			return err
		}
	}
	before := run.DeepCopy()
	run.Object["status"] = w.runStatus(run, b, results)
	return client.IgnoreNotFound(admin.Status().Patch(ctx, run, client.MergeFrom(before)))
}

func paramsOf(run *unstructured.Unstructured) map[string]string {
	params, _, _ := unstructured.NestedSlice(run.Object, "spec", "params")
	out := map[string]string{}
	for _, p := range params {
		param := p.(map[string]any)
		out[param["name"].(string)], _ = param["value"].(string)
	}
	return out
}

// runStatus is that of a run that has ended, in Tekton's own words.
func (w *world) runStatus(run *unstructured.Unstructured, b behaviour, results map[string]string) map[string]any {
	status, reason, message := "True", "Succeeded", "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0"
	switch b.fails {
	case "":
	case timesOut.fails:
		status, reason = "False", b.fails
		message = fmt.Sprintf("PipelineRun %q failed to finish within %q", run.GetName(), "1h0m0s")
	case cancelled.fails:
		status, reason = "False", b.fails
		message = fmt.Sprintf("PipelineRun %q was cancelled", run.GetName())
	case namesNoTask.fails:
		status, reason = "False", b.fails
		message = fmt.Sprintf("Pipeline %s/build can't be Run; it contains Tasks that don't exist", run.GetNamespace())
	default:
		status, reason, message = "False", b.fails, "Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0"
	}
	var list []any
	for name, value := range results {
		list = append(list, map[string]any{"name": name, "type": "string", "value": value})
	}
	now := w.timestamp()
	out := map[string]any{
		"startTime": now, "completionTime": now, "results": list,
		"conditions": []any{failedOrNot(status, reason, message, now)},
	}
	if b.fails != "" && b.fails != namesNoTask.fails {
		out["childReferences"] = []any{map[string]any{
			"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": taskName(run), "pipelineTaskName": "build",
		}}
	}
	return out
}

func failedOrNot(status, reason, message, at string) map[string]any {
	return map[string]any{"type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": at}
}

// timestamp is now by the world's clock: all but the API server live by it.
func (w *world) timestamp() string { return w.clock.Now().UTC().Format(time.RFC3339) }

func taskName(run *unstructured.Unstructured) string { return run.GetName() + "-build" }

// failTask makes the TaskRun that a run fails by: its step push exits, or Tekton
// ends it as it ends the whole run.
func (w *world) failTask(ctx context.Context, run *unstructured.Unstructured, b behaviour) error {
	task := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"spec": map[string]any{"taskRef": map[string]any{"name": "build"}},
	}}
	task.SetNamespace(run.GetNamespace())
	task.SetName(taskName(run))
	task.SetLabels(map[string]string{"tekton.dev/pipelineRun": run.GetName(), "tekton.dev/pipelineTask": "build"})
	task.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(run, run.GroupVersionKind())})
	reason, message := "Failed", `"step-push" exited with code 3`
	exit := map[string]any{"exitCode": int64(3), "reason": "Error"}
	if why, ok := stops[b.fails]; ok {
		reason, message = string(pipelinev1.TaskRunReasonCancelled), string(why)
		exit = map[string]any{"exitCode": int64(1), "reason": reason}
		task.Object["spec"].(map[string]any)["status"] = string(pipelinev1.TaskRunSpecStatusCancelled)
		task.Object["spec"].(map[string]any)["statusMessage"] = message
	}
	now := w.timestamp()
	exit["startedAt"], exit["finishedAt"] = now, now
	// A pass before this one may have come as far as this.
	if err := admin.Create(ctx, task); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	before := task.DeepCopy()
	task.Object["status"] = map[string]any{
		"startTime": now, "completionTime": now, "podName": taskName(run) + "-pod",
		"conditions": []any{failedOrNot("False", reason, message, now)},
		"steps":      []any{map[string]any{"name": "push", "container": "step-push", "terminated": exit}},
	}
	return admin.Status().Patch(ctx, task, client.MergeFrom(before))
}

// run makes a run as the operator would, of a lineage that need not exist.
func (w *world) run(lineage string) *unstructured.Unstructured {
	w.t.Helper()
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"spec": map[string]any{"pipelineRef": map[string]any{"name": "build"}, "params": []any{
			map[string]any{"name": "BASE", "value": w.image("base:1")},
			map[string]any{"name": "IMAGE", "value": w.image(lineage + ":1-run")},
		}},
	}}
	run.SetNamespace(w.namespace)
	run.SetName(lineage)
	run.SetLabels(map[string]string{v1alpha1.LineageLabel: lineage})
	w.create(run)
	return run
}

// waitEnded reads a run again when it has ended.
func (w *world) waitEnded(run *unstructured.Unstructured) {
	w.t.Helper()
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		err := admin.Get(ctx, client.ObjectKeyFromObject(run), run)
		return ended(run), err
	})
	if err != nil {
		w.t.Fatalf("run %s does not end: %v", run.GetName(), err)
	}
}

// ending is what a run leaves: what it reports, pushes, and says of its task.
type ending struct{ Reason, Digest, Output, Elsewhere, Task string }

func (w *world) ending(run *unstructured.Unstructured) ending {
	w.t.Helper()
	results, _, _ := unstructured.NestedSlice(run.Object, "status", "results")
	digest := "none"
	for _, r := range results {
		if result := r.(map[string]any); result["name"] == "IMAGE_DIGEST" {
			digest = strings.TrimSpace(result["value"].(string))
		}
	}
	tasks := taskRuns()
	if err := admin.List(w.t.Context(), tasks, client.InNamespace(w.namespace), client.MatchingLabels{"tekton.dev/pipelineRun": run.GetName()}); err != nil {
		w.t.Fatal(err)
	}
	e := ending{
		Reason: reasonOf(run), Digest: digest,
		Output: string(w.shows(lineageOfRun(run) + ":1-run")), Elsewhere: string(w.shows("elsewhere:1")),
	}
	for i := range tasks.Items {
		steps, _, _ := unstructured.NestedSlice(tasks.Items[i].Object, "status", "steps")
		exit, _, _ := unstructured.NestedInt64(steps[0].(map[string]any), "terminated", "exitCode")
		e.Task += fmt.Sprintf("%s, step %s exits %d", reasonOf(&tasks.Items[i]), steps[0].(map[string]any)["name"], exit)
	}
	return e
}

func reasonOf(run *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(run.Object, "status", "conditions")
	return conditions[0].(map[string]any)["reason"].(string)
}

func TestTheStandInForTektonDoesAsItIsTold(t *testing.T) {
	const failed = "Failed, step push exits 3"
	tests := map[string]struct {
		behaviour behaviour
		want      func(digest string) ending
	}{
		"builds": {builds, func(d string) ending { return ending{Reason: "Succeeded", Digest: d, Output: d} }},
		"fails":  {failsWithoutPush, func(string) ending { return ending{Reason: "Failed", Digest: "none", Task: failed} }},
		"late":   {pushesThenFails, func(d string) ending { return ending{Reason: "Failed", Digest: d, Output: d, Task: failed} }},
		"mute":   {reportsNoDigest, func(d string) ending { return ending{Reason: "Succeeded", Digest: "none", Output: d} }},
		"wrong": {reportsWrongDigest, func(d string) ending {
			return ending{Reason: "Succeeded", Digest: string(unknownDigest), Output: d}
		}},
		"nothing":   {pushesNothing, func(d string) ending { return ending{Reason: "Succeeded", Digest: d} }},
		"elsewhere": {pushesElsewhere, func(d string) ending { return ending{Reason: "Succeeded", Digest: d, Elsewhere: d} }},
		"timesout": {timesOut, func(string) ending {
			return ending{Reason: "PipelineRunTimeout", Digest: "none", Task: "TaskRunCancelled, step push exits 1"}
		}},
		"cancelled": {cancelled, func(string) ending {
			return ending{Reason: "Cancelled", Digest: "none", Task: "TaskRunCancelled, step push exits 1"}
		}},
	}
	for lineage, tc := range tests {
		t.Run(lineage, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tekton.behave(lineage, tc.behaviour)
			run := w.run(lineage)
			w.waitEnded(run)
			img, err := makeImage(lineage+" on "+w.image("base:1"), w.image("base:1"), "")
			if err != nil {
				t.Fatal(err)
			}
			digest, err := digestOf(img)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want(string(digest)), w.ending(run)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := w.faults.requests("", ""); n != 0 {
				t.Errorf("the stand-in made %d requests where faults are", n)
			}
		})
	}
}

// TestTektonStopsAndStarts: another run, of a lineage that is not held, shows that
// the stand-in has looked.
func TestTektonStopsAndStarts(t *testing.T) {
	w := newWorld(t)
	w.tekton.stop()
	w.tekton.behave("held", holds)
	held, first := w.run("held"), w.run("first")
	w.tekton.start()
	w.waitEnded(first)
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(held), held); err != nil || ended(held) {
		t.Errorf("the run that is held: %v, error %v", held.Object["status"], err)
	}
	w.tekton.behave("held", timesOut)
	w.waitEnded(held)
}
