// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/tekton"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// concurrency is how many lineages are reconciled at once. A reconcile waits for
// the API server and the registry only while it acts.
const concurrency = 8

// SetupWithManager starts the controller. A lineage is looked at when it changes,
// when one that it is built on changes, when its runs, workloads or pods change,
// and when the registry has news.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, news ...source.Source) error {
	c := r.Client
	r.builds.limit = r.MaxConcurrentBuilds
	r.runsListed = func(ctx context.Context) bool {
		informer, err := mgr.GetCache().GetInformer(ctx, tekton.Object(), cache.BlockUntilSynced(false))
		return err == nil && informer.HasSynced()
	}
	runs := &lateSource{source: source.Kind(mgr.GetCache(), tekton.Object(), r.runEvents())}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("imagelineage").
		Watches(&v1alpha1.ImageLineage{}, r.lineageEvents()).
		WatchesMetadata(tekton.CRD(), handler.EnqueueRequestsFromMapFunc(tektonCame(c, runs))).
		WatchesRawSource(runs).
		WatchesRawSource(&r.builds).
		WatchesRawSource(r.Refusals).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(podsLineages(c, index.PlainRepositories))).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(podsLineages(c, index.Repositories)), builder.WithPredicates(troubleChanged())).
		WatchesMetadata(namespaceObject(), handler.EnqueueRequestsFromMapFunc(inNamespace(c)), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, RateLimiter: index.Retries[reconcile.Request]()})
	for _, source := range news {
		b = b.WatchesRawSource(source)
	}
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

// runEvents tell the admitter what lives, and wake the lineages whose runs they are.
func (r *Reconciler) runEvents() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	note := func(run client.Object, there bool, q queue) {
		r.builds.observe(client.ObjectKeyFromObject(run), there && tekton.IsLive(run))
		if owner, ok := tekton.OwnerOf(run); ok {
			q.Add(reconcile.Request{NamespacedName: owner})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { note(e.Object, true, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { note(e.ObjectNew, true, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { note(e.Object, false, q) },
	}
}

// tektonCame begins to watch runs when there are any to watch, and has every
// lineage that is built looked at: Tekton was installed, or removed.
func tektonCame(c client.Reader, runs *lateSource) handler.MapFunc {
	return func(ctx context.Context, crd client.Object) []reconcile.Request {
		if crd.GetDeletionTimestamp().IsZero() {
			runs.begin()
		}
		found := &v1alpha1.ImageLineageList{}
		if err := c.List(ctx, found); err != nil {
			log.FromContext(ctx).Error(err, "Lineages could not be listed")
		}
		var names []types.NamespacedName
		for i := range found.Items {
			if plan.Produced(&found.Items[i]) {
				names = append(names, client.ObjectKeyFromObject(&found.Items[i]))
			}
		}
		return requests(names)
	}
}

func workloadsLineages(c client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return running(ctx, c, o.GetNamespace(), workload.Images(o))
	}
}

// podsLineages are the lineages of those images of a pod that count.
func podsLineages(c client.Reader, images func(client.Object) []string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return running(ctx, c, o.GetNamespace(), images(o))
	}
}

// troubleChanged lets through the pods that get into trouble, or out of it: the
// status of their workload may not change with that for a long time.
func troubleChanged() predicate.Predicate {
	trouble := func(o client.Object) string {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return ""
		}
		return workload.Trouble(pod)
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return trouble(e.Object) != "" },
		UpdateFunc:  func(e event.UpdateEvent) bool { return trouble(e.ObjectOld) != trouble(e.ObjectNew) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return trouble(e.Object) != "" },
		GenericFunc: func(event.GenericEvent) bool { return false },
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
