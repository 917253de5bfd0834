// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

func choosing(policy v1alpha1.TagPolicy, current string) *v1alpha1.ImageLineage {
	l := &v1alpha1.ImageLineage{Spec: v1alpha1.ImageLineageSpec{Image: "docker.io/library/postgres", Tags: &policy}}
	if current != "" {
		l.Status.Current = &v1alpha1.CurrentRevision{Revision: v1alpha1.Revision{Tag: current}}
	}
	return l
}

func TestChooseTag(t *testing.T) {
	type policy = v1alpha1.TagPolicy
	tests := map[string]struct {
		policy  policy
		tags    string
		current string
		want    string
	}{
		"the highest version of a range":                    {policy{SemVer: "15.x"}, "14.9 15.2 15.10 15.9 16.1 latest", "", "15.10"},
		"a range with bounds":                               {policy{SemVer: ">=1.2.0 <2.0.0"}, "1.1.9 1.2.0 v1.4.0 2.0.0", "", "v1.4.0"},
		"a pre-release does not count":                      {policy{SemVer: "1.x"}, "1.2.0 1.3.0-rc.1", "", "1.2.0"},
		"a pre-release counts where the range names one":    {policy{SemVer: ">=1.2.0-0 <2.0.0"}, "1.2.0 1.3.0-rc.1", "", "1.3.0-rc.1"},
		"of equal versions the one that moves less":         {policy{SemVer: "1.x"}, "1.2 1.2.0 1", "", "1.2.0"},
		"a group captures the version":                      {policy{SemVer: "15.x", Pattern: `(\d+\.\d+)-bookworm`}, "15.4 15.3-bookworm 15.4-bullseye", "", "15.3-bookworm"},
		"a pattern matches the whole tag":                   {policy{Pattern: `\d+`, Order: v1alpha1.TagsNumerical}, "9 10 11-rc", "", "10"},
		"numbers of any length":                             {policy{Pattern: `build-(\d+)`, Order: v1alpha1.TagsNumerical}, "build-99999999999999999999 build-100000000000000000000 build-007", "", "build-100000000000000000000"},
		"numbers with leading zeros":                        {policy{Pattern: `\d+`, Order: v1alpha1.TagsNumerical}, "0009 10", "", "10"},
		"what is no number does not count":                  {policy{Pattern: `r(.*)`, Order: v1alpha1.TagsNumerical}, "r1 rx", "", "r1"},
		"dates by the alphabet":                             {policy{Pattern: `\d{8}-slim`, Order: v1alpha1.TagsAlphabetical}, "20261101-slim 20261124-slim 20261130", "", "20261124-slim"},
		"a pattern in the order of versions":                {policy{Pattern: `v\d.*`, Order: v1alpha1.TagsSemVer}, "v1.9.0 v1.10.0 2.0.0", "", "v1.10.0"},
		"nothing counts":                                    {policy{SemVer: "17.x"}, "15.1 latest", "", ""},
		"never a lower tag than current":                    {policy{SemVer: "15.x"}, "15.1 15.2", "15.4", "15.4"},
		"a tag that vanished from the list stays":           {policy{SemVer: "15.x"}, "", "15.4", "15.4"},
		"a lower tag where current does not count any more": {policy{SemVer: "15.x"}, "15.1 15.2", "16.1", "15.2"},
		"an equal spelling is no move":                      {policy{SemVer: "1.x"}, "1.2 1.2.0", "1.2.0", "1.2.0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := choosing(tt.policy, tt.current)
			rule, err := TagRuleOf(l)
			if err != nil {
				t.Fatal(err)
			}
			if got := ChooseTag(l, rule, &Listing{Tags: strings.Fields(tt.tags)}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTagRuleRefuses(t *testing.T) {
	tests := map[string]struct {
		policy v1alpha1.TagPolicy
		want   string
	}{
		"a range that is none":                  {v1alpha1.TagPolicy{SemVer: "newest"}, "spec.tags.semver"},
		"a pattern that is none":                {v1alpha1.TagPolicy{Pattern: "(", Order: v1alpha1.TagsSemVer}, "spec.tags.pattern"},
		"a pattern that leaves the group alone": {v1alpha1.TagPolicy{Pattern: "a)|(b", Order: v1alpha1.TagsSemVer}, "spec.tags.pattern"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := TagRuleOf(choosing(tt.policy, "")); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %s", err, tt.want)
			}
		})
	}
}

// FuzzChooseTag: whatever the tags are called, what is chosen counts, is one of them,
// and nothing that counts is higher.
func FuzzChooseTag(f *testing.F) {
	f.Add("15.x", `(\d+\.\d+).*`, "15.1 15.2-slim 16", "15.1")
	f.Add(">=1 <2", "", "v1.0.0 1.0 1", "")
	f.Fuzz(func(t *testing.T, versions, pattern, tags, current string) {
		l := choosing(v1alpha1.TagPolicy{SemVer: versions, Pattern: pattern}, current)
		if versions == "" {
			l.Spec.Tags.Order = v1alpha1.TagsNumerical
		}
		rule, err := TagRuleOf(l)
		if err != nil {
			return
		}
		list := strings.Fields(tags)
		got := ChooseTag(l, rule, &Listing{Tags: list})
		if got == "" {
			return
		}
		if !rule.Claims(got) {
			t.Errorf("%q does not count", got)
		}
		for _, tag := range append(list, current) {
			if rule.Higher(tag, got) {
				t.Errorf("%q is higher than %q", tag, got)
			}
		}
	})
}
