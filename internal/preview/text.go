// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package preview

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// String tells it to a person.
func (p Preview) String() string {
	var t text
	t.line("If %s moved:", p.Moved)
	for i, s := range p.Stages {
		t.line("\n%d.", i+1)
		s.write(&t)
	}
	switch {
	case len(p.Stages) > 0:
	case len(p.Remaining) == 0:
		t.line("\nNo lineage follows it or is built on it: nothing would happen.")
	default:
		t.line("\nNothing would be built, and nothing restarted.")
	}
	if len(p.Remaining) > 0 {
		t.line("\nThese stay as they are:")
		t.rows(rowsOf(p.Remaining, remainingRow))
	}
	if len(p.Unknown) > 0 {
		t.line("\nNot known:")
		for _, what := range p.Unknown {
			t.line("   %s", what)
		}
	}
	return t.String()
}

func (s Stage) write(t *text) {
	t.group("take the new digest", rowsOf(s.Takes, func(take Take) []string {
		return []string{take.Lineage, strings.Join(take.Notes, ", ")}
	}))
	t.group("are built", rowsOf(s.Builds, buildRow))
	var moved, counted []Move
	for _, m := range s.Moves {
		if m.CountedOnly {
			counted = append(counted, m)
		} else {
			moved = append(moved, m)
		}
	}
	t.group("restart", rowsOf(moved, moveRow))
	t.group("are counted as behind, and not moved (spec.rollout)", rowsOf(counted, moveRow))
}

func buildRow(b Build) []string {
	why := slices.Clone(b.Notes)
	if b.Run != "" {
		why = append(why, "run "+b.Run+" makes it already")
	}
	if len(b.Without) > 0 {
		why = append(why, "without what is new of "+strings.Join(b.Without, ", "))
	}
	message := b.Message
	if len(b.Reasons) > 0 {
		message = strings.Join(b.Reasons, ",") + ": " + message
	}
	return []string{b.Lineage, strings.Join(append([]string{message}, why...), "; ")}
}

func moveRow(m Move) []string {
	var containers []string
	for _, c := range m.Containers {
		containers = append(containers, fmt.Sprintf("%s (%s)", c.Name, c.Lineage))
	}
	return []string{m.Namespace, m.Workload, strings.Join(containers, ", ")}
}

func remainingRow(r Remaining) []string {
	why := string(r.State)
	if r.Reason != "" {
		why = r.Reason
	}
	if len(r.Because) > 0 {
		why += ", because of " + strings.Join(r.Because, ", ")
	}
	if r.Message != "" {
		why += ": " + r.Message
	}
	return []string{r.Lineage, why}
}

func rowsOf[T any](items []T, row func(T) []string) [][]string {
	var rows [][]string
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return rows
}

// text is a page in the making.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	fmt.Fprintf(t, format+"\n", args...)
}

// group writes a heading and what stands under it, if anything does.
func (t *text) group(heading string, rows [][]string) {
	if len(rows) > 0 {
		t.line("   %s", heading)
		t.rows(rows)
	}
}

// rows writes columns.
func (t *text) rows(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		padded := make([]string, 0, len(row))
		for i, cell := range row {
			padded = append(padded, fmt.Sprintf("%-*s", widths[i], cell))
		}
		t.line("      %s", strings.TrimRight(strings.Join(padded, "  "), " "))
	}
}
