// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
)

// All of them disturb base → mid → app on its way. Whatever happens, what is left is
// what an undisturbed cascade leaves, run for run and patch for patch.
var _ = register(map[string]driver{
	"the API server is restarted in the middle of a cascade": {
		options: []func(*world){throughWire},
		arrange: (*world).chainAtRest,
		cause:   (*world).restartAPIServer,
		ends:    func(w *world) { w.wantCascaded(1) },
	},
	"every watch is dropped in the middle of a cascade": {
		options: []func(*world){throughWire},
		arrange: (*world).chainAtRest,
		cause:   (*world).dropWatches,
		ends:    func(w *world) { w.wantCascaded(1) },
	},
	"leadership is handed over in the middle of a cascade": {
		options: []func(*world){electing},
		arrange: (*world).chainAtRest,
		cause:   (*world).handOver,
		ends:    func(w *world) { w.wantCascaded(1) },
	},
	// Both do whatever they find due: nothing but the API server's and the registry's
	// own answers keeps them from doing it twice.
	"two operators work at once": {
		arrange: (*world).secondOperator,
		cause:   (*world).oneAsksOnly,
		cure:    func(w *world) { w.moveBase("base three") },
		ends: func(w *world) {
			w.wantCascaded(2)
			for i, p := range w.processes {
				if len(p.life.done()) == 0 {
					w.t.Errorf("operator %d did nothing at all", i)
				}
			}
		},
	},
	"the clock is moved back, and forward again": {
		arrange: (*world).chainAtRest,
		// What is current was accepted two hours from now, and what comes next before it.
		cause: func(w *world) {
			w.tekton.behave("mid", holds)
			moved := w.moveBase("base two")
			w.waitRuns("mid", 2, isLive)
			w.move(-2 * time.Hour)
			w.tekton.behave("mid", builds)
			w.waitRolledOut(moved)
		},
		cure: func(w *world) {
			w.tekton.behave("app", holds)
			w.moveBase("base three")
			w.waitRuns("app", 3, isLive)
			w.move(5 * time.Hour)
			w.tekton.behave("app", builds)
		},
		ends: func(w *world) { w.wantCascaded(2) },
	},
})

// electing has operators work only while they lead.
func electing(w *world) {
	w.flags = append(w.flags, func(o *operator.Options) {
		o.LeaderElect, o.LeaderElectionNamespace = true, w.namespace
	})
}

// chainAtRest makes base → mid → app, and waits until app is built and rolled out.
func (w *world) chainAtRest() {
	w.t.Helper()
	w.chain()
	if len(w.processes) == 0 {
		w.start(0)
	}
	w.waitRolledOut(w.shows("base:1"))
}

// restartAPIServer takes the API server away twice: so that the end of a run is not
// seen, and so that a publish cannot be recorded.
func (w *world) restartAPIServer() {
	w.t.Helper()
	w.tekton.behave("mid", holds)
	w.moveBase("base two")
	w.waitRuns("mid", 2, isLive)
	w.wire.down()
	w.tekton.behave("mid", builds)
	w.waitRuns("mid", 2, ended)

	publishing := w.faults.before("PUT", "/app/manifests/1", w.wire.down)
	w.wire.up()
	w.waitDone(publishing, "app is published")
	w.waitTag("app", "mid")
	if l := w.lineage(subject); current(l) == w.shows("app:1") {
		w.t.Errorf("the publish was recorded, though the API server is away: %s", describe(l))
	}
	w.wire.up()
}

// dropWatches cuts all connections at five moments: while each run is in flight, as
// each image is published, and during the rollout.
func (w *world) dropWatches() {
	w.t.Helper()
	for _, lineage := range []string{"mid", "app"} {
		w.tekton.behave(lineage, holds)
	}
	w.kubelet.behave(subject, cannotPull)
	w.moveBase("base two")
	for _, lineage := range []string{"mid", "app"} {
		w.waitRuns(lineage, 2, isLive)
		publishing := w.faults.before("PUT", "/"+lineage+"/manifests/1", w.wire.cut)
		w.wire.cut()
		w.tekton.behave(lineage, builds)
		w.waitDone(publishing, lineage+" is published")
	}
	w.waitImages(subject, map[string]string{"app": "app:1"})
	w.wire.cut()
	w.kubelet.behave(subject, runs)
}

// handOver has three operators lead one after the other: the first one ends while a
// run is in flight, the second one with a publish that it never records.
func (w *world) handOver() {
	w.t.Helper()
	first := w.processes[0]
	second := w.startUntil("publish " + w.image("app:1"))
	w.tekton.behave("mid", holds)
	w.moveBase("base two")
	w.waitRuns("mid", 2, isLive)
	if done := second.life.done(); len(done) > 0 {
		w.t.Errorf("the second operator works before it leads: %v", done)
	}
	first.stop()
	w.tekton.behave("mid", builds)
	w.waitDone(second.life.dead, "app is published by the second operator")
	w.start(0)
	second.stop()
	w.waitRolledOut(w.shows("base:1"))

	lease := &coordinationv1.Lease{}
	if err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "imagelineage.dev"}, lease); err != nil {
		w.t.Fatal(err)
	}
	if n := lease.Spec.LeaseTransitions; n == nil || *n != 2 {
		w.t.Errorf("the lease was not handed over twice: %+v", lease.Spec)
	}
}

