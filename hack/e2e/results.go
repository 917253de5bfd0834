// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of "go test -json"; see "go doc test2json".
type event struct {
	Action string
	Test   string
	Output string
}

// read passes the tests' output on as it comes, and returns how each test ended: pass,
// fail or skip, by name.
func read(in io.Reader, out io.Writer) (map[string]string, error) {
	ran := map[string]string{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			switch {
			case json.Unmarshal(line, &e) != nil:
				// Not from the test itself: the compiler speaks plain text.
				_, _ = out.Write(line)
			case e.Action == "output":
				_, _ = io.WriteString(out, e.Output)
			case e.Test != "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
				ran[e.Test] = e.Action
			}
		}
		if errors.Is(err, io.EOF) {
			return ran, nil
		}
		if err != nil {
			return ran, err
		}
	}
}

// parseList reads a list of names: one a line, with # for comments.
func parseList(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			names = append(names, line)
		}
	}
	return names
}

// compare complains about every story that is listed and did not pass, and about every
// test that passed without being listed: it would not be missed if it went away.
// Subtests count where they are listed, as Test/subtest.
func compare(listed []string, ran map[string]string) error {
	var problems []error
	if len(listed) == 0 {
		problems = append(problems, fmt.Errorf("%s lists no story", storiesList))
	}
	for _, name := range listed {
		switch ended, ok := ran[name]; {
		case !ok:
			problems = append(problems, fmt.Errorf("%s did not run", name))
		case ended != "pass":
			problems = append(problems, fmt.Errorf("%s did not pass: %s", name, ended))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ran)) {
		if !strings.Contains(name, "/") && !slices.Contains(listed, name) {
			problems = append(problems, fmt.Errorf("%s ran and is not listed in %s: add it", name, storiesList))
		}
	}
	return errors.Join(problems...)
}
