// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package failures

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// reasonName is how the API package names the constant of a reason.
var reasonName = regexp.MustCompile(`^Reason[A-Z]`)

// reasonsOfTheAPI are the values of all constants called Reason… in the API package.
func reasonsOfTheAPI(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "api/v1alpha1/*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files of the API: %v", err)
	}
	var reasons []string
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !reasonName.MatchString(spec.Names[0].Name) {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, value)
			}
			return true
		})
	}
	slices.Sort(reasons)
	return reasons
}

// TestEveryReasonIsExplained: nobody is left alone with a word at 3 am, and no
// explanation outlives its reason.
func TestEveryReasonIsExplained(t *testing.T) {
	var explained []string
	for _, e := range Explanations {
		explained = append(explained, e.Reason)
		if e.Means == "" || len(e.Kinds) == 0 {
			t.Errorf("%s is not explained", e.Reason)
		}
		if slices.Contains(e.Kinds, Stalled) && e.Do == "" {
			t.Errorf("%s needs a person, and nothing says what to do", e.Reason)
		}
	}
	slices.Sort(explained)
	reasons := reasonsOfTheAPI(t)
	if len(reasons) < 30 {
		t.Fatalf("only %d reasons were found in the API: %v", len(reasons), reasons)
	}
	if diff := cmp.Diff(reasons, explained); diff != "" {
		t.Errorf("explained reasons (-API +explained):\n%s", diff)
	}
}

// TestRows: every word that a row promises is explained where a person would look, and
// every reason that calls a person is tried by some row.
func TestRows(t *testing.T) {
	kinds := map[string][]Kind{}
	for _, e := range Explanations {
		kinds[e.Reason] = e.Kinds
	}
	tried, names := map[string]bool{}, map[string]bool{}
	for _, group := range Groups {
		for _, row := range group.Rows {
			if names[row.Name] {
				t.Errorf("%q is in the table twice", row.Name)
			}
			names[row.Name], tried[row.Reason] = true, true
			for _, reason := range []string{row.Reason, row.After} {
				is := kinds[reason]
				if reason != "" && !slices.Contains(is, Stalled) && !slices.Contains(is, Reconciling) && !slices.Contains(is, Ready) {
					t.Errorf("%q: %s is no reason of Ready", row.Name, reason)
				}
			}
			if row.Event != "" && kinds[row.Event] == nil {
				t.Errorf("%q: %s is not explained", row.Name, row.Event)
			}
			if slices.Contains(kinds[row.Reason], Stalled) && (len(row.Says) == 0 || row.Event == "") {
				t.Errorf("%q needs a person, and neither words nor an Event are asked for", row.Name)
			}
		}
	}
	for _, e := range Explanations {
		if slices.Contains(e.Kinds, Stalled) && !tried[e.Reason] && !slices.Contains(triedElsewhere, e.Reason) {
			t.Errorf("nothing in the table makes %s happen", e.Reason)
		}
	}
}

// TestStoriesExist: what the page says is told has a test.
func TestStoriesExist(t *testing.T) {
	for _, story := range Stories {
		found := false
		paths, err := filepath.Glob(filepath.Join(root, story.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(source, []byte("\nfunc "+story.Test+"(t *testing.T) {"))
		}
		if !found {
			t.Errorf("there is no %s in %s", story.Test, story.Dir)
		}
	}
}

// triedElsewhere are reasons that call a person and have tests of their own, because
// they are no failure: they hold a release.
var triedElsewhere = []string{"SourceUnknown"}

// TestThePageIsUpToDate: docs/troubleshooting.md is what "make docs" writes.
func TestThePageIsUpToDate(t *testing.T) {
	written, err := os.ReadFile(filepath.Join(root, Page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Render(), string(written)); diff != "" {
		t.Errorf("%s is out of date, run \"make docs\" (-want +written):\n%s", Page, diff)
	}
}
