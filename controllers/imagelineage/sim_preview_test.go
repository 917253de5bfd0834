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
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/preview"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// previewSeeds is how many fleets are previewed, and shortPreviews with -short.
const (
	previewSeeds  = 10
	shortPreviews = 3
)

// TestAPreviewComesTrue makes fleets by chance, some lineages of which are held. What a
// preview says would be built when the base moves is built when it does, each once and
// after its ancestors, and the others are for the reason that it gave.
func TestAPreviewComesTrue(t *testing.T) {
	t.Parallel()
	held, seeds := 0, int64(previewSeeds)
	if testing.Short() {
		seeds = shortPreviews
	}
	for seed := range seeds {
		s := newSim(t, seed)
		names := s.grow()
		s.rest()
		s.hold(names)
		s.settle()

		said, err := preview.Of(s.known(names), preview.Moved{Lineage: lineage.Key{Namespace: simNamespace, Name: "base"}})
		if err != nil {
			t.Fatal(err)
		}
		told := len(s.book.order)
		s.tell("a new base is pushed: %s", s.push("base")[:15])
		s.processes[0].poller.asked[simImage("base")] = true
		s.settle()
		for s.endRun(false) {
			s.settle()
		}

		var got []string
		for _, run := range s.book.order[told:] {
			got = append(got, simNamespace+"/"+s.book.runs[run].lineage)
		}
		want := buildsOf(said)
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(got)), cmpopts.EquateEmpty()); diff != "" {
			s.broken("seed %d: what was built (-said +built):\n%s\n%s", seed, diff, said)
		}
		s.checkOrder(names, got)
		for _, r := range said.Remaining {
			if r.Reason == "" {
				continue
			}
			held++
			_, name, _ := strings.Cut(r.Lineage, "/")
			if reason := reasonOf(s.read(name)); reason != r.Reason {
				s.broken("seed %d: %s is %s, and was said to be %s\n%s", seed, name, reason, r.Reason, said)
			}
		}
	}
	if int64(held) < seeds {
		t.Errorf("only %d lineages were held in %d fleets: too little was tried", held, seeds)
	}
}

// grow adds lineages on one or two of those before, and returns the names of all.
func (s *sim) grow() []string {
	names := []string{"base", "other", "mid", "web", "api", "alone"}
	for i := range 6 {
		name := fmt.Sprintf("n%d", i)
		of := simLineage{name, []string{names[s.rng.Intn(len(names))]}}
		if second := names[s.rng.Intn(len(names))]; s.rng.Intn(2) == 0 {
			of.from = append(of.from, second)
		}
		s.mustCreate(s.lineage(of))
		names = append(names, name)
	}
	return names
}

// hold has some of those that are built held, each for another reason.
func (s *sim) hold(names []string) {
	closed := s.now.Add(-2 * time.Hour).UTC()
	for _, name := range names[2:] {
		switch s.rng.Intn(12) {
		case 0:
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true }, "suspend")
		case 1:
			window := v1alpha1.BuildWindow{Schedule: fmt.Sprintf("%d %d * * *", closed.Minute(), closed.Hour()), Duration: "30m"}
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.Windows = []v1alpha1.BuildWindow{window} }, "a closed window")
		case 2:
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.Approval = v1alpha1.ApprovalRequired }, "approval")
		case 3:
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build = nil }, "no build any more")
		case 4:
			s.tell("a release of %s is pushed: %s", name, s.push(name)[:15])
			s.processes[0].poller.asked[simImage(name)] = true
		default:
		}
	}
}

// known is what one who may read everything knows.
func (s *sim) known(names []string) preview.Fleet {
	f := preview.Fleet{
		Now: s.now, Workloads: map[string][]plan.Workload{simNamespace: nil},
		NamespaceLabels: map[string]map[string]string{simNamespace: nil},
	}
	for _, name := range names {
		m := preview.Member{Lineage: s.read(name)}
		if plan.Produced(m.Lineage) {
			hash, err := tekton.TemplateHash(m.Lineage.Spec.Build)
			if err != nil {
				s.t.Fatal(err)
			}
			m.Template = hash
		}
		f.Members = append(f.Members, m)
	}
	return f
}

// buildsOf are the lineages of which a run would begin, sorted.
func buildsOf(p preview.Preview) []string {
	var names []string
	for _, stage := range p.Stages {
		for _, b := range stage.Builds {
			if b.Run == "" {
				names = append(names, b.Lineage)
			}
		}
	}
	slices.Sort(names)
	return names
}

// checkOrder: none was built before an ancestor that was built, too.
func (s *sim) checkOrder(names, built []string) {
	s.t.Helper()
	graph := &lineage.Graph{}
	for _, name := range names {
		graph.Put(lineage.Key{Namespace: simNamespace, Name: name}, plan.NodeOf(s.read(name)))
	}
	for i, name := range built {
		namespace, short, _ := strings.Cut(name, "/")
		for _, ancestor := range graph.Ancestors(lineage.Key{Namespace: namespace, Name: short}) {
			if slices.Contains(built[i:], ancestor.String()) {
				s.broken("%s was built before %s", name, ancestor)
			}
		}
	}
}
