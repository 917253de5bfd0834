// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// ErrMoved is returned where a workload is not any more what was decided on:
// plan anew.
var ErrMoved = errors.New("the workload has changed since it was read")

// Apply sends a patch made by Patch, under the field manager of rollouts. obj is
// not modified.
//
// The error is ErrMoved where a test of the patch fails or the object is gone.
// Everything else, a refusal by validation or admission among it, is returned as
// the API server's error.
func Apply(ctx context.Context, c client.Client, obj client.Object, patch []byte) error {
	target, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", obj)
	}
	err := c.Patch(ctx, target, client.RawPatch(types.JSONPatchType, patch),
		client.FieldOwner(v1alpha1.RolloutFieldManager))
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err), apierrors.IsNotFound(err), isFailedTest(err):
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return fmt.Errorf("patch %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
}

// failedPatch is all that the API server says of a patch that does not apply, a
// failed test among it (k8s.io/apimachinery, NewGenericServerResponse for 422).
const failedPatch = "the server rejected our request due to an error in our request"

// isFailedTest tells a patch that does not apply from one whose result is not
// valid: both are Invalid, and planning anew would mend only the first.
func isFailedTest(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsInvalid(err) && errors.As(err, &status) && status.Status().Message == failedPatch
}

// Refused is why the API server does not let a workload be changed: a missing right,
// a policy, an image that admission does not like. It is false for all other errors,
// such as those of the connection. What a server says of its own trouble is left out: it
// often differs each time, and a condition that differs is written anew.
func Refused(err error) (string, bool) {
	var status apierrors.APIStatus
	if err == nil || errors.Is(err, ErrMoved) || !errors.As(err, &status) {
		return "", false
	}
	switch code := status.Status().Code; {
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("the API server, or a webhook that it asks, has trouble (%d)", code), true
	case code == http.StatusTooManyRequests:
		return "the API server has too much to do", true
	}
	message := strings.Join(strings.Fields(status.Status().Message), " ")
	if len(message) > maxRefusal {
		message = strings.ToValidUTF8(message[:maxRefusal], "") + "…"
	}
	return message, true
}

// maxRefusal bounds a refusal, in bytes: it has to stand in a condition.
const maxRefusal = 400
