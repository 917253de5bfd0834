// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// written remembers the last status that was stored for each lineage, so that no
// decision is made on a cache that has not seen it yet. Such a decision would do
// no harm, since every effect is idempotent and every write conditional; it
// would only ask the registry again for what was just done.
type written struct {
	mu       sync.Mutex
	versions map[types.NamespacedName]string
}

// stored notes a write.
func (w *written) stored(l *v1alpha1.ImageLineage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.NamespacedName]string{}
	}
	w.versions[ownerOf(l)] = l.ResourceVersion
}

// unseen is true where the cache shows a lineage as it was before the last write.
// The event of that write brings the lineage back.
func (w *written) unseen(cached *v1alpha1.ImageLineage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	version, ok := w.versions[ownerOf(cached)]
	if !ok {
		return false
	}
	if older(cached.ResourceVersion, version) {
		return true
	}
	delete(w.versions, ownerOf(cached))
	return false
}

// forget drops a lineage that is gone.
func (w *written) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, name)
}

// older compares resource versions of one object. They are rising numbers
// (Kubernetes, KEP-5504); what is no number is not known to be older.
func older(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x < y
}
