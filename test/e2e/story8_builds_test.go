//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

// hangs is the script of a step that does not end.
const hangs = "#!/bin/sh\nexec sleep 600\n"

// unbuilt pushes the subject's base: the subject itself comes when it goes wrong.
func (w *trouble) unbuilt() { w.push(subject, first) }

// builtOnce checks that one run more than those that went before has built the subject.
func builtOnce(content string, before int) func(*trouble) {
	return func(w *trouble) {
		w.isOn(subject, content)
		w.wantRuns(before + 1)
	}
}

// Tekton's own webhook refuses a run: a param is given twice.
var refusedByTekton = driver{
	place:   "trouble-refused",
	arrange: (*trouble).unbuilt,
	cause: func(w *trouble) {
		twice := w.kin(subject)
		twice.Twice = true
		w.declare(twice)
	},
	lasts: func(w *trouble) { w.wantRuns(0) },
	cure:  func(w *trouble) { w.declare(w.kin(subject)) },
	ends:  func(w *trouble) { builtOnce(first, 0)(w); w.keepsTwoRuns() },
}

// keepsTwoRuns builds twice more, and waits until the first run is deleted: its lineage
// asks for that, and the operator has the right to do it.
func (w *trouble) keepsTwoRuns() {
	w.t.Helper()
	for _, content := range []string{later, "latest"} {
		w.move(subject, content)
		w.isOn(subject, content)
	}
	until(w.t, answerLimit, "two runs", func(ctx context.Context) error {
		runs, err := w.runs(ctx)
		if err == nil && len(runs) != 2 {
			err = fmt.Errorf("there are %d", len(runs))
		}
		return err
	})
}

// A step ends with a code of its own. Mending the Pipeline is no new input: it is tried
// again when the backoff is over.
var stepFails = driver{
	place:   "trouble-step",
	arrange: (*trouble).unbuilt,
	cause: func(w *trouble) {
		w.pipeline(subject, "breaks", "#!/bin/sh\nexit 7\n")
		breaks := w.kin(subject)
		breaks.Pipeline = "breaks"
		w.declare(breaks)
	},
	lasts: func(w *trouble) { w.wantRuns(1) },
	cure:  func(w *trouble) { w.pipeline(subject, "breaks", "") },
	ends:  builtOnce(first, 1),
}

// A step does not end, and the run's time is over. Another template is another input: it
// is built at once.
var runTimesOut = driver{
	place:   "trouble-timeout",
	arrange: (*trouble).unbuilt,
	cause: func(w *trouble) {
		w.pipeline(subject, "hangs", hangs)
		late := w.kin(subject)
		late.Pipeline, late.Timeout = "hangs", "15s"
		w.declare(late)
	},
	lasts: func(w *trouble) { w.wantRuns(1) },
	cure:  func(w *trouble) { w.declare(w.kin(subject)) },
	ends:  builtOnce(first, 1),
}

// A namespace is deleted while a run in it is in flight.
var namespaceDeleted = driver{
	place: "trouble-deleted",
	apart: true,
	cause: func(w *trouble) {
		w.pipeline(subject, buildImage, hangs)
		w.move(subject, later)
		until(w.t, answerLimit, "a pod of the run", w.atWork)
		must(w.t, live.Client.Delete(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace(subject)}}))
	},
	ends: func(w *trouble) {
		until(w.t, time.Minute, "the end of the namespace", func(ctx context.Context) error {
			namespace := &corev1.Namespace{}
			err := live.Client.Get(ctx, types.NamespacedName{Name: w.namespace(subject)}, namespace)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return errors.Join(err, fmt.Errorf("it is %s: %+v", namespace.Status.Phase, namespace.Status.Conditions))
		})
		w.fewErrors()
	},
}

// atWork holds when a step of the subject's newest run is at work.
func (w *trouble) atWork(ctx context.Context) error {
	l, err := live.Lineage(ctx, w.placeOf(subject), subject)
	if err != nil {
		return err
	}
	if l.Status.Run == nil || l.Status.Run.Outcome != "" {
		return errors.New("no run is in flight")
	}
	pods, err := w.pods(ctx, client.MatchingLabels{"tekton.dev/pipelineRun": l.Status.Run.Name})
	if err != nil {
		return err
	}
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning {
			return nil
		}
	}
	return fmt.Errorf("none of %d is running", len(pods))
}

// pods of the subject's namespace.
func (w *trouble) pods(ctx context.Context, which client.MatchingLabels) ([]corev1.Pod, error) {
	found := &corev1.PodList{}
	err := live.Client.List(ctx, found, client.InNamespace(w.namespace(subject)), which)
	return found.Items, err
}

// maxErrors bounds the errors that the operator may log of a namespace while it is
// deleted.
const maxErrors = 5

// fewErrors checks that the operator does not try without end to write into a namespace
// that is gone.
func (w *trouble) fewErrors() {
	w.t.Helper()
	log, err := live.Cluster.Run(w.t.Context(), "logs", "--namespace", shop.OperatorNamespace, "--selector", operatorLabels, "--tail=-1")
	must(w.t, err)
	var told []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") && strings.Contains(line, w.namespace(subject)) {
			told = append(told, line)
		}
	}
	if len(told) > maxErrors {
		w.t.Errorf("the operator logged %d errors, want %d at most:\n%s", len(told), maxErrors, strings.Join(told, ""))
	} else {
		w.t.Logf("the operator logged %d errors:\n%s", len(told), strings.Join(told, ""))
	}
}
