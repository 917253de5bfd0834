// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"errors"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UserError is a template that cannot be used: a person has to mend it.
type UserError struct {
	// Field is the path of the field in the lineage, such as
	// spec.build.pipelineRun.spec.params[1].value.
	Field string
	// Message says what is wrong, and what would be right.
	Message string
}

// Error is the field and the message.
func (e *UserError) Error() string { return e.Field + ": " + e.Message }

// RefusedError is a PipelineRun that the API server's validation, Tekton's
// webhook or another admission check does not let in. Trying again does not help
// until the template or the cluster changes.
type RefusedError struct {
	// Message of the API server, on one line of at most 600 characters.
	Message string
}

// Error is the message.
func (e *RefusedError) Error() string { return e.Message }

// Missing is true where the cluster has no PipelineRuns at all: Tekton is not
// installed, or is being installed anew. That says nothing about any one run, while
// apierrors.IsNotFound takes it for the run's absence.
func Missing(err error) bool {
	if meta.IsNoMatchError(err) {
		return true
	}
	// A path that nothing serves is answered in plain text, of which client-go makes
	// an error with the name that was asked for and this cause. The absence of an
	// object is a Status that names it.
	if !apierrors.IsNotFound(err) {
		return false
	}
	if apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Name == ""
}

// oneLine makes one line of at most limit bytes of a message that was written for
// a terminal.
func oneLine(message string, limit int) string {
	message = strings.Join(strings.Fields(strings.ToValidUTF8(message, "?")), " ")
	if len(message) <= limit {
		return message
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}
