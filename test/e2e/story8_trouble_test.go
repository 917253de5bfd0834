//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// buildImage is the name of the shop's pipeline.
const buildImage = "build-image"

// trouble is what surrounds a failure: a subject and a neighbour.
type trouble struct {
	driver

	t *testing.T
	// digests of what was pushed, by who stands on it and by its content.
	digests map[string]string
	// restore puts back what was changed for everybody.
	restore func()
}

// newTrouble makes what is there before it goes wrong.
func newTrouble(t *testing.T, d driver) *trouble {
	t.Helper()
	w := &trouble{driver: d, t: t, digests: map[string]string{}}
	dumpWhenFailed(t, w.namespace(subject), w.namespace(neighbour))
	w.claim(subject)
	if w.apart {
		w.claim(neighbour)
	}
	w.push(neighbour, first)
	w.declare(w.kin(neighbour))
	if d.arrange == nil {
		d.arrange = (*trouble).atRest
	}
	d.arrange(w)
	return w
}

// claim makes the namespace of a lineage, with the pipeline that builds. One that exists
// is somebody else's, and is left alone.
func (w *trouble) claim(name string) {
	w.t.Helper()
	must(w.t, live.Client.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: w.namespace(name), Labels: map[string]string{shop.PartOfLabel: live.PartOf},
	}}))
	w.pipeline(name, buildImage, "")
}

// atRest makes the subject, and waits until it is built and rolled out.
func (w *trouble) atRest() {
	w.t.Helper()
	w.push(subject, first)
	w.declare(w.kin(subject))
	w.isOn(subject, first)
}

// kin is a lineage and what belongs to it, as testdata knows it.
type kin struct {
	Place, Name string
	// Pipeline that builds it, and its Timeout, where there is one.
	Pipeline, Timeout string
	// Twice is true where a param is given twice.
	Twice bool
	// Deadline of the Deployment, in seconds; 0 for Kubernetes' own.
	Deadline int
	// Edition is a label of the image, where there is one: another is another template.
	Edition string
	// Mirror of its base, a repository, where there is one.
	Mirror string
	// Tag that its Deployment begins with, and the versions that Tags follows in its
	// place, where there are any.
	Tag, Tags string
}

// kin is the lineage of a name as it should be.
func (w *trouble) kin(name string) kin {
	return kin{Place: w.placeOf(name), Name: name, Pipeline: buildImage, Tag: "1"}
}

func (w *trouble) placeOf(name string) string {
	if w.apart && name == neighbour {
		return w.place + "-near"
	}
	return w.place
}

func (w *trouble) namespace(name string) string { return live.Namespace(w.placeOf(name)) }

// declare applies a lineage: with its base, or with its Deployment.
func (w *trouble) declare(k kin) {
	w.t.Helper()
	if w.follows {
		apply(w.t, "followed.yaml", k)
	} else {
		apply(w.t, "built.yaml", k)
	}
}

// pipeline makes the shop's pipeline in the namespace of a lineage, under a name; and
// with another script for its one step, where one is given.
func (w *trouble) pipeline(of, name, script string) {
	w.t.Helper()
	objects, err := live.Render("pipeline.yaml", w.namespace(of))
	must(w.t, err)
	objects[0].SetName(name)
	if script != "" {
		must(w.t, setScript(objects[0], script))
	}
	must(w.t, shop.Apply(w.t.Context(), live.Client, objects))
}

// setScript changes the script of a pipeline's first step.
func setScript(pipeline *unstructured.Unstructured, script string) error {
	tasks, _, err := unstructured.NestedSlice(pipeline.Object, "spec", "tasks")
	if err != nil {
		return err
	}
	task, ok := tasks[0].(map[string]any)
	if !ok {
		return errors.New("the pipeline's first task is no object")
	}
	steps, _, err := unstructured.NestedSlice(task, "taskSpec", "steps")
	if err != nil {
		return err
	}
	step, ok := steps[0].(map[string]any)
	if !ok {
		return errors.New("the pipeline's first step is no object")
	}
	step["script"] = script
	return errors.Join(unstructured.SetNestedSlice(task, steps, "taskSpec", "steps"),
		unstructured.SetNestedSlice(pipeline.Object, tasks, "spec", "tasks"))
}

// stays is the program of a container that is well.
const stays = "touch /tmp/ready; exec sleep 3600"

// push pushes what a lineage stands on: its base, or the image that it follows.
func (w *trouble) push(name, content string) {
	w.t.Helper()
	if w.follows {
		w.pushProgram(name, content, stays)
		return
	}
	digest, err := live.PushFiles(w.t.Context(), fmt.Sprintf("%s/%s-base:1", w.placeOf(name), name), map[string]string{"content": content})
	must(w.t, err)
	w.digests[name+" "+content] = digest
}

// pushProgram pushes the image that a lineage follows: Debian, with a shell's script as
// its command.
func (w *trouble) pushProgram(name, content, script string) {
	w.t.Helper()
	w.digests[name+" "+content] = w.pushTag(w.tag(name), content, script)
}

// pushTag pushes such an image under a tag, and returns its digest.
func (w *trouble) pushTag(tag, content, script string) string {
	w.t.Helper()
	image, err := live.Registry.Pull(w.t.Context(), live.BaseVersion(shop.FirstVersion))
	must(w.t, err)
	config, err := image.ConfigFile()
	must(w.t, err)
	changed := config.Config.DeepCopy()
	changed.Cmd = []string{"sh", "-c", script}
	changed.Labels = map[string]string{"content": content}
	image, err = mutate.Config(image, *changed)
	must(w.t, err)
	digest, err := live.Registry.Push(w.t.Context(), tag, image)
	must(w.t, err)
	return digest
}

