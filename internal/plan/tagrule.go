// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// ReferenceOf is spec.image in canonical form: repository:tag, or the repository
// alone where spec.tags chooses.
func ReferenceOf(l *v1alpha1.ImageLineage) (reference.Reference, error) {
	ref, err := reference.ParseTag(string(l.Spec.Image))
	if err != nil || l.Spec.Tags == nil {
		return ref, err
	}
	return reference.Reference{Repository: ref.Repository}, nil
}

// TagRule is spec.tags, ready to be used.
type TagRule struct {
	versions *semver.Constraints
	pattern  *regexp.Regexp
	order    v1alpha1.TagOrder
}

// TagRuleOf is a lineage's rule, nil where it has none. The error names the field and
// the cure.
func TagRuleOf(l *v1alpha1.ImageLineage) (*TagRule, error) {
	p := l.Spec.Tags
	if p == nil {
		return nil, nil
	}
	rule := &TagRule{order: p.Order}
	if p.SemVer != "" {
		versions, err := semver.NewConstraint(p.SemVer)
		if err != nil {
			return nil, fmt.Errorf("spec.tags.semver: %q is no range of versions; write one such as 15.x, ~15.4 or >=15.2 <16", p.SemVer)
		}
		rule.versions, rule.order = versions, v1alpha1.TagsSemVer
	}
	if p.Pattern != "" {
		// The pattern alone first: it could close the group that is put around it.
		_, err := regexp.Compile(p.Pattern)
		if err == nil {
			rule.pattern, err = regexp.Compile("^(?:" + p.Pattern + ")$")
		}
		if err != nil {
			return nil, fmt.Errorf("spec.tags.pattern: it is no regular expression of RE2's syntax: %w", err)
		}
	}
	return rule, nil
}

// Claims is true for a tag that counts.
func (r *TagRule) Claims(tag string) bool {
	_, ok := r.key(tag)
	return ok
}

// tagKey is what of a tag is compared.
type tagKey struct {
	tag     string
	text    string
	version *semver.Version
}

// key is false for a tag that does not count.
func (r *TagRule) key(tag string) (tagKey, bool) {
	key := tagKey{tag: tag, text: tag}
	if r.pattern != nil {
		match := r.pattern.FindStringSubmatch(tag)
		if match == nil {
			return key, false
		}
		if len(match) > 1 {
			key.text = match[1]
		}
	}
	switch r.order {
	case v1alpha1.TagsSemVer:
		version, err := semver.NewVersion(key.text)
		if err != nil {
			return key, false
		}
		key.version = version
		return key, r.versions == nil || r.versions.Check(version)
	case v1alpha1.TagsNumerical:
		if key.text == "" || strings.Trim(key.text, "0123456789") != "" {
			return key, false
		}
		key.text = strings.TrimLeft(key.text, "0")
		return key, true
	default:
		return key, true
	}
}

// compare tells which of two tags that count is higher. Of equal ones, such as 1.2
// and 1.2.0, the longer one is: it moves less.
func (r *TagRule) compare(a, b tagKey) int {
	var order int
	switch r.order {
	case v1alpha1.TagsSemVer:
		order = a.version.Compare(b.version)
	case v1alpha1.TagsNumerical:
		order = cmp.Or(cmp.Compare(len(a.text), len(b.text)), cmp.Compare(a.text, b.text))
	default:
		order = cmp.Compare(a.text, b.text)
	}
	return cmp.Or(order, cmp.Compare(len(a.tag), len(b.tag)), cmp.Compare(a.tag, b.tag))
}

// Higher is true where both tags count, and the first one is higher.
func (r *TagRule) Higher(tag, than string) bool {
	a, counts := r.key(tag)
	b, alike := r.key(than)
	return counts && alike && r.compare(a, b) > 0
}

// highest of the tags that count, and how many do; empty where none does.
func (r *TagRule) highest(tags []string) (string, int) {
	var best tagKey
	count := 0
	for _, tag := range tags {
		key, ok := r.key(tag)
		if !ok {
			continue
		}
		if count++; count == 1 || r.compare(key, best) > 0 {
			best = key
		}
	}
	return best.tag, count
}

// ChooseTag is the tag to follow: the highest that counts, and never a lower one than
// current has, as long as that one counts. What a list lacks for a moment moves
// nothing. It is empty while there is none.
func ChooseTag(l *v1alpha1.ImageLineage, rule *TagRule, listing *Listing) string {
	floor := ""
	if current := l.Status.Current; current != nil && rule.Claims(current.Tag) {
		floor = current.Tag
	}
	if listing == nil {
		return floor
	}
	highest, _ := rule.highest(listing.Tags)
	if floor == "" || rule.Higher(highest, floor) {
		return highest
	}
	return floor
}
