// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// parentChanged fires where a parent shows another image than the one that
// current is built from. Where it is not known what current is built from, the
// baseline decides: an image cannot contain what appeared after it.
func parentChanged(s Subject) *Verdict {
	current := s.current()
	if current == nil {
		return nil
	}
	var changes []string
	for _, p := range s.Parents {
		if p.Current == nil {
			continue
		}
		if change := parentChange(s, *current, p); change != "" {
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return &Verdict{Reason: v1alpha1.ReasonParentChanged, Message: strings.Join(changes, "; ")}
}

// parentChange says what changed of one parent, or nothing.
func parentChange(s Subject, current v1alpha1.Revision, p Parent) string {
	now := reference.ShortDigest(string(p.Current.Digest))
	if built := lookup(current.BuiltFrom, p.Name); built != nil {
		if contains(*built, p) {
			return ""
		}
		return fmt.Sprintf("%s: %s → %s", p.Name, reference.ShortDigest(string(built.Digest)), now)
	}
	if current.Origin == v1alpha1.OriginBuilt {
		return fmt.Sprintf("%s: not among the parents that the current image was built from → %s", p.Name, now)
	}
	if baseline := baselineOf(s.Lineage, p); baseline != "" && baseline != p.Current.Digest {
		return fmt.Sprintf("%s: %s when the image was taken on → %s", p.Name, reference.ShortDigest(string(baseline)), now)
	}
	return ""
}

// contains is whether what was built from is the parent's current image. A parent
// that stands for another reference than before is another image.
func contains(built v1alpha1.BuiltFrom, p Parent) bool {
	return built.Reference == p.Reference.Name() && sameImage(built, p)
}

// differs is true where the parents' current images are not those of builtFrom.
func differs(builtFrom []v1alpha1.BuiltFrom, parents []Parent) bool {
	for _, p := range parents {
		built := lookup(builtFrom, p.Name)
		if p.Current != nil && built != nil && !contains(*built, p) {
			return true
		}
	}
	return false
}

func lookup(builtFrom []v1alpha1.BuiltFrom, name v1alpha1.ParentName) *v1alpha1.BuiltFrom {
	for i := range builtFrom {
		if builtFrom[i].Name == name {
			return &builtFrom[i]
		}
	}
	return nil
}

// baselineOf is the baseline that the status holds for a parent. It counts only
// while the parent stands for the same reference.
func baselineOf(l *v1alpha1.ImageLineage, p Parent) v1alpha1.Digest {
	for _, known := range l.Status.From {
		if known.Name == p.Name && known.Reference == p.Reference.Name() {
			return known.Baseline
		}
	}
	return ""
}
