//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"testing"

	"github.com/imagelineage/imagelineage/test/failures"
)

const (
	// subject is the lineage that a failure happens to, and neighbour another one that
	// must not notice.
	subject   = "app"
	neighbour = "near"
	// first and later are contents of a base.
	first, later = "first", "later"
)

// maxWrites bounds what the operator may write of the subject while its failure lasts
// and its neighbour cascades: a loop would pass it within seconds.
const maxWrites = 30

// driver makes one row of the table happen. Only place and cause are needed.
type driver struct {
	// place is the namespace that it happens in, without the prefix.
	place string
	// follows is true where nothing is built: subject and neighbour are followed images,
	// each with a Deployment.
	follows bool
	// apart puts the neighbour into a namespace of its own.
	apart bool
	// halts is true where nobody's cascade gets on while it lasts. Then nothing else
	// happens meanwhile, and the neighbour's cascade is looked at when it is over.
	halts bool
	// arrange makes what is there before; by default the subject is at rest.
	arrange func(*trouble)
	// cause makes it go wrong.
	cause func(*trouble)
	// lasts checks what else is true while it lasts.
	lasts func(*trouble)
	// cure takes the cause away.
	cure func(*trouble)
	// ends checks what else is true afterwards.
	ends func(*trouble)
}

// drivers of the rows, by name.
var drivers = map[string]driver{
	"a PipelineRun that Tekton refuses":                             refusedByTekton,
	"a namespace that is deleted during a run":                      namespaceDeleted,
	"a step that fails in a real pod":                               stepFails,
	"a run that times out in a real pod":                            runTimesOut,
	"Tekton's real controller is down, and comes back":              tektonDown,
	"an image that crash-loops in a real pod":                       imageCrashes,
	"an image that a real kubelet cannot pull":                      imageNotPulled,
	"the operator hits its memory limit in the middle of a cascade": operatorStarves,
}

// TestStoryFailures: what can only go wrong on a real cluster goes wrong, each beside a
// neighbour.
func TestStoryFailures(t *testing.T) {
	begin(t)
	everyFailureHappens(t)
	// Those that halt everybody come first: the others run side by side when this
	// function is over.
	for _, halts := range []bool{true, false} {
		for _, row := range failures.Of(failures.Cluster) {
			d, ok := drivers[row.Name]
			if !ok || d.halts != halts {
				continue
			}
			t.Run(row.Name, func(t *testing.T) {
				if !halts {
					t.Parallel()
				}
				failing(t, row, d)
			})
		}
	}
}

// everyFailureHappens compares the table with the drivers.
func everyFailureHappens(t *testing.T) {
	t.Helper()
	rows := map[string]bool{}
	for _, row := range failures.Of(failures.Cluster) {
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
	w := newTrouble(t, d)
	w.isOn(neighbour, first)
	untouched, log := w.versions(), w.startLog()

	d.cause(w)
	if row.Reason != "" {
		w.isSaid(row.Reason, row.Says)
	}
	if row.Event != "" {
		w.isTold(row.Event)
	}
	if d.lasts != nil {
		d.lasts(w)
	}
	if now := w.versions(); now != untouched {
		t.Errorf("the neighbour noticed: it was %s and is %s", untouched, now)
	}
	if !d.halts {
		w.neighbourCascades()
	}
	w.fewWrites(log)
	if row.Event != "" {
		w.isToldOnce(row.Event)
	}

	if d.cure != nil {
		d.cure(w)
	}
	if d.halts {
		w.neighbourCascades()
	}
	if row.After != "" {
		w.isSaid(row.After, nil)
	}
	if d.ends != nil {
		d.ends(w)
	}
}

// neighbourCascades has the neighbour's base move, and waits for what comes of it.
func (w *trouble) neighbourCascades() {
	w.t.Helper()
	w.move(neighbour, later)
	w.isOn(neighbour, later)
}

// fewWrites checks that the operator wrote little of the subject. Without an audit log
// that cannot be seen.
func (w *trouble) fewWrites(log *auditWrites) {
	w.t.Helper()
	if log == nil {
		return
	}
	written, err := log.since(context.WithoutCancel(w.t.Context()))
	must(w.t, err)
	written = w.ofSubject(written)
	w.t.Logf("written %d times while that lasted", len(written))
	switch {
	case len(written) > maxWrites:
		w.t.Errorf("that is more than %d times: %v", maxWrites, written)
	case len(written) == 0:
		// It has got a status at least.
		w.t.Error("the audit log does not tell of it")
	}
}
