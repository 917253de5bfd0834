// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// simSeeds is how many stories are told, and shortSeeds with -short.
	simSeeds   = 60
	shortSeeds = 25
	// simSteps is how long people and machines make trouble in each.
	simSteps = 400
	// simPeriod is so short that time makes images old while there is trouble.
	simPeriod = "30s"
	// restSteps bounds how long it may take until nothing moves any more.
	restSteps = 20_000
)

// TestWhateverTheOrder tells many stories of a small fleet: caches lag, registries
// answer late, runs fail, people push, retag, edit and delete, and the operator is
// killed or handed over, all in the order that a seed chooses. Each write is held
// against the promises at once. In the end everybody leaves it alone, and it must come
// to rest, up to date, without a loop.
func TestWhateverTheOrder(t *testing.T) {
	seeds := simSeeds
	if testing.Short() {
		seeds = shortSeeds
	}
	for seed := range int64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, seed)
			if seed%2 == 1 {
				for _, name := range s.produced() {
					s.builtAnew(name)
				}
			}
			for range simSteps {
				s.step()
			}
			s.rest()
			s.checkRest()
		})
	}
}

// step makes one thing happen.
func (s *sim) step() {
	p := s.processes[s.rng.Intn(len(s.processes))]
	switch choice := s.rng.Intn(100); {
	case choice < 35:
		s.reconcile(p)
	case choice < 60:
		p.deliver()
	case choice < 68:
		p.poller.begin(false)
	case choice < 78:
		p.poller.end(p.queue)
	case choice < 86:
		s.endRun(true)
	case choice < 94:
		s.pass(time.Duration(s.rng.Intn(20_000)) * time.Millisecond)
	default:
		s.trouble(p)
	}
}

// trouble is what people and machines do to us.
func (s *sim) trouble(p *process) {
	names := s.produced()
	name := names[s.rng.Intn(len(names))]
	switch s.rng.Intn(12) {
	case 0, 1:
		s.tell("a new base is pushed: %s", s.push("base")[:15])
	case 2:
		s.tell("a new other is pushed: %s", s.push("other")[:15])
	case 3:
		s.tell("a release of %s is pushed: %s", name, s.push(name)[:15])
	case 4:
		s.retag(name)
	case 5:
		s.edit(name, func(l *v1alpha1.ImageLineage) {
			l.Spec.Build.PipelineRun.Spec.Raw = []byte(simTemplate(strconv.Itoa(s.rng.Intn(3))))
		}, "another template")
	case 6:
		s.edit(name, func(l *v1alpha1.ImageLineage) {
			l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: strconv.Itoa(s.rng.Intn(3))}
		}, "a request")
	case 7:
		s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = !l.Spec.Suspend }, "suspend turned")
	case 8:
		s.deleteRun()
	case 9:
		s.builtAnew(name)
	case 10:
		s.packages++
		s.tell("a package is mended: %d", s.packages)
	default:
		s.kill(p)
	}
}

// reconcile lets a process take one lineage; it may die of it.
func (s *sim) reconcile(p *process) bool {
	did := p.reconcile()
	if p.dead {
		s.tell("the operator is killed")
		s.processes = slices.DeleteFunc(s.processes, func(other *process) bool { return other == p })
		if len(s.processes) == 0 {
			s.processes = []*process{newProcess(s)}
		}
	}
	return did
}

// kill has a process die right after one of its next effects; sometimes another one
// begins before that, as when a Lease is handed over.
func (s *sim) kill(p *process) {
	if p.killAt > 0 {
		return
	}
	p.killAt = p.effects + 1 + s.rng.Intn(4)
	if s.rng.Intn(3) == 0 && len(s.processes) < 2 {
		s.tell("a second operator begins")
		s.processes = append(s.processes, newProcess(s))
	}
}

// pass lets time pass.
func (s *sim) pass(d time.Duration) {
	s.now = s.now.Add(d)
	for _, p := range s.processes {
		p.wakeDue()
	}
}

// retag puts an image that the lineage had before under its tag.
func (s *sim) retag(name string) {
	l := s.read(name)
	if len(l.Status.History) < 2 {
		return
	}
	old := l.Status.History[1+s.rng.Intn(len(l.Status.History)-1)]
	s.tags[simImage(name)] = string(old.Digest)
	s.book.retagged[name] = true
	s.tell("%s is put back to revision %d, %s", name, old.Revision, old.Digest[:15])
}

