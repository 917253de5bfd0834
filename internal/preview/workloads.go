// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package preview

import (
	"fmt"
	"maps"
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// clone copies what is changed of a workload when it is pretended to be moved.
func clone(w plan.Workload) plan.Workload {
	w.Containers, w.Remembered = slices.Clone(w.Containers), maps.Clone(w.Remembered)
	return w
}

// roll moves the workloads of lineages that got a new image, and returns which these are:
// those that are moved, and those that are only counted.
func (p *pretence) roll(changed []lineage.Key) []Move {
	names := map[string][]string{}
	for _, key := range changed {
		names[key.Namespace] = append(names[key.Namespace], key.Name)
	}
	var moves []Move
	for _, namespace := range slices.Sorted(maps.Keys(names)) {
		if _, known := p.fleet.Workloads[namespace]; !known {
			p.ignore(fmt.Sprintf("the workloads of namespace %s and their pods could not be read", namespace))
			continue
		}
		claimants, acts := p.claimants(namespace)
		for i := range p.workloads[namespace] {
			moves = append(moves, p.move(&p.workloads[namespace][i], claimants, acts, names[namespace])...)
		}
	}
	return moves
}

func (p *pretence) ignore(what string) {
	if !slices.Contains(p.unknown, what) {
		p.unknown = append(p.unknown, what)
	}
}

// claimants are the lineages of a namespace as if all of them moved workloads, and which
// of them do.
func (p *pretence) claimants(namespace string) ([]plan.Claimant, map[string]bool) {
	var all []plan.Claimant
	acts := map[string]bool{}
	for _, key := range p.graph.Order(p.in[namespace]) {
		if claimant, may := plan.ClaimantOf(p.members[key].Lineage); may {
			acts[claimant.Name] = claimant.Acts
			claimant.Acts = true
			all = append(all, claimant)
		}
	}
	return all, acts
}

// move changes the containers of a workload that run one of the lineages of these names.
func (p *pretence) move(w *plan.Workload, claimants []plan.Claimant, acts map[string]bool, names []string) []Move {
	moved := Move{Workload: w.String(), Namespace: w.Namespace}
	counted := Move{Workload: w.String(), Namespace: w.Namespace, CountedOnly: true}
	for _, change := range plan.Roll(*w, claimants) {
		by := change.Memory.Lineage
		container := Container{Name: change.Container.Name, Lineage: by}
		switch {
		case !slices.Contains(names, by):
		case acts[by]:
			moved.Containers = append(moved.Containers, container)
			p.write(w, change)
		default:
			counted.Containers = append(counted.Containers, container)
		}
	}
	return slices.DeleteFunc([]Move{moved, counted}, func(m Move) bool { return len(m.Containers) == 0 })
}

// write has a workload run what it was moved to.
func (p *pretence) write(w *plan.Workload, change plan.ImageChange) {
	for i := range w.Containers {
		c := &w.Containers[i]
		if c.Name != change.Container.Name || c.Init != change.Container.Init {
			continue
		}
		c.Image, c.SetBy, c.SetAt, c.Newest = change.To, v1alpha1.RolloutFieldManager, p.now, p.now
		if ref, err := reference.Parse(change.To); err == nil {
			c.Running = []v1alpha1.Digest{v1alpha1.Digest(ref.Digest)}
		}
	}
	if w.Remembered == nil {
		w.Remembered = map[string]plan.Remembered{}
	}
	w.Remembered[change.Container.Name] = change.Memory
}
