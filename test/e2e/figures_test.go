//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/test/shop"
)

// Overhead is time that the operator adds to that of builds and rollouts, as a factor.
const (
	overheadAim   = 1.15
	overheadLimit = 1.5
)

// report collects the figures that are printed at the end.
type report struct{ lines []string }

func (r *report) add(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *report) print(out io.Writer) {
	fmt.Fprintln(out, "\n=== figures")
	for _, line := range r.lines {
		fmt.Fprintln(out, "figure:", line)
	}
}

// way is the way of a cascade to one application.
type way struct {
	app     string
	arrived time.Time
	// inside is the time in runs and in the kubelets' rollout.
	inside time.Duration
}

// cascadeFigures takes the critical path: the base was accepted, the intermediary's run,
// the run of the application that arrived last, its rollout. A run counts from its
// creation to its end, as the watch told of them: Tekton's own times are whole seconds.
func cascadeFigures(t *testing.T, pushed time.Time) {
	t.Helper()
	accepted := lineage(t, "platform", "debian").Status.Current.Accepted.Time
	corp := between(t, pushed, shop.RunStarted, shop.RunSucceeded, live.Namespace("platform")+"/corp-base")
	var last way
	for app, workload := range map[string]string{"web": "deployment/web", "web-admin": "deployment/web-admin", "api": "statefulset/api"} {
		lineage := map[string]string{"web": "web", "web-admin": "web", "api": "api"}[app]
		namespace := live.Namespace("shop") + "/"
		run := between(t, pushed, shop.RunStarted, shop.RunSucceeded, namespace+lineage)
		rollout := between(t, pushed, shop.Patched, shop.RolledOut, namespace+workload)
		if rollout.end.After(last.arrived) {
			last = way{app: app, arrived: rollout.end, inside: corp.length() + run.length() + rollout.length()}
		}
	}
	const hops = 3
	total := last.arrived.Sub(accepted)
	overhead := float64(total) / float64(last.inside)
	figures.add("detection %.1f s from the push to its acceptance, polling every 10 s", accepted.Sub(pushed).Seconds())
	figures.add("overhead %.3f (%.1f s from acceptance to the last pod of %s, %.1f s of it in runs and rollouts; aim %.2f, limit %.2f)",
		overhead, total.Seconds(), last.app, last.inside.Seconds(), overheadAim, overheadLimit)
	figures.add("%d ms a hop (%d hops)", (total-last.inside).Milliseconds()/hops, hops)
	if overhead > overheadLimit {
		t.Errorf("overhead %.3f is above %.2f", overhead, overheadLimit)
	}
}

// span is a part of the way.
type span struct{ begin, end time.Time }

func (s span) length() time.Duration { return s.end.Sub(s.begin) }

// between is the span from the first entry of a kind to the first of another after it.
func between(t *testing.T, after time.Time, from, to shop.EntryKind, object string) span {
	t.Helper()
	first, err := entry(after, from, object)
	must(t, err)
	last, err := entry(first.At, to, object)
	must(t, err)
	return span{begin: first.At, end: last.At}
}
