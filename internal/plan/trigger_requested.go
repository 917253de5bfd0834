// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// requested fires where the rebuild annotation holds a token that was not
// answered, or was answered by a run that failed.
func requested(s Subject) *Verdict {
	token := rebuildToken(s.Lineage)
	if token == "" || token == handled(s.Lineage).Rebuild && !requestFailed(s) {
		return nil
	}
	return &Verdict{
		Reason:  v1alpha1.ReasonRequested,
		Message: fmt.Sprintf("the annotation %s asks for it", v1alpha1.RebuildAnnotation),
	}
}

// requestFailed is true where the newest run was asked for and failed, and nothing
// was accepted since: the request stands, so that it is tried again, and told.
func requestFailed(s Subject) bool {
	run := s.Lineage.Status.Run
	return run != nil && HasFailed(run.Outcome) && run.Number > lastRevision(s.Lineage) &&
		slices.Contains(run.Reasons, v1alpha1.ReasonRequested)
}

// urgentPrefix begins a rebuild token that passes build windows: urgent:REASON.
const urgentPrefix = "urgent:"

// urgency is what a run records of a request that a person calls urgent: its token,
// with the reason. Commas part the reasons of a run, and so become semicolons.
func urgency(s Subject) []string {
	token := strings.TrimSpace(rebuildToken(s.Lineage))
	if requested(s) == nil || !strings.HasPrefix(token, urgentPrefix) || len(token) == len(urgentPrefix) {
		return nil
	}
	return []string{strings.ReplaceAll(token, ",", ";")}
}

// maxToken is the longest token that the status can echo (status.handled).
const maxToken = 256

// rebuildToken is the token of the rebuild annotation, cut to what the status can
// echo.
func rebuildToken(l *v1alpha1.ImageLineage) string {
	return cutTo(l.Annotations[v1alpha1.RebuildAnnotation], maxToken)
}

// CheckToken is the token of the check annotation, cut to what the status can
// echo.
func CheckToken(l *v1alpha1.ImageLineage) string {
	return cutTo(l.Annotations[v1alpha1.CheckAnnotation], maxToken)
}

// cutTo shortens a text to so many characters.
func cutTo(text string, length int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), length)])
}

func handled(l *v1alpha1.ImageLineage) v1alpha1.Handled {
	if l.Status.Handled == nil {
		return v1alpha1.Handled{}
	}
	return *l.Status.Handled
}
