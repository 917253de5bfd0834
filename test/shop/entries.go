// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// lineage writes down a new current revision, and what Ready says.
func (j *Journal) lineage(before, after any) {
	is, ok := after.(*v1alpha1.ImageLineage)
	if !ok {
		return
	}
	was, _ := before.(*v1alpha1.ImageLineage)
	if was == nil {
		was = &v1alpha1.ImageLineage{}
	}
	name := is.Namespace + "/" + is.Name
	if current := is.Status.Current; current != nil && revisionOf(was) != current.Revision.Revision {
		j.write(Entry{
			Kind: Accepted, Object: name, Lineage: is.Name,
			Text: fmt.Sprintf("revision %d is %s (%s)", current.Revision.Revision, current.Short, strings.ToLower(string(current.Origin))),
		})
	}
	if said := SaidOf(is); said != "" && said != SaidOf(was) {
		j.write(Entry{Kind: Said, Object: name, Lineage: is.Name, Text: said})
	}
}

func revisionOf(l *v1alpha1.ImageLineage) int64 {
	if l.Status.Current == nil {
		return 0
	}
	return l.Status.Current.Revision.Revision
}

// SaidOf is what the STATUS column shows, with the workloads while they move.
func SaidOf(l *v1alpha1.ImageLineage) string {
	ready := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return ""
	}
	if ready.Reason == v1alpha1.ReasonRollingOut && l.Status.Rollout != nil {
		return fmt.Sprintf("%s %s", ready.Reason, l.Status.Rollout.Summary)
	}
	return ready.Reason
}

// run writes down that a PipelineRun began or ended.
func (j *Journal) run(before, after any) {
	is, ok := after.(*unstructured.Unstructured)
	if !ok {
		return
	}
	lineage := is.GetLabels()[v1alpha1.LineageLabel]
	e := Entry{Object: is.GetNamespace() + "/" + lineage, Lineage: lineage, Run: is.GetName()}
	was, _ := before.(*unstructured.Unstructured)
	if was == nil {
		e.Kind = RunStarted
		e.Text = fmt.Sprintf("run %s starts: %s", e.Run, is.GetAnnotations()[v1alpha1.ReasonsAnnotation])
		j.write(e)
		return
	}
	switch ended := RunEnded(is); {
	case ended == "" || RunEnded(was) != "":
		return
	case ended == "True":
		e.Kind, e.Text = RunSucceeded, "run "+e.Run+" succeeded"
	default:
		e.Kind, e.Text = RunFailed, "run "+e.Run+" FAILED"
	}
	j.write(e)
}

// RunEnded is True or False for a run that has ended, as its condition Succeeded has it,
// and empty for one that is in flight.
func RunEnded(run *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(run.Object, "status", "conditions")
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != "Succeeded" {
			continue
		}
		if status, _ := condition["status"].(string); status == "True" || status == "False" {
			return status
		}
	}
	return ""
}

// workload writes down that a workload was patched, and that it runs its template.
func (j *Journal) workload(before, after any) {
	object, ok := after.(client.Object)
	if !ok {
		return
	}
	is, err := workload.FromObject(object)
	if err != nil {
		return
	}
	e := Entry{Object: is.Namespace + "/" + is.String()}
	was := plan.Workload{}
	if earlier, ok := before.(client.Object); ok {
		was, _ = workload.FromObject(earlier)
	}
	if before != nil && images(was) != images(is) {
		e.Kind, e.Text = Patched, "gets "+images(is)
		j.write(e)
	}
	if is.Health == plan.Healthy && was.Health != plan.Healthy {
		e.Kind, e.Text = RolledOut, is.HealthMessage
		j.write(e)
	}
}

// images are the images of a workload's containers, their digests shortened.
func images(w plan.Workload) string {
	var all []string
	for _, c := range w.Containers {
		all = append(all, ShortImage(c.Image))
	}
	return strings.Join(all, ", ")
}

// ShortImage is an image without its registry, its digest as short as status shows it.
func ShortImage(image string) string {
	_, image, _ = strings.Cut(image, "/")
	name, digest, pinned := strings.Cut(image, "@sha256:")
	if !pinned || len(digest) < 12 {
		return image
	}
	return name + "@" + digest[:12]
}
