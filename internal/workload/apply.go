// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"context"
	"errors"
	"fmt"

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
