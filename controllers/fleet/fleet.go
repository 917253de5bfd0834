// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package fleet holds all lineages and their graph, as the events of one watch tell of
// them.
//
// The handlers of a watch are told of a change after the cache has made it, so a graph
// that is kept by them is older than the cache, and must not be mixed with it: a lineage
// that names a new parent would be taken for one that has nothing to wait for. So a
// Fleet keeps the lineages themselves beside their graph, changes both together, and
// whoever decides reads both here, and no lineage from the cache. What it holds is the
// cache's own objects; they cost no memory of their own.
//
// It may be older than the cache for a moment, as the cache is older than the API
// server. That does no harm for the same reasons: whoever changes it wakes those whom the
// change concerns afterwards, and a status is written only over the one that was read.
package fleet

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Fleet is all lineages. The zero value is empty and ready for use by many at once.
// Nobody may modify the lineages that it returns.
type Fleet struct {
	mu       sync.RWMutex
	graph    lineage.Graph
	lineages map[lineage.Key]*v1alpha1.ImageLineage
}

// Put adds a lineage, or replaces it.
func (f *Fleet) Put(l *v1alpha1.ImageLineage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lineages == nil {
		f.lineages = map[lineage.Key]*v1alpha1.ImageLineage{}
	}
	key := client.ObjectKeyFromObject(l)
	f.lineages[key] = l
	f.graph.Put(key, plan.NodeOf(l))
}

// Delete removes a lineage.
func (f *Fleet) Delete(key lineage.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.lineages, key)
	f.graph.Delete(key)
}

// Get returns a lineage; nil where there is none.
func (f *Fleet) Get(key lineage.Key) *v1alpha1.ImageLineage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.lineages[key]
}

// Parents are the lineages that one is built on, however it names them.
func (f *Fleet) Parents(of lineage.Key) []*v1alpha1.ImageLineage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.those(f.graph.Parents(of))
}

// Dependents are the lineages whose decision may depend on what one says or does.
func (f *Fleet) Dependents(of lineage.Key) []*v1alpha1.ImageLineage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.those(f.graph.Dependents(of))
}

// Descendants are all lineages that are built on one, at any depth.
func (f *Fleet) Descendants(of lineage.Key) []*v1alpha1.ImageLineage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.those(f.graph.Descendants(of))
}

// HasChild is true where another lineage names one, or its image, as a parent.
func (f *Fleet) HasChild(of lineage.Key) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.graph.HasChild(of)
}

// Holder is the lineage that builds an image, whoever else claims to; nil where nobody
// does.
func (f *Fleet) Holder(ref reference.Reference) *v1alpha1.ImageLineage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	key, _ := f.graph.Holder(ref.Name())
	return f.lineages[key]
}

// Ancestry is a lineage and its ancestors, and the graph of these, as they were at one
// moment.
func (f *Fleet) Ancestry(of lineage.Key) (*lineage.Graph, map[lineage.Key]*v1alpha1.ImageLineage) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := map[lineage.Key]*v1alpha1.ImageLineage{of: f.lineages[of]}
	for _, key := range f.graph.Ancestors(of) {
		all[key] = f.lineages[key]
	}
	return f.graph.Ancestry(of), all
}

func (f *Fleet) those(keys []lineage.Key) []*v1alpha1.ImageLineage {
	out := make([]*v1alpha1.ImageLineage, 0, len(keys))
	for _, key := range keys {
		out = append(out, f.lineages[key])
	}
	return out
}
