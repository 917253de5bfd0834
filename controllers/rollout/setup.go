// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package rollout

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// concurrency is how many workloads are looked at together.
const concurrency = 8

// SetupWithManager starts the controller. A workload is looked at when it changes,
// when a lineage of its namespace with one of its repositories changes, and when a
// pod tells what its plain tag turned out to be.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	c := r.Client
	b := builder.TypedControllerManagedBy[Request](mgr).
		Named("rollout").
		WithOptions(controller.TypedOptions[Request]{MaxConcurrentReconciles: concurrency, RateLimiter: index.Retries[Request]()}).
		Watches(&v1alpha1.ImageLineage{}, handler.TypedEnqueueRequestsFromMapFunc(lineagesWorkloads(c))).
		Watches(&corev1.Pod{}, handler.TypedEnqueueRequestsFromMapFunc(podsWorkloads(c)))
	for _, kind := range index.Kinds() {
		b = b.Watches(kind, handler.TypedEnqueueRequestsFromMapFunc(itself))
	}
	return b.Complete(r)
}

func itself(_ context.Context, obj client.Object) []Request {
	return []Request{{Kind: kindOf(obj), NamespacedName: client.ObjectKeyFromObject(obj)}}
}

func lineagesWorkloads(c client.Reader) handler.TypedMapFunc[client.Object, Request] {
	return func(ctx context.Context, obj client.Object) []Request {
		l, ok := obj.(*v1alpha1.ImageLineage)
		if !ok {
			return nil
		}
		return workloads(ctx, c, obj.GetNamespace(), plan.Repositories(l))
	}
}

func podsWorkloads(c client.Reader) handler.TypedMapFunc[client.Object, Request] {
	return func(ctx context.Context, obj client.Object) []Request {
		return workloads(ctx, c, obj.GetNamespace(), index.PlainRepositories(obj))
	}
}

func workloads(ctx context.Context, c client.Reader, namespace string, repositories []string) []Request {
	found, err := index.WorkloadNames(ctx, c, namespace, repositories)
	if err != nil {
		log.FromContext(ctx).Error(err, "Workloads could not be listed", "namespace", namespace)
	}
	var out []Request
	for _, obj := range found {
		out = append(out, itself(ctx, obj)...)
	}
	return out
}
