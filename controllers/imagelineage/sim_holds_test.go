// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestAWindowClosesMidCascade tells one story in the orders of many seeds: the window of
// mid and web closes while mid is being built. mid is published all the same, api is
// built on it, and web when the window opens the next day.
func TestAWindowClosesMidCascade(t *testing.T) {
	for seed := range int64(5) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, seed)
			s.rest()
			before := s.runNames()

			opened := s.now.UTC().Truncate(time.Minute)
			window := v1alpha1.BuildWindow{Schedule: fmt.Sprintf("%d %d * * *", opened.Minute(), opened.Hour()), Duration: "30m"}
			for _, name := range []string{"mid", "web"} {
				s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.Windows = []v1alpha1.BuildWindow{window} }, "a window")
			}
			s.tell("a new base is pushed: %s", s.push("base")[:15])
			s.processes[0].poller.asked[simImage("base")] = true
			s.settle()
			story := []string{s.tellRuns("in the window", before)}

			s.pass(opened.Add(30 * time.Minute).Sub(s.now))
			s.settle()
			story = append(story, s.tellRuns("as it closes", before))

			for s.endRun(false) {
				s.settle()
			}
			story = append(story, s.tellRuns("when mid has ended", before), "web is "+reasonOf(s.read("web")))

			s.pass(opened.Add(24*time.Hour - time.Minute).Sub(s.now))
			s.settle()
			story = append(story, s.tellRuns("before it opens", before))

			s.pass(time.Minute)
			s.settle()
			story = append(story, s.tellRuns("as it opens", before))

			want := []string{
				"in the window: mid", "as it closes: mid", "when mid has ended: api mid", "web is HeldWindow",
				"before it opens: api mid", "as it opens: api mid web",
			}
			if diff := cmp.Diff(want, story); diff != "" {
				s.broken("the story (-want +got):\n%s", diff)
			}
			s.rest()
			s.checkRest()
		})
	}
}

// settle lets everything come to its end but runs, and time.
func (s *sim) settle() {
	p := s.processes[0]
	for range restSteps {
		if !p.deliver() && !s.reconcile(p) && !p.poller.end(p.queue) && !p.poller.begin(true) {
			return
		}
	}
	s.broken("it does not settle in %d steps: a loop", restSteps)
}

// runNames are the runs that were ever created.
func (s *sim) runNames() map[string]bool {
	names := map[string]bool{}
	for name := range s.book.runs {
		names[name] = true
	}
	return names
}

// tellRuns tells whose runs were created since.
func (s *sim) tellRuns(when string, before map[string]bool) string {
	var of []string
	for name, run := range s.book.runs {
		if !before[name] {
			of = append(of, run.lineage)
		}
	}
	slices.Sort(of)
	return strings.Join(append([]string{when + ":"}, of...), " ")
}
