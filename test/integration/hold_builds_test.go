// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// windowIn is a window that opens after some time and stays open for an hour, with when
// it opens.
func (w *world) windowIn(wait time.Duration) (v1alpha1.BuildWindow, time.Time) {
	opens := w.clock.Now().Add(wait).UTC().Truncate(time.Minute)
	return v1alpha1.BuildWindow{Schedule: fmt.Sprintf("%d %d * * *", opens.Minute(), opens.Hour()), Duration: "1h"}, opens
}

// windowed is a driver of a lineage whose build window cannot be used.
func windowed(window v1alpha1.BuildWindow) driver {
	return driver{
		arrange: (*world).base,
		cause: func(w *world) {
			l := w.produced(subject, "app:1", "base")
			l.Spec.Build.Windows = []v1alpha1.BuildWindow{window}
			w.create(l)
		},
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Build.Windows = nil })
		},
	}
}

var _ = register(map[string]driver{
	"a build window with a schedule that is none": windowed(v1alpha1.BuildWindow{Schedule: "@daily", Duration: "1h"}),
	"a build window in a time zone of nowhere":    windowed(v1alpha1.BuildWindow{Schedule: "0 22 * * *", Duration: "1h", TimeZone: "Europe/Atlantis"}),
})

func TestBuildsBeginInTheirWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.chain()
	w.start(0)
	before := current(w.waitRolledOut(w.shows("base:1")))

	window, opens := w.windowIn(2 * time.Hour)
	w.edit("mid", func(l *v1alpha1.ImageLineage) { l.Spec.Build.Windows = []v1alpha1.BuildWindow{window} })
	w.tekton.behave("mid", holds)
	second := w.moveBase("base two")
	l := w.waitReady("mid", v1alpha1.ReasonHeldWindow)
	if !meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReady) || !meta.IsStatusConditionFalse(l.Status.Conditions, v1alpha1.ConditionUpToDate) ||
		!strings.Contains(message(l), opens.Format(time.RFC3339)) || !strings.Contains(message(l), "urgent:REASON") {
		t.Errorf("want until when it is held, and how to lift that: %s", describe(l))
	}
	// Nobody waits for a night.
	app := w.waitReady("app", v1alpha1.ReasonUpToDate)
	if current(app) != before || len(app.Status.WaitingFor) > 0 {
		t.Errorf("app waits for a window: %s", describe(app))
	}

	// A run that has begun goes on when its window closes.
	w.move(2 * time.Hour)
	w.waitReady("mid", v1alpha1.ReasonBuilding)
	w.waitReady("app", v1alpha1.ReasonAncestorOutdated)
	w.move(61 * time.Minute)
	w.tekton.behave("mid", builds)
	w.waitRolledOut(second)

	// What is urgent does not wait, and says why.
	third := w.moveBase("base three")
	l = w.waitReady("mid", v1alpha1.ReasonHeldWindow)
	if tomorrow := opens.Add(24 * time.Hour).Format(time.RFC3339); !strings.Contains(message(l), tomorrow) {
		t.Errorf("want it to open at %s: %s", tomorrow, message(l))
	}
	w.edit("mid", func(l *v1alpha1.ImageLineage) {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, v1alpha1.RebuildAnnotation, "urgent:CVE-2026-1")
	})
	w.waitRolledOut(third)
	l = w.waitReady("mid", v1alpha1.ReasonUpToDate)
	if reasons := l.Status.Current.Reasons; !slices.Contains(reasons, "urgent:CVE-2026-1") || !slices.Contains(l.Status.Run.Reasons, "urgent:CVE-2026-1") {
		t.Errorf("it is not recorded why it was urgent: %s", describe(l))
	}
	w.wantRuns("mid", 3)
	w.wantRuns("app", 3)
}

// planKey is what the command in the message of Ready approves.
var planKey = regexp.MustCompile(`^a build waits for approval \(spec\.build\.approval\): kubectl annotate imagelineage (\S+) -n (\S+) imagelineage\.dev/approve=(plan-[0-9a-f]{16}) --overwrite; `)

// waitApproval waits until a lineage asks for another approval than before, and returns
// the key.
func (w *world) waitApproval(name, before string) string {
	w.t.Helper()
	key := ""
	w.waitFor(name, "waiting for approval", func(l *v1alpha1.ImageLineage) bool {
		if parts := planKey.FindStringSubmatch(message(l)); parts != nil && parts[1] == name && parts[2] == w.namespace {
			key = parts[3]
		}
		return ready(l) == v1alpha1.ReasonHeldApproval && key != "" && key != before
	})
	return key
}

func TestBuildsNeedApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	approve := func(key string) {
		w.edit("app", func(l *v1alpha1.ImageLineage) {
			metav1.SetMetaDataAnnotation(&l.ObjectMeta, v1alpha1.ApproveAnnotation, key)
		})
	}
	w.push("base:1", "base one")
	app := w.produced("app", "app:1", "base")
	app.Spec.Build.Approval = v1alpha1.ApprovalRequired
	w.create(w.followed("base", "base:1"), app)
	w.start(0)
	key := w.waitApproval("app", "")
	l := w.lineage("app")
	if !meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReconciling) {
		t.Errorf("without an image there is nothing to be ready with: %s", describe(l))
	}
	w.wantRuns("app", 0)
	approve(key)
	l = w.waitReady("app", v1alpha1.ReasonUpToDate)
	if l.Status.Handled == nil || l.Status.Handled.Approve != key {
		t.Errorf("it is not said what was approved: %+v", l.Status.Handled)
	}

	// Other inputs need another approval, and that of the inputs before lets nothing pass.
	w.moveBase("base two")
	second := w.waitApproval("app", key)
	last := w.moveBase("base three")
	third := w.waitApproval("app", second)
	approve(second)
	w.check("app")
	w.waitFor("app", "told of the check", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Handled.Check == l.Annotations[v1alpha1.CheckAnnotation] && ready(l) == v1alpha1.ReasonHeldApproval
	})
	w.wantRuns("app", 1)
	approve(third)
	w.waitKnown("app", last)
	w.wantRuns("app", 2)
}