// secondOperator is started long after the first one, so that they ask the registry at
// different times, and without a Lease between them.
func (w *world) secondOperator() {
	w.t.Helper()
	w.chainAtRest()
	asked := w.faults.requests("", "/base/manifests/1")
	w.move(40 * time.Minute)
	w.start(0)
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		return w.faults.requests("", "/base/manifests/1") > asked, nil
	})
	if err != nil {
		w.t.Fatal("the second operator does not ask for the base")
	}
}

// oneAsksOnly moves the base so that only the first operator sees it by itself: its
// interval of an hour is over, and the other one goes by what the status tells. The
// answers that they have differ now, and they must not write them against each other.
func (w *world) oneAsksOnly() {
	w.t.Helper()
	before := w.writesTo("base")
	moved := w.push("base:1", "base two")
	w.move(35 * time.Minute)
	w.waitRolledOut(moved)
	const most = 10
	if n := w.writesTo("base") - before; n > most {
		w.t.Errorf("the status of the base was written %d times, want %d at most", n, most)
	}
}

// writesTo is how often all operators together have written a lineage's status.
func (w *world) writesTo(lineage string) int {
	n := 0
	for _, p := range w.processes {
		for _, effect := range p.life.done() {
			if effect == "status "+lineage {
				n++
			}
		}
	}
	return n
}

func isLive(run *unstructured.Unstructured) bool { return !ended(run) }

// waitRuns waits, by the API server's own word, until a lineage has so many runs and
// the newest of them is so.
func (w *world) waitRuns(lineage string, n int, is func(*unstructured.Unstructured) bool) {
	w.t.Helper()
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		found := pipelineRuns()
		err := admin.List(ctx, found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: lineage})
		newest := strconv.Itoa(n)
		of := slices.IndexFunc(found.Items, func(run unstructured.Unstructured) bool {
			return run.GetAnnotations()[v1alpha1.NumberAnnotation] == newest
		})
		return len(found.Items) == n && of >= 0 && is(&found.Items[of]), err
	})
	if err != nil {
		w.t.Fatalf("%s never had %d runs with the newest as wanted: %s", lineage, n, describe(w.lineage(lineage)))
	}
}

// waitDone waits for something that is told by a channel.
func (w *world) waitDone(done <-chan struct{}, what string) {
	w.t.Helper()
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		select {
		case <-done:
			return true, nil
		default:
			return false, nil
		}
	})
	if err != nil {
		w.t.Fatalf("it never happened that %s: %s", what, describe(w.lineage(subject)))
	}
}

// waitTag waits until a lineage's tag shows what is built of its parent's.
func (w *world) waitTag(lineage, parent string) {
	w.t.Helper()
	want := w.builtBy(lineage, parent, w.shows(parent+":1"))
	if err := eventually(w.t.Context(), func(context.Context) (bool, error) { return w.shows(lineage+":1") == want, nil }); err != nil {
		w.t.Fatalf("the tag of %s shows %s, want %s", lineage, w.shows(lineage+":1"), want)
	}
}

// wantCascaded compares what a chain was left with after so many moves of its base,
// and its neighbour after one: each lineage was built once for each base, at the first
// attempt, and made one revision of it; the Deployment was written once for each
// image that it did not begin with.
func (w *world) wantCascaded(moves int) {
	w.t.Helper()
	w.waitRolledOut(w.shows("base:1"))
	w.waitReady("mid", v1alpha1.ReasonUpToDate)
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	want := end{
		Runs: []string{neighbour + " 1/1 NeverBuilt", neighbour + " 2/1 ParentChanged"}, Revisions: map[string][]string{},
		Ready: map[string]string{}, Tags: map[string]v1alpha1.Digest{}, Image: "/app:1", Generation: int64(1 + moves),
	}
	for _, name := range []string{"base", "mid", "app"} {
		want.Ready[name] = v1alpha1.ReasonUpToDate
		for n := moves + 1; n >= 1; n-- {
			origin, reason := v1alpha1.OriginBuilt, v1alpha1.ReasonParentChanged
			if name == "base" {
				origin = v1alpha1.OriginFollowed
			}
			if n == 1 {
				reason = v1alpha1.ReasonNeverBuilt
			}
			want.Revisions[name] = append(want.Revisions[name], fmt.Sprintf("%d %s", n, origin))
			if name != "base" {
				want.Runs = append(want.Runs, fmt.Sprintf("%s %d/1 %s", name, n, reason))
			}
		}
	}
	slices.Sort(want.Runs)
	if diff := cmp.Diff(want, w.ended()); diff != "" {
		w.t.Errorf("what is left (-want +got):\n%s", diff)
	}
}
