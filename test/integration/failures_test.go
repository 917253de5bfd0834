// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/failures"
)

// subject is the lineage that a failure happens to, and neighbour another one that must
// not notice.
const (
	subject   = "app"
	neighbour = "near"
)

// maxLooks bounds how often the subject may be looked at while its failure lasts and
// its neighbour cascades: a loop would pass it within a second.
const maxLooks = 60

// driver makes one row of the table happen. Only cause is needed.
type driver struct {
	// options of the world.
	options []func(*world)
	// arrange makes what is there before; by default the subject is built from a base,
	// rolled out, and at rest.
	arrange func(*world)
	// cause makes it go wrong.
	cause func(*world)
	// lasts checks what else is true while it lasts.
	lasts func(*world)
	// cure takes the cause away.
	cure func(*world)
	// ends checks what else is true afterwards.
	ends func(*world)
	// alone is true where the API server is changed for all worlds.
	alone bool
	// noBuilds is true where no lineage of the namespace can be built while it lasts:
	// then lasts shows that others go on, and the neighbour cascades afterwards.
	noBuilds bool
}

// drivers of the rows, by name. Each file adds those of its groups.
var drivers = map[string]driver{}

func register(more map[string]driver) bool {
	maps.Copy(drivers, more)
	return true
}

// TestFailures makes every failure of the table happen, each beside a neighbour.
func TestFailures(t *testing.T) {
	for _, row := range failures.Of(failures.Integration) {
		if d, ok := drivers[row.Name]; ok && !d.alone {
			t.Run(row.Name, func(t *testing.T) {
				t.Parallel()
				failing(t, row, d)
			})
		}
	}
}

// TestFailuresOfTheCluster are those that no other world may see.
func TestFailuresOfTheCluster(t *testing.T) {
	for _, row := range failures.Of(failures.Integration) {
		if d, ok := drivers[row.Name]; ok && d.alone {
			t.Run(row.Name, func(t *testing.T) { failing(t, row, d) })
		}
	}
}

// TestEveryFailureHappens compares the table with the drivers.
func TestEveryFailureHappens(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range failures.Of(failures.Integration) {
		rows[row.Name] = true
		if _, ok := drivers[row.Name]; !ok {
			t.Errorf("nothing makes %q happen", row.Name)
		}
	}
	for name := range drivers {
		if !rows[name] {
			t.Errorf("%q is not in the table", name)
		}
	}
}

// failing is the one asserter of all rows: the failure is seen and said, it causes no
// loop, its neighbour does not notice and cascades, and it ends when its cause does.
func failing(t *testing.T, row failures.Row, d driver) {
	t.Helper()
	w := newWorld(t, d.options...)
	w.neighbours()
	if d.arrange == nil {
		d.arrange = (*world).atRest
	}
	d.arrange(w)
	if len(w.processes) == 0 {
		w.start(0)
	}
	w.waitNeighbour(w.shows("near-base:1"))
	others := []string{"near-base", neighbour}
	if d.noBuilds {
		others = others[:1]
	}
	untouched := w.versionsOf(others...)
	looks := w.looksAt(subject)

	d.cause(w)
	if row.Reason != "" {
		w.waitSaid(row.Reason, row.Says)
	}
	if row.Event != "" {
		w.waitEvent(row.Event)
	}
	if d.lasts != nil {
		d.lasts(w)
	}
	if now := w.versionsOf(others...); now != untouched {
		t.Errorf("the neighbour noticed: it was %s and is %s", untouched, now)
	}
	if !d.noBuilds {
		w.cascadeNeighbour()
	}
	if n := w.looksAt(subject) - looks; n > maxLooks {
		t.Errorf("it was looked at %d times while that lasted, want %d at most", n, maxLooks)
	} else if w.looksAt(neighbour) == 0 {
		t.Error("the looks are not counted: the neighbour was never looked at")
	} else {
		t.Logf("looked at %d times", n)
	}

	if d.cure != nil {
		d.cure(w)
	}
	if row.After != "" {
		w.waitReady(subject, row.After)
	}
	if d.ends != nil {
		d.ends(w)
	}
	if d.noBuilds {
		w.cascadeNeighbour()
	}
}

