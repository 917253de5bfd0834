// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// fieldManager is who applies the shop.
const fieldManager = "shop"

// Scheme knows Kubernetes' own kinds and ours.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// Connect returns a client of the cluster, and the configuration that it was made from.
func (c Cluster) Connect() (client.Client, *rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("KUBECONFIG: %w", err)
	}
	config.QPS = -1
	connected, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, nil, fmt.Errorf("the cluster of %s does not answer: %w", c.Kubeconfig, err)
	}
	return connected, config, nil
}

// Apply applies objects, server-side.
func Apply(ctx context.Context, c client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
			client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// CreateMissing creates the objects that do not exist. Workloads are not applied again:
// the image in their manifest is a plain tag, and would take the operator's place.
func CreateMissing(ctx context.Context, c client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		err := c.Create(ctx, object, client.FieldOwner(fieldManager))
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// pause is the time between two looks at a condition. Figures are not taken by them:
// the journal has every change at its instant.
const pause = 250 * time.Millisecond

// FatalError is an error of a condition that will not come to hold by waiting.
type FatalError struct {
	// Message says what a person has to mend.
	Message string
}

// Error is the message.
func (e *FatalError) Error() string { return e.Message }

// Until waits until a condition holds, which it says by returning no error. At the
// deadline its last error is the reason; a FatalError is one at once.
func Until(ctx context.Context, limit time.Duration, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if _, fatal := errors.AsType[*FatalError](err); fatal {
			return fmt.Errorf("%s: %w", what, err)
		}
		// An error of the deadline itself says less than the one before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("waited %s for %s: %w", limit, what, last)
		case <-ticker.C:
		}
	}
}

// NoKind is true for the error of asking a cluster for a kind that it does not know.
func NoKind(err error) bool {
	return meta.IsNoMatchError(err)
}
