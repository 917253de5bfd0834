// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// neverBuilt fires where the tag does not exist and never did.
func neverBuilt(s Subject) *Verdict {
	if !s.Absent || s.current() != nil {
		return nil
	}
	return &Verdict{
		Reason:  v1alpha1.ReasonNeverBuilt,
		Message: fmt.Sprintf("%s does not exist yet", s.Lineage.Spec.Image),
	}
}
