// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// kinds are those that the operator watches in the simulation.
var kinds = map[string]schema.GroupVersionKind{
	"ImageLineage": v1alpha1.SchemeGroupVersion.WithKind("ImageLineage"),
	"PipelineRun":  pipelinev1.SchemeGroupVersion.WithKind("PipelineRun"),
}

// book remembers what happened, at once and without a cache, and holds every write
// against the promises of design §4.
type book struct {
	// pushed are the digests that people pushed, made those of runs that succeeded.
	pushed, made map[string]bool
	// runs by name, and the name by what a run is made of.
	runs   map[string]*bookedRun
	madeOf map[string]string
	// order are their names, as they were created.
	order   []string
	current map[string]v1alpha1.Revision
	// retagged is set while a person has put an older image back.
	retagged map[string]bool
}

type bookedRun struct {
	lineage, inputs string
	reasons         string
	attempt         string
	ended           time.Time
	failed          bool
	gone            bool
}

func newBook() book {
	return book{
		pushed: map[string]bool{}, made: map[string]bool{}, runs: map[string]*bookedRun{},
		madeOf: map[string]string{}, current: map[string]v1alpha1.Revision{}, retagged: map[string]bool{},
	}
}

// wrote looks at a write that has just happened.
func (b *book) wrote(s *sim, c change) {
	s.t.Helper()
	switch obj := c.now.(type) {
	case *pipelinev1.PipelineRun:
		known := b.runs[obj.Name]
		if known == nil {
			b.created(s, obj)
			return
		}
		if obj.IsDone() && known.ended.IsZero() {
			known.ended, known.failed = s.now, !obj.IsSuccessful()
		}
	case *v1alpha1.ImageLineage:
		b.stored(s, obj)
	case nil:
		if known := b.runs[c.key.Name]; c.kind == "PipelineRun" && known != nil {
			known.gone = true
			if known.ended.IsZero() {
				known.ended = s.now
			}
		}
	}
}

// created holds a new run against those before it.
func (b *book) created(s *sim, run *pipelinev1.PipelineRun) {
	s.t.Helper()
	notes, lineage := run.Annotations, run.Labels[v1alpha1.LineageLabel]
	s.tell("run %s of %s is created: number %s attempt %s, %s", run.Name, lineage, notes[v1alpha1.NumberAnnotation], notes[v1alpha1.AttemptAnnotation], notes[v1alpha1.ReasonsAnnotation])
	of := lineage + " " + notes[v1alpha1.NumberAnnotation] + " " + notes[v1alpha1.InputsAnnotation] + " " + notes[v1alpha1.AttemptAnnotation]
	if other, twice := b.madeOf[of]; twice {
		s.broken("runs %s and %s are the same attempt at the same revision from the same inputs", other, run.Name)
	}
	if notes[v1alpha1.ReasonsAnnotation] == "" {
		s.broken("run %s has no reason", run.Name)
	}
	if age := s.now.Sub(b.current[lineage].Accepted.Time); notes[v1alpha1.ReasonsAnnotation] == v1alpha1.ReasonPeriodic && age < 9*30*time.Second/10 {
		s.broken("run %s replaces an image that is %s old", run.Name, age)
	}
	var failures int
	var last *bookedRun
	for _, other := range b.runs {
		if other.lineage != lineage || other.inputs != notes[v1alpha1.InputsAnnotation] {
			continue
		}
		if other.failed {
			failures++
		}
		if last == nil || other.ended.After(last.ended) {
			last = other
		}
	}
	if last != nil && last.failed && !last.gone {
		if want := min(time.Minute<<(failures-1), 32*time.Minute); s.now.Sub(last.ended) < want {
			s.broken("run %s begins %s after failure %d of the same inputs, want %s", run.Name, s.now.Sub(last.ended), failures, want)
		}
	}
	if failures > 3 {
		s.broken("run %s is attempt %d after %d failures of the same inputs", run.Name, failures+1, failures)
	}
	b.madeOf[of] = run.Name
	b.order = append(b.order, run.Name)
	b.runs[run.Name] = &bookedRun{
		lineage: lineage, inputs: notes[v1alpha1.InputsAnnotation], attempt: notes[v1alpha1.AttemptAnnotation],
		reasons: notes[v1alpha1.ReasonsAnnotation],
	}
	b.countLive(s, run, lineage)
}

// countLive holds the budgets, which one process keeps.
func (b *book) countLive(s *sim, run *pipelinev1.PipelineRun, lineage string) {
	s.t.Helper()
	if len(s.processes) > 1 {
		return
	}
	live, own := 0, 0
	for _, other := range s.liveRuns() {
		live++
		if other.Labels[v1alpha1.LineageLabel] == lineage {
			own++
		}
	}
	if own > 1 {
		s.broken("run %s is the second live one of %s", run.Name, lineage)
	}
	if live > s.builds {
		s.broken("run %s is live as one of %d, and %d are allowed", run.Name, live, s.builds)
	}
}

// stored holds a status against what really happened.
func (b *book) stored(s *sim, l *v1alpha1.ImageLineage) {
	s.t.Helper()
	if run := l.Status.Run; run != nil && b.runs[run.Name] == nil {
		s.broken("%s tells of run %s, which was never created", l.Name, run.Name)
	}
	if l.Status.Current == nil {
		return
	}
	before, now := b.current[l.Name], l.Status.Current.Revision
	if now.Revision == before.Revision {
		return
	}
	s.tell("%s is at revision %d, %s %s", l.Name, now.Revision, now.Origin, now.Digest[:15])
	if now.Revision < before.Revision {
		s.broken("%s goes back from revision %d to %d", l.Name, before.Revision, now.Revision)
	}
	digest := string(now.Digest)
	switch {
	case now.Origin == v1alpha1.OriginBuilt && !b.made[digest]:
		s.broken("%s is %s, which no run that succeeded has made", l.Name, digest)
	case now.Origin == v1alpha1.OriginAdopted && !b.pushed[digest]:
		s.broken("%s adopts %s, which nobody pushed", l.Name, digest)
	case now.Origin == v1alpha1.OriginRolledBack && !b.retagged[l.Name]:
		s.broken("%s is rolled back to %s, which nobody did", l.Name, digest)
	}
	b.current[l.Name] = now
}

// reasonOf is the reason of Ready.
func reasonOf(l *v1alpha1.ImageLineage) string {
	for _, c := range l.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Reason
		}
	}
	return ""
}
