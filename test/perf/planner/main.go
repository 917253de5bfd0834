// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command planner measures what it costs to decide: on one lineage that changed, and on
// all that descend from a base that moved, in fleets of several sizes; and what the
// graph of the fleet takes in memory. docs/performance.md says what the figures mean.
//
// It measures the very graph and Compute of the operator, without registries and an API
// server: what these cost is another matter.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-planner:", err)
		os.Exit(1)
	}
}

// run prints a row for each size as soon as it is measured.
func run() error {
	sizes := flag.String("lineages", "1000,10000,100000", "Comma-separated sizes of the fleets.")
	runs := flag.Int("runs", 5, "How often each time is taken; the least counts.")
	flag.Parse()

	fmt.Printf("Depth %d, a base for each %d lineages, and one that a tenth of them descends from; %d CPUs\n\n", depth, familySize, runtime.NumCPU())
	line("lineages", "graph, a lineage", "one change", "base moved: descendants", "all decided", "each of them", "as many times the first row")
	line("---", "---", "---", "---", "---", "---", "---")
	var first result
	for text := range strings.SplitSeq(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < familySize {
			return fmt.Errorf("-lineages: %q is no number from %d on", text, familySize)
		}
		r, err := measure(size, *runs)
		if err != nil {
			return err
		}
		if first.size == 0 {
			first = r
		}
		line(strconv.Itoa(size), fmt.Sprintf("%.0f B", r.memory), micros(r.change),
			strconv.Itoa(r.descendants), r.cascade.Round(time.Millisecond/10).String(), micros(r.each()), r.compared(first))
	}
	return nil
}

// compared says how memory, one change and each descendant grow from one size to
// another: 1 is linear growth of the whole.
func (r result) compared(first result) string {
	ratio := func(now, then float64) string { return fmt.Sprintf("%.1f", now/then) }
	return ratio(r.memory, first.memory) + " / " + ratio(float64(r.change), float64(first.change)) + " / " + ratio(float64(r.each()), float64(first.each()))
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
}

func line(cells ...string) { fmt.Printf("| %s |\n", strings.Join(cells, " | ")) }
