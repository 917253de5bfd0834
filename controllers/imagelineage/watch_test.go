// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/fleet"
)

// onlooker is a queue that sees what the fleet holds when somebody is woken.
type onlooker struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	fleet *fleet.Fleet
	of    types.NamespacedName
	woken map[string]bool
	saw   []*v1alpha1.ImageLineage
}

// Add implements workqueue.TypedInterface.
func (o *onlooker) Add(request reconcile.Request) {
	o.woken[request.Name] = true
	o.saw = append(o.saw, o.fleet.Get(o.of))
}

// watched is a lineage with the image of its own name in a namespace of its own.
func watched(name, image string, parents ...string) *v1alpha1.ImageLineage {
	l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: name, UID: types.UID(name), Generation: 1}}
	l.Spec.Image = v1alpha1.ImageReference("registry.example.com/" + image + ":1")
	for _, parent := range parents {
		ref := &v1alpha1.LineageReference{Namespace: v1alpha1.NamespaceName(parent), Name: v1alpha1.ObjectName(parent)}
		l.Spec.From = append(l.Spec.From, v1alpha1.Parent{LineageRef: ref})
	}
	if len(parents) > 0 {
		l.Spec.Build = &v1alpha1.Build{}
	}
	return l
}

func TestLineageEvents(t *testing.T) {
	// base → mid → app → patient, idle, and patient waits for mid; copy stands for mid's image, and twin and beside for base's.
	fleetOf := func() map[string]*v1alpha1.ImageLineage {
		mid := watched("mid", "mid", "base")
		mid.Status.History = []v1alpha1.Revision{{Origin: v1alpha1.OriginBuilt}}
		meta.SetStatusCondition(&mid.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionImageMissing, Status: metav1.ConditionTrue})
		meta.SetStatusCondition(&mid.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue})
		mid.Status.Run = &v1alpha1.RunStatus{Name: "mid-run"}
		patient := watched("patient", "patient", "app")
		patient.Status.WaitingFor = []string{"mid/mid"}
		beside := watched("beside", "base")
		beside.Namespace = "base"
		return map[string]*v1alpha1.ImageLineage{
			"beside": beside, "base": watched("base", "base"), "twin": watched("twin", "base"), "mid": mid,
			"copy": watched("copy", "mid"), "app": watched("app", "app", "mid"),
			"patient": patient, "idle": watched("idle", "idle", "app"),
		}
	}
	tests := map[string]struct {
		of string
		// change makes it another one; without it the lineage is deleted.
		change func(*v1alpha1.ImageLineage)
		want   map[string]bool
	}{
		"a base moves: its children, and who may claim the same containers": {
			of:     "base",
			change: func(l *v1alpha1.ImageLineage) { l.Status.Current = &v1alpha1.CurrentRevision{} },
			want:   map[string]bool{"base": true, "mid": true, "beside": true},
		},
		"what is built moves: its children, and who stands for its image": {
			of: "mid",
			change: func(l *v1alpha1.ImageLineage) {
				l.Status.Current = &v1alpha1.CurrentRevision{Revision: v1alpha1.Revision{Revision: 1}}
			},
			want: map[string]bool{"mid": true, "app": true, "copy": true, "patient": true},
		},
		"a status is no concern of the parents": {
			of:     "app",
			change: func(l *v1alpha1.ImageLineage) { l.Status.Current = &v1alpha1.CurrentRevision{} },
			want:   map[string]bool{"app": true, "patient": true, "idle": true},
		},
		"unless a parent's image was missing, and may not be needed any more": {
			of: "app",
			change: func(l *v1alpha1.ImageLineage) {
				l.Status.Current = &v1alpha1.CurrentRevision{Revision: v1alpha1.Revision{BuiltFrom: []v1alpha1.BuiltFrom{{Name: "base"}}}}
			},
			want: map[string]bool{"app": true, "mid": true, "patient": true, "idle": true},
		},
		"another parent: the one that it left, and the one that it has": {
			of: "app",
			change: func(l *v1alpha1.ImageLineage) {
				l.Generation++
				l.Spec.From[0].LineageRef.Name = "twin"
				l.Spec.From[0].LineageRef.Namespace = "twin"
			},
			want: map[string]bool{"app": true, "mid": true, "twin": true, "patient": true, "idle": true},
		},
		"not built any more: who stood for its image": {
			of:     "mid",
			change: func(l *v1alpha1.ImageLineage) { l.Generation++; l.Spec.From, l.Spec.Build = nil, nil },
			want:   map[string]bool{"mid": true, "app": true, "copy": true, "base": true, "patient": true},
		},
		"the run of what is built has ended: who waits below, at any depth": {
			of:     "mid",
			change: func(l *v1alpha1.ImageLineage) { l.Status.Run.Outcome = v1alpha1.RunFailed },
			want:   map[string]bool{"mid": true, "app": true, "copy": true, "patient": true},
		},
		"it is at rest: the same": {
			of:     "mid",
			change: func(l *v1alpha1.ImageLineage) { l.Status.Conditions = nil },
			want:   map[string]bool{"mid": true, "app": true, "copy": true, "patient": true},
		},
		"it goes on with what it does: those beside it only": {
			of:     "mid",
			change: func(l *v1alpha1.ImageLineage) { l.Status.OutdatedSince = &metav1.Time{} },
			want:   map[string]bool{"mid": true, "app": true, "copy": true},
		},
		"suspended: who waits below, whoever for": {
			of:     "mid",
			change: func(l *v1alpha1.ImageLineage) { l.Generation++; l.Spec.Suspend = true },
			want:   map[string]bool{"mid": true, "app": true, "copy": true, "base": true, "patient": true},
		},
		"deleted: everybody beside it": {
			of:   "mid",
			want: map[string]bool{"mid": true, "app": true, "copy": true, "base": true, "patient": true},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Fleet: &fleet.Fleet{}}
			lineages := fleetOf()
			for _, l := range lineages {
				r.Fleet.Put(l)
			}
			before := lineages[tc.of]
			queue := &onlooker{fleet: r.Fleet, of: ownerOf(before), woken: map[string]bool{}}
			var now *v1alpha1.ImageLineage
			if tc.change == nil {
				r.lineageEvents().Delete(context.Background(), event.DeleteEvent{Object: before}, queue)
			} else {
				now = before.DeepCopy()
				tc.change(now)
				r.lineageEvents().Update(context.Background(), event.UpdateEvent{ObjectOld: before, ObjectNew: now}, queue)
			}
			if diff := cmp.Diff(tc.want, queue.woken); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
			for _, saw := range queue.saw {
				if saw != now {
					t.Fatal("somebody was woken before the fleet had the change")
				}
			}
		})
	}
}
