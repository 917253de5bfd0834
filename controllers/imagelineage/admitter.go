// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/controllers/index"
)

// verifyAfter is how long a run that was created may be missing from the cache
// before the API server is asked what became of it.
const verifyAfter = 30 * time.Second

// admitter lets runs begin while fewer than the limit are live, first come first
// served. It is the only one of the process, and never counts from the cache
// alone, which shows a run only a moment after it was created: what is live is
// what the cache has told of, together with what was created since.
//
// It is a source.Source, by which it wakes the lineages for which there is a place.
type admitter struct {
	index.Waker

	// limit of live runs; 0 is none.
	limit int

	mu sync.Mutex
	// seeded is true once the runs that were there before were read from the API
	// server; told are those of which the cache told until then.
	seeded bool
	told   map[types.NamespacedName]bool
	live   map[types.NamespacedName]bool
	// created are the runs that the cache has not told of yet.
	created map[types.NamespacedName]created
	// waiting are the lineages that were turned away, in the order of their coming.
	waiting []types.NamespacedName
}

// created is a run that was, or is just being, created.
type created struct {
	owner types.NamespacedName
	at    time.Time
}

// seed adds the live runs that the API server tells of, once. Those of which the cache
// told meanwhile are left out: it may know more than the list. The others count as
// created, so that they are asked for if the cache never tells of them.
func (a *admitter) seed(live []types.NamespacedName, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.init()
	if a.seeded {
		return
	}
	for _, run := range live {
		if !a.told[run] {
			a.created[run] = created{at: now}
		}
	}
	a.seeded, a.told = true, nil
}

func (a *admitter) isSeeded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seeded
}

func (a *admitter) init() {
	if a.live == nil {
		a.live, a.created, a.told = map[types.NamespacedName]bool{}, map[types.NamespacedName]created{}, map[types.NamespacedName]bool{}
	}
}

// admit gives a run of a lineage a place, or the lineage one in the queue. A run
// that has its place already is created again, in vain, and takes no other one.
func (a *admitter) admit(owner, run types.NamespacedName, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.init()
	_, again := a.created[run]
	if a.limit > 0 && !again && !a.live[run] {
		place := slices.Index(a.waiting, owner)
		ahead := place
		if place < 0 {
			ahead = len(a.waiting)
		}
		if ahead >= a.free() {
			if place < 0 {
				a.waiting = append(a.waiting, owner)
			}
			return false
		}
	}
	a.dequeue(owner)
	if !again && !a.live[run] {
		a.created[run] = created{owner: owner, at: now}
	}
	return true
}

// free is how many more runs may begin.
func (a *admitter) free() int { return a.limit - len(a.live) - len(a.created) }

// observe takes note of what the cache tells of a run: that it is live, or that it
// has ended or is gone.
func (a *admitter) observe(run types.NamespacedName, live bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.init()
	if !a.seeded {
		a.told[run] = true
	}
	a.observeLocked(run, live)
}

// verify is what the API server tells of a run that the cache had not told of. If it
// has meanwhile, the cache knows better. One that is live is asked for again later: the
// cache may never tell of it, because it lost the label by which it is watched.
func (a *admitter) verify(run types.NamespacedName, live bool, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, unseen := a.created[run]
	switch {
	case unseen && live:
		known.at = now
		a.created[run] = known
	case unseen:
		a.observeLocked(run, false)
	}
}

func (a *admitter) observeLocked(run types.NamespacedName, live bool) {
	delete(a.created, run)
	if live {
		a.live[run] = true
		return
	}
	delete(a.live, run)
	a.wake()
}

// release gives up the place of a run that was not created, or is gone.
func (a *admitter) release(run types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.created, run)
	a.wake()
}

// leave takes a lineage that wants no run any more out of the queue.
func (a *admitter) leave(owner types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dequeue(owner) {
		a.wake()
	}
}

func (a *admitter) dequeue(owner types.NamespacedName) bool {
	place := slices.Index(a.waiting, owner)
	if place < 0 {
		return false
	}
	a.waiting = slices.Delete(a.waiting, place, place+1)
	return true
}

// wake has those looked at for whom there is a place now. They keep theirs in the
// queue until they are admitted, so that nobody overtakes them.
func (a *admitter) wake() {
	a.Wake(a.waiting[:max(min(a.free(), len(a.waiting)), 0)]...)
}

// anyUnseen is true while the cache has not told of some run.
func (a *admitter) anyUnseen() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.created) > 0
}

// unseen are the runs of a lineage that were created and that the cache has not
// told of.
func (a *admitter) unseen(owner types.NamespacedName) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for run, c := range a.created {
		if c.owner == owner {
			names = append(names, run.Name)
		}
	}
	slices.Sort(names)
	return names
}

// overdue are the runs that the cache should have told of by now.
func (a *admitter) overdue(now time.Time) []types.NamespacedName {
	a.mu.Lock()
	defer a.mu.Unlock()
	var runs []types.NamespacedName
	for run, c := range a.created {
		if now.Sub(c.at) >= verifyAfter {
			runs = append(runs, run)
		}
	}
	return runs
}
