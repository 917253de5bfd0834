// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"fmt"
	"io"
	"strings"
)

// row is one figure.
type row struct {
	// what was measured, and under which circumstances.
	what string
	// flux and keel are the figures that were published for, or measured of, these
	// projects by others; they are quoted, not measured here.
	flux, keel string
	// target is the range in which the figure has to be; empty where there is none.
	target string
	// measured is the figure.
	measured string
	// met is whether it is within the range.
	met bool
	// skipped says why there is no figure.
	skipped string
}

func (r row) verdict() string {
	switch {
	case r.skipped != "":
		return "not measured: " + r.skipped
	case r.target == "":
		return ""
	case r.met:
		return "met"
	default:
		return "**missed**"
	}
}

// printTable writes the rows in Markdown.
func printTable(to io.Writer, rows []row) {
	columns := []string{"what", "Flux image-reflector (quoted)", "Keel (quoted)", "target", "ours, measured", "verdict"}
	line := func(cells []string) { _, _ = fmt.Fprintf(to, "| %s |\n", strings.Join(cells, " | ")) }
	line(columns)
	_, _ = fmt.Fprintln(to, strings.Repeat("|---", len(columns))+"|")
	for _, r := range rows {
		cells := []string{r.what, r.flux, r.keel, r.target, r.measured, r.verdict()}
		for i := range cells {
			if cells[i] == "" {
				cells[i] = "–"
			}
		}
		line(cells)
	}
}

// missed is whether any figure is out of its range.
func missed(rows []row) bool {
	for _, r := range rows {
		if r.target != "" && r.skipped == "" && !r.met {
			return true
		}
	}
	return false
}
