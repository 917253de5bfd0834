// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// refusalLength bounds a refusal, which has to stand in a condition.
const refusalLength = 600

// Runs creates PipelineRuns, and asks beforehand whether they would be let in.
// It is safe for concurrent use.
type Runs struct {
	client   client.Client
	verdicts *verdicts
}

// NewRuns returns Runs that act through c, which should read unstructured objects
// from the API server, as the client of a manager does unless told otherwise. now
// tells the time, for how long a refusal is remembered.
func NewRuns(c client.Client, now func() time.Time) *Runs {
	return &Runs{client: c, verdicts: newVerdicts(now)}
}

// Create creates a run made by Render, which is not modified. Unknown fields are
// refused, not dropped. A run that exists already under the name is success if it
// is the same lineage's, since a name stands for all that a run is made of.
//
// The error is a *RefusedError where validation or admission refuses the run. A
// missing right or an exceeded quota is a plain error: it may pass by itself.
func (r *Runs) Create(ctx context.Context, run *unstructured.Unstructured) error {
	err := r.client.Create(ctx, run.DeepCopy(),
		client.FieldOwner(v1alpha1.FieldManager), client.FieldValidation(metav1.FieldValidationStrict))
	if apierrors.IsAlreadyExists(err) {
		return r.checkExisting(ctx, run)
	}
	return classify(run, err)
}

// checkExisting fails where the run of that name belongs to somebody else, and
// where it cannot be read: a run that is not there any more is not success either.
func (r *Runs) checkExisting(ctx context.Context, run *unstructured.Unstructured) error {
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(run.GroupVersionKind())
	if err := r.client.Get(ctx, client.ObjectKeyFromObject(run), existing); err != nil {
		return fmt.Errorf("PipelineRun %s/%s, which exists already: %w", run.GetNamespace(), run.GetName(), err)
	}
	uid := run.GetLabels()[v1alpha1.LineageUIDLabel]
	if uid == "" || existing.GetLabels()[v1alpha1.LineageUIDLabel] != uid {
		return fmt.Errorf("PipelineRun %s/%s exists already, and is not this lineage's", run.GetNamespace(), run.GetName())
	}
	return nil
}

// Validate asks the API server, without creating anything, whether it would let
// run in; the errors are those of Create. Equal content is asked for once: leave
// to create is remembered for good, since Create asks again, and a refusal for
// ten minutes, since the cluster may change its mind. Other errors are not
// remembered.
func (r *Runs) Validate(ctx context.Context, run *unstructured.Unstructured) error {
	key, err := contentKey(run)
	if err != nil {
		return err
	}
	if known, refusal := r.verdicts.get(key); known {
		return refusal
	}
	err = r.client.Create(ctx, run.DeepCopy(), client.DryRunAll,
		client.FieldOwner(v1alpha1.FieldManager), client.FieldValidation(metav1.FieldValidationStrict))
	if apierrors.IsAlreadyExists(err) || isDryRunUnsupported(err) {
		err = nil
	}
	err = classify(run, err)
	var refused *RefusedError
	switch {
	case err == nil:
		r.verdicts.put(key, nil)
	case errors.As(err, &refused):
		r.verdicts.put(key, refused)
	}
	return err
}

// classify tells refusals, which stay, from errors, which may pass.
func classify(run *unstructured.Unstructured, err error) error {
	if err == nil {
		return nil
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && isRefusal(status.Status()) {
		return &RefusedError{Message: oneLine(status.Status().Message, refusalLength)}
	}
	return fmt.Errorf("create PipelineRun %s/%s: %w", run.GetNamespace(), run.GetName(), err)
}

// isRefusal is true for answers about the content. Admission may answer with any
// code, and is known by its words (k8s.io/apiserver, webhook/errors ToStatusErr
// and policy/validating dispatcher); Forbidden alone is also what missing rights,
// a quota or a namespace that is being deleted give.
func isRefusal(status metav1.Status) bool {
	switch status.Code {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return true
	case http.StatusTooManyRequests, http.StatusConflict:
		return false
	}
	if status.Code < 400 || status.Code >= 500 {
		return false
	}
	message := status.Message
	return strings.Contains(message, "admission webhook") && strings.Contains(message, "denied the request") ||
		strings.Contains(message, "ValidatingAdmissionPolicy") && strings.Contains(message, "denied request")
}

// isDryRunUnsupported is true where an admission webhook has side effects and so
// cannot be asked: then only Create can tell (k8s.io/apiserver, webhook/errors
// NewDryRunUnsupportedErr).
func isDryRunUnsupported(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}
