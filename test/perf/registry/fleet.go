// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

// writers is how many lineages are created at once.
const writers = 16

// fleet is the lineages of the benchmark, as the API server shows them.
type fleet struct {
	client   client.Client
	hosts    []*counting.Host
	interval time.Duration
	// made are how many lineages there are.
	made int

	mu    sync.Mutex
	shown map[types.NamespacedName]shown
}

// shown is what a lineage's status says, and since when.
type shown struct {
	digest v1alpha1.Digest
	since  time.Time
}

// newFleet watches the lineages until the context ends.
func newFleet(ctx context.Context, config *rest.Config, hosts []*counting.Host, interval time.Duration) (*fleet, error) {
	scheme := operator.Scheme()
	writer, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	lineages, err := cache.New(config, cache.Options{Scheme: scheme, DefaultTransform: keepCurrent})
	if err != nil {
		return nil, err
	}
	f := &fleet{client: writer, hosts: hosts, interval: interval, shown: map[types.NamespacedName]shown{}}
	// A cache ends with its context, and has nothing to tell then.
	go func() { _ = lineages.Start(ctx) }()
	informer, err := lineages.GetInformer(ctx, &v1alpha1.ImageLineage{})
	if err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    f.see,
		UpdateFunc: func(_, now any) { f.see(now) },
	})
	return f, err
}

// keepCurrent drops all of a lineage but its name and current digest.
func keepCurrent(o any) (any, error) {
	l, ok := o.(*v1alpha1.ImageLineage)
	if !ok {
		return o, nil
	}
	kept := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{
		Namespace: l.Namespace, Name: l.Name, UID: l.UID, ResourceVersion: l.ResourceVersion,
	}}
	if l.Status.Current != nil {
		kept.Status.Current = &v1alpha1.CurrentRevision{}
		kept.Status.Current.Digest = l.Status.Current.Digest
	}
	return kept, nil
}

func (f *fleet) see(o any) {
	l, ok := o.(*v1alpha1.ImageLineage)
	if !ok || l.Status.Current == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := client.ObjectKeyFromObject(l)
	if f.shown[name].digest != l.Status.Current.Digest {
		f.shown[name] = shown{digest: l.Status.Current.Digest, since: time.Now()}
	}
}

// name is the lineage with a number: its namespace has one for each reference.
func name(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: fmt.Sprintf("team-%d", n/references), Name: fmt.Sprintf("base-%d", n%references)}
}

// host and repository of the lineage with a number: the references are spread
// evenly over the hosts.
func (f *fleet) host(n int) *counting.Host { return f.hosts[n%references%len(f.hosts)] }

func repository(n int) string { return fmt.Sprintf("team/base-%d", n%references) }

// grow creates lineages until there are so many.
func (f *fleet) grow(ctx context.Context, to int) error {
	for n := f.made; n < to; n += references {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name(n).Namespace}}
		if err := client.IgnoreAlreadyExists(f.client.Create(ctx, namespace)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for n := range numbers {
				if err := f.client.Create(ctx, f.lineage(n)); err != nil {
					cancel(err)
				}
			}
		})
	}
	for n := f.made; n < to && ctx.Err() == nil; n++ {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	f.made = to
	return context.Cause(ctx)
}

func (f *fleet) lineage(n int) *v1alpha1.ImageLineage {
	interval := v1alpha1.Duration(f.interval.String())
	return &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Namespace: name(n).Namespace, Name: name(n).Name},
		Spec: v1alpha1.ImageLineageSpec{
			Image: v1alpha1.ImageReference(f.host(n).Name + "/" + repository(n) + ":stable"),
			Poll:  &v1alpha1.Poll{Interval: &interval},
		},
	}
}

// current waits until every lineage shows what its tag shows, and tells when the
// last one began to.
func (f *fleet) current(ctx context.Context, timeout time.Duration) (time.Time, error) {
	want := make(map[int]v1alpha1.Digest, references)
	for n := range min(f.made, references) {
		want[n] = v1alpha1.Digest(f.host(n).Digest(repository(n)))
	}
	var last time.Time
	behind := f.made
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, timeout, true, func(context.Context) (bool, error) {
		last, behind = f.behind(want)
		return behind == 0, nil
	})
	if err != nil {
		return last, fmt.Errorf("%d of %d lineages are not current after %s: %w", behind, f.made, timeout, err)
	}
	return last, nil
}

func (f *fleet) behind(want map[int]v1alpha1.Digest) (last time.Time, behind int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.made {
		is := f.shown[name(n)]
		if is.digest != want[n%references] {
			behind++
		}
		if is.since.After(last) {
			last = is.since
		}
	}
	return last, behind
}
