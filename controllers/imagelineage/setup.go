// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/tekton"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// concurrency is how many lineages are reconciled at once. A reconcile waits for
// the API server and the registry only while it acts.
const concurrency = 8

// SetupWithManager starts the controller. A lineage is looked at when it changes,
// when one that it is built on changes, when its runs, workloads or pods change,
// and when the registry has news.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, news source.Source) error {
	c := r.Client
	b := ctrl.NewControllerManagedBy(mgr).
		Named("imagelineage").
		For(&v1alpha1.ImageLineage{}).
		Watches(&v1alpha1.ImageLineage{}, handler.EnqueueRequestsFromMapFunc(family(c))).
		Watches(tekton.Object(), handler.EnqueueRequestsFromMapFunc(ownerOfRun)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(podsLineages(c))).
		WatchesMetadata(namespaceObject(), handler.EnqueueRequestsFromMapFunc(inNamespace(c)), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(news).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	for _, kind := range index.Kinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(workloadsLineages(c)))
	}
	return b.Complete(r)
}

func namespaceObject() client.Object {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// family are the lineages whose decision may depend on another one: its children,
// those that stand for its image, and its parents, whose role it may change.
func family(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		l, ok := o.(*v1alpha1.ImageLineage)
		if !ok {
			return nil
		}
		names, err := index.Children(ctx, c, l)
		if err != nil {
			log.FromContext(ctx).Error(err, "Children could not be listed", "lineage", client.ObjectKeyFromObject(l))
		}
		above, err := index.Above(ctx, c, l)
		if err != nil {
			log.FromContext(ctx).Error(err, "Parents could not be listed", "lineage", client.ObjectKeyFromObject(l))
		}
		for _, parent := range above {
			names = append(names, client.ObjectKeyFromObject(parent))
		}
		return requests(names)
	}
}

func ownerOfRun(_ context.Context, o client.Object) []reconcile.Request {
	if owner, ok := tekton.OwnerOf(o); ok {
		return requests([]types.NamespacedName{owner})
	}
	return nil
}

func workloadsLineages(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return running(ctx, c, o.GetNamespace(), workload.Images(o))
	}
}

func podsLineages(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return running(ctx, c, o.GetNamespace(), index.PlainRepositories(o))
	}
}

func running(ctx context.Context, c client.Reader, namespace string, repositories []string) []reconcile.Request {
	names, err := index.LineagesRunning(ctx, c, namespace, repositories)
	if err != nil {
		log.FromContext(ctx).Error(err, "Lineages could not be listed", "namespace", namespace)
	}
	return requests(names)
}

// inNamespace are all lineages of a namespace: its labels may admit them to a
// parent, or not any more.
func inNamespace(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		found := &v1alpha1.ImageLineageList{}
		if err := c.List(ctx, found, client.InNamespace(o.GetName())); err != nil {
			log.FromContext(ctx).Error(err, "Lineages could not be listed", "namespace", o.GetName())
		}
		var names []types.NamespacedName
		for i := range found.Items {
			names = append(names, client.ObjectKeyFromObject(&found.Items[i]))
		}
		return requests(names)
	}
}

func requests(names []types.NamespacedName) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		out = append(out, reconcile.Request{NamespacedName: name})
	}
	return out
}
