// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// memory is what the process remembers of lineages beyond their status. Losing it
// costs a question asked again, and nothing else.
type memory struct {
	mu sync.Mutex
	// behind is when it was noticed first that a status tells of a time to come.
	behind map[types.NamespacedName]noticed
	// pauses are the steps that were refused or could not be done, until they are tried
	// again: whatever else wakes a lineage meanwhile is no reason to ask once more.
	pauses map[types.NamespacedName]pause
	// waited is when somebody waited last for the cache to list the runs.
	waited time.Time
	// silent are the registries that gave no answer at all, by their host.
	silent map[string]silence
}

type noticed struct{ told, at time.Time }

// mayWait is true where nobody has waited for the runs to be listed a moment ago, or
// has just begun to.
func (m *memory) mayWait(now time.Time) bool {
	const together, apart = 5 * time.Second, time.Minute
	m.mu.Lock()
	defer m.mu.Unlock()
	since := now.Sub(m.waited)
	if since >= 0 && since < apart {
		return since < together
	}
	m.waited = now
	return true
}

// attempt is what a step asks others for.
type attempt struct {
	of         string
	generation int64
	check      string
}

// pause is an attempt that was not successful.
type pause struct {
	attempt

	outcome plan.Outcome
	// made and until bound the pause; before it was made, the clock was moved back.
	made, until time.Time
	times       int
}

// maxPause is how long a refusal is left alone at most.
const maxPause = 10 * time.Minute

// paused is the outcome of an attempt that is not made again yet.
func (m *memory) paused(of types.NamespacedName, try attempt, now time.Time) (plan.Outcome, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.pauses[of]
	if !ok || known.attempt != try || now.Before(known.made) || !now.Before(known.until) {
		return plan.Outcome{}, false
	}
	known.outcome.Again = known.until.Sub(now)
	return known.outcome, true
}

// pause keeps the outcome of an attempt that has to be made again, and tells when. What
// was refused is asked for less often each time: nobody mends a right within seconds.
func (m *memory) pause(of types.NamespacedName, try attempt, o plan.Outcome, now time.Time) plan.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	if try == (attempt{}) || o.Done || o.Again == 0 || o.Waiting.Reason == v1alpha1.ReasonQueued {
		delete(m.pauses, of)
		return o
	}
	next := pause{attempt: try, outcome: o, times: 1}
	if known, ok := m.pauses[of]; ok && known.attempt == try {
		next.times = known.times + 1
	}
	if o.Problem != nil {
		o.Again = min(o.Again<<min(next.times-1, maxDoubling), maxPause)
	}
	next.outcome.Again, next.made, next.until = o.Again, now, now.Add(o.Again)
	if m.pauses == nil {
		m.pauses = map[types.NamespacedName]pause{}
	}
	m.pauses[of] = next
	return o
}

// maxDoubling keeps the doubling of a pause from running over.
const maxDoubling = 10

// silence of a registry: when it may be asked again, and what came of asking last.
type silence struct {
	until time.Time
	why   string
}

// askHost is true where a registry may be asked. One that gave no answer is asked by one
// lineage at a time, and not before its time: each question to it holds up a worker for
// as long as an answer may take, and there are few of them. Otherwise it tells why, and
// when to try again.
func (m *memory) askHost(host string, now time.Time) (ask bool, why string, again time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.silent[host]
	if !ok {
		return true, "", 0
	}
	if now.Before(known.until) {
		return false, known.why, known.until.Sub(now)
	}
	known.until = now.Add(registryAgain)
	m.silent[host] = known
	return true, "", 0
}

// hostSilent notes that a registry gave no answer, and why; an empty why that it did.
func (m *memory) hostSilent(host, why string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if why == "" {
		delete(m.silent, host)
		return
	}
	if m.silent == nil {
		m.silent = map[string]silence{}
	}
	m.silent[host] = silence{until: now.Add(registryAgain), why: why}
}

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

// isRefused is true where a lineage's step was refused, and not tried again since: a
// person has to act, and nobody waits for it.
func (m *memory) isRefused(of types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pauses[of].outcome.Problem != nil
}

// forget drops a lineage that is gone.
func (m *memory) forget(of types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.behind, of)
	delete(m.pauses, of)
}
