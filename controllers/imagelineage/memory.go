// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// memory is what the process remembers of lineages beyond their status. Losing it
// costs a question asked again, and nothing else.
type memory struct {
	mu sync.Mutex
	// behind is when it was noticed first that a status tells of a time to come.
	behind map[types.NamespacedName]noticed
	// forbidden are the lineages whose image the registry did not let us write.
	forbidden map[types.NamespacedName]bool
}

type noticed struct{ told, at time.Time }

// clockBehind is when it was noticed that a time which the status tells is still to
// come; zero where it is past. A time that now lies ahead again was noticed before
// the clock was moved once more, and is noticed anew.
func (m *memory) clockBehind(of types.NamespacedName, told, now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !told.After(now) {
		delete(m.behind, of)
		return time.Time{}
	}
	known, ok := m.behind[of]
	if !ok || !known.told.Equal(told) || known.at.After(now) {
		known = noticed{told: told, at: now}
		if m.behind == nil {
			m.behind = map[types.NamespacedName]noticed{}
		}
		m.behind[of] = known
	}
	return known.at
}

// setForbidden notes whether the registry lets us write a lineage's image.
func (m *memory) setForbidden(of types.NamespacedName, forbidden bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !forbidden {
		delete(m.forbidden, of)
		return
	}
	if m.forbidden == nil {
		m.forbidden = map[types.NamespacedName]bool{}
	}
	m.forbidden[of] = true
}

func (m *memory) isForbidden(of types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forbidden[of]
}

// forget drops a lineage that is gone.
func (m *memory) forget(of types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.behind, of)
	delete(m.forbidden, of)
}
