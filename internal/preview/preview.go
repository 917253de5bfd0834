// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package preview answers "if this image moved now, what would be built, in what order,
// and which workloads restart". It pretends that it moved, has package plan decide over
// every lineage that this concerns, pretends that what was decided was done, and so on
// until nothing is decided any more. So it is the operator's own decision, and no copy
// of its rules.
//
// Like plan, it is pure. It is told what is known of a cluster and says what it cannot
// know, rather than guess: it asks no registry, and sees no PipelineRun.
package preview

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Fleet is what is known of a cluster at one moment. Nothing of it is modified.
type Fleet struct {
	// Now is that moment.
	Now time.Time
	// Members are the lineages, in any order.
	Members []Member
	// Partial is true where only the lineages of some namespaces could be read: what
	// others there would do is not known then.
	Partial bool
	// NamespaceLabels by namespace; one that is missing could not be read.
	NamespaceLabels map[string]map[string]string
	// Workloads by namespace; one that is missing could not be read.
	Workloads map[string][]plan.Workload
}

// Member is one lineage.
type Member struct {
	// Lineage as read.
	Lineage *v1alpha1.ImageLineage
	// Template is the hash of its build template, empty without a build.
	Template string
	// TemplateProblem is set where no run can be made from the template.
	TemplateProblem *plan.Problem
}

// Moved is what is pretended to move. Exactly one field is set.
type Moved struct {
	// Lineage whose image has a new digest: one that its tag shows or, where it is built
	// here, one that it was rebuilt with.
	Lineage lineage.Key
	// Image is a tag that shows a new digest. Where a lineage builds it, that one is meant.
	Image reference.Reference
}

// Preview is what would happen.
type Preview struct {
	// Moved is the image that would move.
	Moved string `json:"moved"`
	// Stages in their order: what is in one may happen at once, and begins when all that
	// it is built on in the stages before is done.
	Stages []Stage `json:"stages"`
	// Remaining are the lineages below that would not get a new image, by name.
	Remaining []Remaining `json:"remaining,omitempty"`
	// Unknown says what could not be known.
	Unknown []string `json:"unknown,omitempty"`
}

// Stage is what may happen at once.
type Stage struct {
	// Takes are the lineages that take a digest which somebody else put under their tag.
	Takes []Take `json:"takes,omitempty"`
	// Builds are those that are built.
	Builds []Build `json:"builds,omitempty"`
	// Moves are the workloads of these lineages.
	Moves []Move `json:"moves,omitempty"`
}

// Take is a lineage that takes a new digest.
type Take struct {
	// Lineage is namespace/name.
	Lineage string `json:"lineage"`
	// Image of the lineage.
	Image string `json:"image"`
	// Notes say what comes before.
	Notes []string `json:"notes,omitempty"`
}

// Build is a lineage that is built.
type Build struct {
	// Lineage is namespace/name.
	Lineage string `json:"lineage"`
	// Image of the lineage.
	Image string `json:"image"`
	// Reasons of the API, the headline first.
	Reasons []string `json:"reasons,omitempty"`
	// Message is the headline in words.
	Message string `json:"message"`
	// Notes say what comes before.
	Notes []string `json:"notes,omitempty"`
	// Run in flight that makes it already; empty where one would begin.
	Run string `json:"run,omitempty"`
	// Without are the ancestors that it does not wait for, and of which it gets nothing
	// new.
	Without []string `json:"without,omitempty"`
}

// State is why a lineage would not get a new image.
type State string

// The states of those that remain as they are.
const (
	// Held: a deliberate wait: a window, an approval, suspend, a person's rollback.
	Held State = "Held"
	// Stalled: a person has to mend something.
	Stalled State = "Stalled"
	// Reported: somebody else builds it; that it is outdated is reported.
	Reported State = "Reported"
	// Waiting: something else comes first, by itself.
	Waiting State = "Waiting"
	// Unchanged: nothing that it is built on changes.
	Unchanged State = "Unchanged"
	// NotKnown: what it would do cannot be known.
	NotKnown State = "Unknown"
)

// Remaining is a lineage that would not get a new image.
type Remaining struct {
	// Lineage is namespace/name.
	Lineage string `json:"lineage"`
	// Image of the lineage.
	Image string `json:"image"`
	// State is why.
	State State `json:"state"`
	// Reason is the API's, as Ready would have it; empty where nothing changes.
	Reason string `json:"reason,omitempty"`
	// Message says it in a sentence.
	Message string `json:"message,omitempty"`
	// Because are the ancestors that keep it from changing.
	Because []string `json:"because,omitempty"`
}

// Move is a workload whose containers get a new image: it restarts once.
type Move struct {
	// Workload as kubectl names it: deployment/web.
	Workload string `json:"workload"`
	// Namespace of the workload.
	Namespace string `json:"namespace"`
	// Containers that get a new image.
	Containers []Container `json:"containers"`
	// CountedOnly is true where it would only be counted as behind, because spec.rollout
	// does not ask to move it.
	CountedOnly bool `json:"countedOnly,omitempty"`
}

// Container of a workload.
type Container struct {
	// Name of the container.
	Name string `json:"name"`
	// Lineage that it runs, in the namespace of the workload.
	Lineage string `json:"lineage"`
}

// Of is what would happen in a fleet if an image moved. It fails where the lineage that
// is to move is not there.
func Of(f Fleet, moved Moved) (Preview, error) {
	p := pretend(f)
	if moved.Image.IsZero() {
		m := p.members[moved.Lineage]
		if m == nil {
			return Preview{}, fmt.Errorf("there is no ImageLineage %s", moved.Lineage)
		}
		ref, err := plan.ReferenceOf(m.Lineage)
		if err != nil {
			return Preview{}, fmt.Errorf("spec.image of %s: %w", moved.Lineage, err)
		}
		moved.Image = ref
	}
	if holder, built := p.graph.Holder(moved.Image.Name()); built {
		moved.Lineage = holder
	}
	return p.play(moved), nil
}

// Namespaces are those whose lineages get a new image, sorted: the ones in which workloads
// may restart.
func (p Preview) Namespaces() []string {
	found := map[string]bool{}
	for _, s := range p.Stages {
		for _, take := range s.Takes {
			found[keyOf(take.Lineage).Namespace] = true
		}
		for _, build := range s.Builds {
			found[keyOf(build.Lineage).Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
