// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/imagelineage/imagelineage/controllers/fleet"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// result is what a fleet of one size costs.
type result struct {
	// size is how many lineages there are.
	size int
	// memory is what their graph takes for each, in bytes: all that is kept beside the
	// objects, which the cache has anyhow.
	memory float64
	// change is the CPU time for one lineage that changed: it is put into the graph, those
	// whom it concerns are found, and it is decided on.
	change time.Duration
	// cascade is the CPU time until all descendants of a base that moved are decided on.
	cascade time.Duration
	// descendants of that base, and how many of them are built and wait.
	descendants, built, waiting int
}

// each is the part of the cascade's time that one descendant takes.
func (r result) each() time.Duration { return r.cascade / time.Duration(r.descendants) }

// measure makes a fleet and measures it. Times are the least of several runs.
func measure(size, runs int) (result, error) {
	r := result{size: size}
	all := makeFleet(size)
	f := &fleet.Fleet{}
	before := heap()
	for _, l := range all {
		f.Put(l)
	}
	r.memory = float64(heap()-before) / float64(size)

	leaf, base := all[size/2], all[0]
	r.change = least(runs, func() {
		const times = 1000
		for range times {
			f.Dependents(keyOf(leaf))
			f.Put(leaf)
			f.Dependents(keyOf(leaf))
			decide(f, keyOf(leaf))
		}
	}) / 1000
	if p := decide(f, keyOf(leaf)); p.Step != nil || p.Lineage.UpToDate != plan.True {
		return r, fmt.Errorf("a lineage that is up to date gets the step %T, and is %+v", p.Step, p.Lineage)
	}

	f.Put(moved(base))
	below := descendants(f, keyOf(base))
	r.descendants = len(below)
	r.cascade = least(runs, func() {
		r.built, r.waiting = 0, 0
		for _, key := range below {
			switch p := decide(f, key); {
			case len(p.WaitingFor) > 0:
				r.waiting++
			case p.Step != nil:
				r.built++
			}
		}
	})
	if r.built+r.waiting != r.descendants || r.built == 0 {
		return r, fmt.Errorf("of %d descendants %d are built and %d wait", r.descendants, r.built, r.waiting)
	}
	runtime.KeepAlive(all)
	return r, nil
}

// descendants of a lineage, found as they are woken: one after the other.
func descendants(f *fleet.Fleet, of lineage.Key) []lineage.Key {
	seen := map[lineage.Key]bool{of: true}
	found := []lineage.Key{of}
	for i := 0; i < len(found); i++ {
		for _, l := range f.Dependents(found[i]) {
			if key := keyOf(l); !seen[key] {
				seen[key] = true
				found = append(found, key)
			}
		}
	}
	return found[1:]
}

// least is the least CPU time that something takes: what else the machine does can only
// add to it.
func least(runs int, do func()) time.Duration {
	var least time.Duration
	for i := range runs {
		runtime.GC()
		before := cpu()
		do()
		if took := cpu() - before; i == 0 || took < least {
			least = took
		}
	}
	return least
}

// cpu is the time that this process has used, in the kernel too.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // only for arguments that are wrong
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap is what is in use after all that is not was collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