// neighbours makes near-base → near, with a Deployment.
func (w *world) neighbours() {
	w.t.Helper()
	w.push("near-base:1", "near-base one")
	w.create(w.followed("near-base", "near-base:1"), w.produced(neighbour, "near:1", "near-base"), w.deployment(neighbour, "near:1"))
}

// cascadeNeighbour moves the neighbour's base, and waits until it is rolled out.
func (w *world) cascadeNeighbour() {
	w.t.Helper()
	w.push("near-base:1", "near-base two")
	w.check("near-base")
	w.waitNeighbour(w.shows("near-base:1"))
}

// waitNeighbour waits until the neighbour is rolled out on a base, and at rest: the tag
// that was published has been read again, which takes its turn after what publishing cost.
func (w *world) waitNeighbour(base v1alpha1.Digest) {
	w.t.Helper()
	w.waitFor(neighbour, "rolled out on "+string(base), func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1" &&
			len(l.Status.Current.Roots) == 1 && l.Status.Current.Roots[0].Digest == base &&
			meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionResolved)
	})
}

// base makes the base that the subject is built from.
func (w *world) base() {
	w.t.Helper()
	w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"))
}

// atRest makes the subject with its base and its Deployment, and waits until it is
// built and rolled out.
func (w *world) atRest() {
	w.t.Helper()
	w.base()
	w.create(w.produced(subject, "app:1", "base"), w.deployment(subject, "app:1"))
	w.start(0)
	w.waitRolledOut(w.shows("base:1"))
}

// waitRunning waits until the lineage is at the digest and its one workload runs it. A
// pod that starts late on a plain tag finds a newer image there: it is current, and no
// patch follows.
func (w *world) waitRunning(lineage string, digest v1alpha1.Digest) {
	w.t.Helper()
	w.waitFor(lineage, "rolled out on "+string(digest), func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && current(l) == digest && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1"
	})
}

// moveBase pushes another base, and has it seen.
func (w *world) moveBase(content string) v1alpha1.Digest {
	w.t.Helper()
	digest := w.push("base:1", content)
	w.check("base")
	return digest
}

// waitSaid waits until the subject is Ready for a reason, in these words.
func (w *world) waitSaid(reason string, words []string) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(subject, fmt.Sprintf("%s in the words %q", reason, words), func(l *v1alpha1.ImageLineage) bool {
		missing := func(word string) bool { return !strings.Contains(message(l), word) }
		return ready(l) == reason && !slices.ContainsFunc(words, missing)
	})
}

// waitEvent waits until an Event of a reason tells of the subject.
func (w *world) waitEvent(reason string) {
	w.t.Helper()
	var told []string
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		told = nil
		found := &eventsv1.EventList{}
		if err := admin.List(ctx, found, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		for _, e := range found.Items {
			if e.Regarding.Name == subject {
				told = append(told, e.Reason)
			}
		}
		return slices.Contains(told, reason), nil
	})
	if err != nil {
		w.t.Errorf("no Event %s tells of it, but %q", reason, told)
	}
}

// versionsOf are the resource versions of lineages, in one string.
func (w *world) versionsOf(names ...string) string {
	w.t.Helper()
	var versions []string
	for _, name := range names {
		versions = append(versions, name+" "+w.lineage(name).ResourceVersion)
	}
	return strings.Join(versions, ", ")
}

// looksAt is how often all operators together have looked at a lineage.
func (w *world) looksAt(name string) int {
	n := 0
	for _, p := range w.processes {
		n += p.life.looksAt(name)
	}
	return n
}

// runsOf are the runs of a lineage, of which Tekton may have ended some.
func (w *world) runsOf(lineage string) int {
	w.t.Helper()
	found := pipelineRuns()
	if err := admin.List(w.t.Context(), found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: lineage}); err != nil {
		w.t.Fatal(err)
	}
	return len(found.Items)
}

func (w *world) wantRuns(lineage string, want int) {
	w.t.Helper()
	if got := w.runsOf(lineage); got != want {
		w.t.Errorf("%d runs of %s, want %d: %s", got, lineage, want, describe(w.lineage(lineage)))
	}
}
