// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// change is what a watch tells of: an object as it was after a write, or that it is
// gone.
type change struct {
	kind string
	key  types.NamespacedName
	old  client.Object
	now  client.Object
}

// view is a cache that lags: a change that was written is seen only when it is
// delivered. The changes of one kind come in their order, as one watch tells them;
// kinds among each other come in any order.
type view struct {
	scheme  *runtime.Scheme
	rng     *rand.Rand
	objects map[string]map[types.NamespacedName]client.Object
	indexes map[string]map[string]client.IndexerFunc
	streams map[string][]change
}

func newView(scheme *runtime.Scheme, rng *rand.Rand) *view {
	return &view{
		scheme: scheme, rng: rng,
		objects: map[string]map[types.NamespacedName]client.Object{},
		indexes: map[string]map[string]client.IndexerFunc{},
		streams: map[string][]change{},
	}
}

// IndexField implements client.FieldIndexer.
func (v *view) IndexField(_ context.Context, obj client.Object, field string, f client.IndexerFunc) error {
	kind := v.kindOf(obj)
	if v.indexes[kind] == nil {
		v.indexes[kind] = map[string]client.IndexerFunc{}
	}
	v.indexes[kind][field] = f
	return nil
}

func (v *view) kindOf(obj runtime.Object) string {
	gvk, err := apiutil.GVKForObject(obj, v.scheme)
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(gvk.Kind, "List")
}

// written puts a change into the stream of its kind.
func (v *view) written(c change) { v.streams[c.kind] = append(v.streams[c.kind], c) }

// lagging are the kinds with changes that were not delivered.
func (v *view) lagging() []string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(v.streams)) {
		if len(v.streams[kind]) > 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// deliver shows the next change of some kind, and returns it.
func (v *view) deliver() (change, bool) {
	kinds := v.lagging()
	if len(kinds) == 0 {
		return change{}, false
	}
	kind := kinds[v.rng.Intn(len(kinds))]
	next := v.streams[kind][0]
	v.streams[kind] = v.streams[kind][1:]
	if v.objects[kind] == nil {
		v.objects[kind] = map[types.NamespacedName]client.Object{}
	}
	next.old = v.objects[kind][next.key]
	if next.now == nil {
		delete(v.objects[kind], next.key)
	} else {
		v.objects[kind][next.key] = next.now
	}
	return next, true
}

// Get implements client.Reader.
func (v *view) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	kind := v.kindOf(obj)
	found := v.objects[kind][key]
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, key.Name)
	}
	if partial, ok := obj.(*metav1.PartialObjectMetadata); ok {
		partial.Name, partial.Namespace = found.GetName(), found.GetNamespace()
		partial.Labels, partial.DeletionTimestamp = maps.Clone(found.GetLabels()), found.GetDeletionTimestamp()
		return nil
	}
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
	return nil
}

// List implements client.Reader.
func (v *view) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := client.ListOptions{}
	options.ApplyOptions(opts)
	kind := v.kindOf(list)
	var found []runtime.Object
	keys := slices.SortedFunc(maps.Keys(v.objects[kind]), func(a, b types.NamespacedName) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, key := range keys {
		if obj := v.objects[kind][key]; v.matches(kind, obj, options) {
			found = append(found, obj.DeepCopyObject())
		}
	}
	return meta.SetList(list, found)
}

func (v *view) matches(kind string, obj client.Object, o client.ListOptions) bool {
	if o.Namespace != "" && obj.GetNamespace() != o.Namespace {
		return false
	}
	if o.LabelSelector != nil && !o.LabelSelector.Matches(labelSet(obj.GetLabels())) {
		return false
	}
	if o.FieldSelector == nil {
		return true
	}
	for _, wanted := range o.FieldSelector.Requirements() {
		index := v.indexes[kind][wanted.Field]
		if index == nil {
			panic(fmt.Sprintf("no index %s of %s", wanted.Field, kind))
		}
		if !slices.Contains(index(obj), wanted.Value) {
			return false
		}
	}
	return true
}

type labelSet map[string]string

// Has implements labels.Labels.
func (l labelSet) Has(label string) bool { _, ok := l[label]; return ok }

// Get implements labels.Labels.
func (l labelSet) Get(label string) string { return l[label] }

// Lookup implements labels.Labels.
func (l labelSet) Lookup(label string) (string, bool) { value, ok := l[label]; return value, ok }

// laggingClient reads from a view and writes to the API server.
type laggingClient struct {
	client.Client
	view *view
}

// Get implements client.Reader.
func (c laggingClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return c.view.Get(ctx, key, obj, opts...)
}

// List implements client.Reader.
func (c laggingClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.view.List(ctx, list, opts...)
}