func (s *sim) read(name string) *v1alpha1.ImageLineage {
	s.t.Helper()
	l := &v1alpha1.ImageLineage{}
	if err := s.api.Get(context.Background(), types.NamespacedName{Namespace: simNamespace, Name: name}, l); err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *sim) edit(name string, change func(*v1alpha1.ImageLineage), what string) {
	s.t.Helper()
	l := s.read(name)
	before := l.DeepCopy()
	change(l)
	l.Generation++
	if err := s.api.Patch(context.Background(), l, client.MergeFrom(before)); err != nil {
		s.t.Fatal(err)
	}
	s.tell("%s of %s", what, name)
}

// builtAnew has a lineage built anew because of the time.
func (s *sim) builtAnew(name string) {
	s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.RebuildEvery = new(v1alpha1.Duration(simPeriod)) }, "rebuildEvery")
}

func (s *sim) deleteRun() {
	if live := s.liveRuns(); len(live) > 0 {
		run := live[s.rng.Intn(len(live))]
		s.tell("run %s is deleted", run.Name)
		if err := s.api.Delete(context.Background(), run); err != nil {
			s.t.Fatal(err)
		}
	}
}

// rest lets everything come to its end: whatever is asked is answered, and whatever is
// written is seen. A process that should die does, and another takes over.
func (s *sim) rest() {
	for _, name := range s.produced() {
		l := s.read(name)
		if l.Spec.Suspend {
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false }, "suspend ended")
		}
		if every := l.Spec.Build.RebuildEvery; every != nil && *every == simPeriod {
			s.edit(name, func(l *v1alpha1.ImageLineage) { l.Spec.Build.RebuildEvery = nil }, "no rebuildEvery any more")
		}
	}
	s.processes = []*process{newProcess(s)}
	p := s.processes[0]
	for round := range restSteps {
		moved := p.deliver() || s.reconcile(p) || p.poller.end(p.queue) || p.poller.begin(true) || s.endRun(false)
		p = s.processes[0]
		if moved {
			continue
		}
		if !s.nextTimer(p) {
			s.tell("at rest after %d steps", round)
			return
		}
	}
	s.broken("it does not come to rest in %d steps: a loop", restSteps)
}

// nextTimer passes the time until the next lineage wants to be looked at, if that is
// because something is going to be tried again.
func (s *sim) nextTimer(p *process) bool {
	var next time.Time
	for name, due := range p.timers {
		if reason := reasonOf(s.read(name.Name)); reason != v1alpha1.ReasonUpToDate && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	if next.IsZero() {
		return false
	}
	s.pass(next.Sub(s.now))
	return true
}

// restful are the ends that a story may come to for each lineage. A failure that needs
// a person may stand, and so may what people did.
var restful = []string{
	v1alpha1.ReasonUpToDate, v1alpha1.ReasonBuiltFromUnknown, v1alpha1.ReasonSourceUnknown,
	v1alpha1.ReasonHeldByUser, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonRunLost,
}

func (s *sim) checkRest() {
	s.t.Helper()
	for _, of := range s.fleet {
		name := of.name
		l := s.read(name)
		if !slices.Contains(restful, reasonOf(l)) {
			s.broken("%s comes to rest as %s: %+v", name, reasonOf(l), l.Status.Conditions)
		}
		if l.Status.Current == nil || string(l.Status.Current.Digest) != s.tags[simImage(name)] {
			s.broken("%s is %v, and its tag shows %s", name, l.Status.Current, s.tags[simImage(name)])
		}
		if reasonOf(l) == v1alpha1.ReasonUpToDate {
			s.checkBuiltFrom(of, l)
		}
	}
	runs := &pipelinev1.PipelineRunList{}
	if err := s.api.List(context.Background(), runs); err != nil {
		s.t.Fatal(err)
	}
	perLineage := map[string]int{}
	for i := range runs.Items {
		perLineage[runs.Items[i].Labels[v1alpha1.LineageLabel]]++
	}
	for name, n := range perLineage {
		if n > 5 {
			s.broken("%s keeps %d runs, want 5 at most", name, n)
		}
	}
}

// checkBuiltFrom holds what a lineage is built from against its parents.
func (s *sim) checkBuiltFrom(of simLineage, l *v1alpha1.ImageLineage) {
	s.t.Helper()
	built := l.Status.Current.BuiltFrom
	for i, parent := range of.from {
		if want := s.read(parent).Status.Current.Digest; len(built) != len(of.from) || built[i].Digest != want {
			s.broken("%s says that it is up to date, is built from %+v, and its parent %s is %s", of.name, built, parent, want)
		}
	}
}
