// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package refusal tells why the API server did not let something be written, in words
// that can stand in a condition.
package refusal

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxLength bounds what is repeated of a server's message, in bytes.
const maxLength = 400

// Of is why a write was refused that may be let in later: a policy, a quota, a missing
// right, a namespace that is being deleted, a webhook that does not answer. It is false
// for all other errors, such as those of the connection, and for conflicts. done is true
// where the write may have happened all the same.
//
// What a server says of its own trouble is left out: it often differs each time, by a
// port or a time, and a condition that differs is written anew.
func Of(err error) (why string, done, refused bool) {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) || apierrors.IsConflict(err) {
		return "", false, false
	}
	switch code := status.Status().Code; {
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server, or a webhook that it asks, has trouble (%d)", code), true, true
	case code == http.StatusTooManyRequests:
		return "the API server has too much to do", false, true
	default:
		return oneLine(status.Status().Message), false, true
	}
}

func oneLine(message string) string {
	message = strings.Join(strings.Fields(strings.ToValidUTF8(message, "?")), " ")
	if len(message) <= maxLength {
		return message
	}
	return strings.ToValidUTF8(message[:maxLength], "") + "…"
}
