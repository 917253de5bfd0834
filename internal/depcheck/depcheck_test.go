// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package depcheck

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArchitecture(t *testing.T) {
	g, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for title, r := range rules {
		t.Run(title, func(t *testing.T) {
			for _, way := range g.violations(r) {
				t.Errorf("%s\n\twhy not: %s", way, r.reason)
			}
		})
	}
}

// TestRulesNameWhatExists keeps the rules from passing because a package was renamed.
func TestRulesNameWhatExists(t *testing.T) {
	g, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for title, r := range rules {
		for _, of := range r.of {
			found := false
			for pkg := range g {
				found = found || under(pkg, []string{of})
			}
			if !found {
				t.Errorf("%q is about %s, which does not exist", title, of)
			}
		}
	}
}

// TestViolations shows that the checker finds what it is for.
func TestViolations(t *testing.T) {
	g := graph{
		"m/pure":       {"fmt", "m/values"},
		"m/pure/sub":   {"client/rest"},
		"m/values":     {"apimachinery"},
		"m/clientless": {"fmt"},
		"m/port":       {"client", "m/pure"},
		"apimachinery": {"client/rest", "fmt"},
		"client":       {"client/rest"},
		"client/rest":  {"fmt"},
		"clientless":   {},
		"fmt":          {},
	}
	for title, tc := range map[string]struct {
		rule rule
		want []string
	}{
		"a direct import, also of a package below": {
			rule: rule{of: []string{"m/pure"}, never: []string{"client"}},
			want: []string{"m/pure/sub → client/rest"},
		},
		"the closure, with the way": {
			rule: rule{of: []string{"m/pure"}, never: []string{"client"}, closure: true},
			want: []string{
				"m/pure → m/values → apimachinery → client/rest",
				"m/pure/sub → client/rest",
			},
		},
		"an allowed part of what is forbidden": {
			rule: rule{of: []string{"m/port"}, never: []string{"client", "m"}, allowed: []string{"m/pure"}},
			want: []string{"m/port → client"},
		},
		"an exempt package": {
			rule: rule{of: []string{"m"}, except: []string{"m/pure"}, never: []string{"client"}},
			want: []string{"m/port → client"},
		},
		"a name that only begins alike": {
			rule: rule{of: []string{"m/port"}, never: []string{"cli", "m/pur"}},
		},
	} {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, g.violations(tc.rule)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
