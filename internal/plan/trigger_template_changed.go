// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// templateChanged fires where the template is not the one that built current.
// Hashes of different versions say nothing about each other: an upgrade of the
// operator must build nothing.
func templateChanged(s Subject) *Verdict {
	current := s.current()
	if current == nil || current.Template == "" || s.Template == "" || current.Template == s.Template {
		return nil
	}
	if hashVersion(current.Template) != hashVersion(s.Template) {
		return nil
	}
	return &Verdict{
		Reason:  v1alpha1.ReasonTemplateChanged,
		Message: "spec.build.pipelineRun is not the one that built the current image",
	}
}

func hashVersion(hash string) string {
	version, _, _ := strings.Cut(hash, ":")
	return version
}
