// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// parentStanding is how current relates to parents that have changed. A release that took
// the place of the build on their newer images is named as the cause, where it is proven
// that it is built on older ones.
func parentStanding(s Subject, v Verdict) (reason, message string) {
	run, current := s.Lineage.Status.Run, s.current()
	if v.Reason != v1alpha1.ReasonParentChanged || run == nil || run.Outcome != v1alpha1.RunSuperseded ||
		!slices.Contains(run.Reasons, v1alpha1.ReasonParentChanged) ||
		current.Origin != v1alpha1.OriginAdopted || current.Revision < run.Number || !differs(current.BuiltFrom, s.Parents) {
		return v.Reason, v.Message
	}
	return v1alpha1.ReasonPatchSuperseded, fmt.Sprintf("a release was pushed while run %s was building on a newer parent, and is itself built on the older one: %s", run.Name, v.Message)
}
