// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// EntryKind is what an entry of the journal tells.
type EntryKind string

// The kinds of entries.
const (
	// Accepted: a lineage has a new current revision.
	Accepted EntryKind = "accepted"
	// Said: the reason of a lineage's Ready condition changed.
	Said EntryKind = "said"
	// RunStarted: a PipelineRun was created.
	RunStarted EntryKind = "run started"
	// RunSucceeded and RunFailed: a PipelineRun ended.
	RunSucceeded EntryKind = "run succeeded"
	RunFailed    EntryKind = "run failed"
	// Patched: a workload got another image.
	Patched EntryKind = "patched"
	// RolledOut: a workload runs its template.
	RolledOut EntryKind = "rolled out"
)

// Entry is one thing that happened.
type Entry struct {
	// At is when the journal heard of it.
	At time.Time
	// Kind of what happened.
	Kind EntryKind
	// Object is what it happened to: namespace/lineage, or namespace/kind/workload.
	Object string
	// Text says it for people.
	Text string
	// Lineage is the name of the lineage that a run builds.
	Lineage string
	// Run is the name of the run.
	Run string
}

// Journal writes down what happens in some namespaces, as the watches tell it.
type Journal struct {
	mu      sync.Mutex
	entries []Entry
	tell    func(Entry)
}

// NewJournal starts a journal; it ends with the context. tell is called with each
// entry, one at a time; it may be nil.
func NewJournal(ctx context.Context, config *rest.Config, namespaces []string, tell func(Entry)) (*Journal, error) {
	// What the libraries log of their watches is no entry.
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
	watched := map[string]cache.Config{}
	for _, namespace := range namespaces {
		watched[namespace] = cache.Config{}
	}
	informers, err := cache.New(config, cache.Options{Scheme: Scheme(), DefaultNamespaces: watched})
	if err != nil {
		return nil, err
	}
	j := &Journal{tell: tell}
	for _, watch := range []struct {
		object  client.Object
		changed func(before, after any)
	}{
		{&v1alpha1.ImageLineage{}, j.lineage},
		{runObject(), j.run},
		{&appsv1.Deployment{}, j.workload},
		{&appsv1.StatefulSet{}, j.workload},
		{&appsv1.DaemonSet{}, j.workload},
	} {
		informer, err := informers.GetInformer(ctx, watch.object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", watch.object, err)
		}
		if _, err := informer.AddEventHandler(handler(watch.changed)); err != nil {
			return nil, err
		}
	}
	go func() { _ = informers.Start(ctx) }()
	if !informers.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("the journal could not be started: %w", ctx.Err())
	}
	return j, nil
}

// handler leaves out what was there before the journal.
func handler(changed func(before, after any)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(after any, initial bool) {
			if !initial {
				changed(nil, after)
			}
		},
		UpdateFunc: changed,
	}
}

func runObject() *unstructured.Unstructured {
	run := &unstructured.Unstructured{}
	run.SetAPIVersion("tekton.dev/v1")
	run.SetKind("PipelineRun")
	return run
}

func (j *Journal) write(e Entry) {
	e.At = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, e)
	if j.tell != nil {
		j.tell(e)
	}
}

// Since are the entries from a time on.
func (j *Journal) Since(from time.Time) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := slices.IndexFunc(j.entries, func(e Entry) bool { return !e.At.Before(from) })
	if first < 0 {
		return nil
	}
	return slices.Clone(j.entries[first:])
}
