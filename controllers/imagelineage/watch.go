// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// lineageEvents keep the fleet, and wake whom a change concerns. It is one handler for
// all of that, since several would be told independently of each other: here nobody is
// woken by a change before the fleet has it. The controller begins to work when this
// handler was told of every lineage that there is.
func (r *Reconciler) lineageEvents() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	change := func(obj client.Object, there bool, q queue) {
		told, ok := obj.(*v1alpha1.ImageLineage)
		if !ok {
			return
		}
		key := ownerOf(told)
		before, now := r.Fleet.Get(key), told
		if !there {
			now = nil
		}
		wake := sets.New(reconcile.Request{NamespacedName: key})
		wake.Insert(r.concerned(key, before, now)...)
		if there {
			r.Fleet.Put(now)
		} else {
			r.Fleet.Delete(key)
		}
		wake.Insert(r.concerned(key, before, now)...)
		for request := range wake {
			q.Add(request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { change(e.Object, true, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { change(e.ObjectNew, true, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { change(e.Object, false, q) },
	}
}

// concerned are the lineages that have to hear of a change of one, as the fleet knows
// them now: those that depend on it, and some of those that it is built on. What it does
// is no concern of theirs, but that it is there is: it may give them their role. And one
// that tells of an image which is gone has to hear that it may not be needed any more.
func (r *Reconciler) concerned(key types.NamespacedName, before, now *v1alpha1.ImageLineage) []reconcile.Request {
	var names []types.NamespacedName
	for _, child := range r.Fleet.Dependents(key) {
		names = append(names, ownerOf(child))
	}
	edited := before == nil || now == nil || before.UID != now.UID || before.Generation != now.Generation
	if edited || settles(before, now) {
		names = append(names, r.waiting(key)...)
	}
	moved := !edited && !equality.Semantic.DeepEqual(bases(before), bases(now))
	for _, parent := range r.Fleet.Parents(key) {
		if edited || moved && meta.IsStatusConditionTrue(parent.Status.Conditions, v1alpha1.ConditionImageMissing) {
			names = append(names, ownerOf(parent))
		}
	}
	return requests(names)
}

// waiting are the lineages below one that wait for an ancestor. Which one does not matter:
// one that does not move any more lets nothing through either, and those between it and
// who waits may have nothing to say of that. Who begins to wait on what the fleet knew
// before is woken by its own status.
func (r *Reconciler) waiting(below types.NamespacedName) []types.NamespacedName {
	var names []types.NamespacedName
	for _, l := range r.Fleet.Descendants(below) {
		if len(l.Status.WaitingFor) > 0 {
			names = append(names, ownerOf(l))
		}
	}
	return names
}

// settles is true of a change after which nobody may have to wait for a lineage: it has
// another image, its run has ended, or it is at rest.
func settles(before, now *v1alpha1.ImageLineage) bool {
	if plan.Followed(now) && plan.Followed(before) {
		return false
	}
	ended := func(l *v1alpha1.ImageLineage) string {
		if l.Status.Run == nil || plan.InFlight(l.Status.Run) {
			return ""
		}
		return l.Status.Run.Name
	}
	revision := func(l *v1alpha1.ImageLineage) int64 {
		if l.Status.Current == nil {
			return 0
		}
		return l.Status.Current.Revision.Revision
	}
	busy := func(l *v1alpha1.ImageLineage) bool {
		return meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReconciling)
	}
	return revision(before) != revision(now) || ended(before) != ended(now) || busy(before) && !busy(now)
}

// bases are what the image of a lineage was built from.
func bases(l *v1alpha1.ImageLineage) []v1alpha1.BuiltFrom {
	if l.Status.Current == nil {
		return nil
	}
	return l.Status.Current.BuiltFrom
}