// tag is the reference that a lineage is about.
func (w *trouble) tag(name string) string {
	return live.Image(fmt.Sprintf("%s/%s:1", w.placeOf(name), name))
}

// move pushes another state of what a lineage stands on, and has it seen.
func (w *trouble) move(name, content string) {
	w.t.Helper()
	w.push(name, content)
	w.look(name)
}

// look has the operator ask the registry now.
func (w *trouble) look(name string) {
	w.t.Helper()
	followed := name
	if !w.follows {
		followed += "-base"
	}
	patchObject(w.t, &v1alpha1.ImageLineage{}, w.namespace(name), followed, fmt.Sprintf(
		`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.CheckAnnotation, strconv.FormatInt(time.Now().UnixNano(), 36)))
}

// isOn waits until a lineage is built on a content of its base; or, where it is
// followed, until its pods run it.
func (w *trouble) isOn(name, content string) {
	w.t.Helper()
	digest := w.digests[name+" "+content]
	becomes(w.t, answerLimit, w.placeOf(name), name, func(l *v1alpha1.ImageLineage) error {
		if w.follows {
			return errors.Join(shows(l, digest), says(l, "Ready=True UpToDate", "RolledOut=True RolledOut"))
		}
		if on := l.Status.Current.BuiltFrom; len(on) != 1 || string(on[0].Digest) != digest {
			return fmt.Errorf("%s is built on %+v, want %s; %s", l.Name, on, digest, all(l.Status.Conditions))
		}
		// At rest: the tag that was published has been read again, too.
		return says(l, "Ready=True UpToDate", "Resolved=True Resolved")
	})
}

// read reads a lineage.
func (w *trouble) read(name string) *v1alpha1.ImageLineage {
	w.t.Helper()
	return lineage(w.t, w.placeOf(name), name)
}

// isSaid waits until the subject is Ready for a reason, in these words.
func (w *trouble) isSaid(reason string, words []string) {
	w.t.Helper()
	until(w.t, answerLimit, reason, func(ctx context.Context) error {
		l, err := live.Lineage(ctx, w.placeOf(subject), subject)
		if err != nil {
			return err
		}
		ready := shop.Condition(l, v1alpha1.ConditionReady)
		missing := func(word string) bool { return !strings.Contains(ready.Message, word) }
		if ready.Reason != reason || ready.ObservedGeneration != l.Generation || slices.ContainsFunc(words, missing) {
			return fmt.Errorf("it says %s: %s; want it to say %q", ready.Reason, ready.Message, words)
		}
		return nil
	})
}

// isTold waits until an Event of a reason tells of the subject.
func (w *trouble) isTold(reason string) {
	w.t.Helper()
	until(w.t, answerLimit, "the Event "+reason, func(ctx context.Context) error {
		told, err := w.told(ctx)
		if err == nil && told[reason] == 0 {
			err = fmt.Errorf("only %v tell of it", told)
		}
		return err
	})
}

// told counts the Events of the subject, by their reasons.
func (w *trouble) told(ctx context.Context) (map[string]int, error) {
	found := &eventsv1.EventList{}
	err := live.Client.List(ctx, found, client.InNamespace(w.namespace(subject)))
	told := map[string]int{}
	for i := range found.Items {
		e := &found.Items[i]
		if e.Regarding.Kind != "ImageLineage" || e.Regarding.Name != subject {
			continue
		}
		told[e.Reason]++
		if e.Series != nil {
			told[e.Reason] += int(e.Series.Count) - 1
		}
	}
	return told, err
}

// isToldOnce checks that it was not told again while it lasts.
func (w *trouble) isToldOnce(reason string) {
	w.t.Helper()
	told, err := w.told(w.t.Context())
	must(w.t, err)
	if told[reason] != 1 {
		w.t.Errorf("%d Events %s tell of it, want one", told[reason], reason)
	}
}

// versions are the resource versions of the neighbour's lineages, in one string.
func (w *trouble) versions() string {
	w.t.Helper()
	found := &v1alpha1.ImageLineageList{}
	must(w.t, live.Client.List(w.t.Context(), found, client.InNamespace(w.namespace(neighbour))))
	var versions []string
	for i := range found.Items {
		if l := &found.Items[i]; strings.HasPrefix(l.Name, neighbour) {
			versions = append(versions, l.Name+" "+l.ResourceVersion)
		}
	}
	return strings.Join(versions, ", ")
}

// startLog begins to count what the operator writes; nil where it cannot be seen.
func (w *trouble) startLog() *auditWrites {
	w.t.Helper()
	if live.Cluster.AuditLog == "" {
		return nil
	}
	log, err := newAuditWrites()
	must(w.t, err)
	return log
}

// ofSubject are the writes to the subject, its base, its runs and its Events.
func (w *trouble) ofSubject(written []string) []string {
	return slices.DeleteFunc(written, func(write string) bool {
		return !strings.Contains(write, " "+w.namespace(subject)+"/"+subject)
	})
}

// runs are the runs of the subject.
func (w *trouble) runs(ctx context.Context) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("tekton.dev/v1")
	list.SetKind("PipelineRunList")
	err := live.Client.List(ctx, list, client.InNamespace(w.namespace(subject)), client.MatchingLabels{v1alpha1.LineageLabel: subject})
	return list.Items, err
}

// wantRuns checks how many runs the subject has had.
func (w *trouble) wantRuns(want int) {
	w.t.Helper()
	runs, err := w.runs(w.t.Context())
	must(w.t, err)
	if len(runs) != want {
		w.t.Errorf("the subject was built %d times, want %d", len(runs), want)
	}
}
