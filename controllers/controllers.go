// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package controllers is the composition root: what runs in the operator, and
// what each part is given.
package controllers

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/imagelineage/imagelineage/controllers/fleet"
	"github.com/imagelineage/imagelineage/controllers/imagelineage"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/controllers/rollout"
)

// Parts are what the controllers need beside the manager.
type Parts struct {
	// Client for reads from the cache and for all writes.
	Client client.Client
	// Poller tells what tags show.
	Poller imagelineage.Poller
	// News wake the lineages for which the poller has an answer, or a copy was made.
	News []source.Source
	// Registry confirms and publishes images.
	Registry imagelineage.Registry
	// Copies are made for spec.mirror.
	Copies imagelineage.Copies
	// Runs creates and deletes PipelineRuns.
	Runs imagelineage.Runs
	// Clock is the time of decisions.
	Clock clock.PassiveClock
	// ObserveOnly has everything said and nothing done.
	ObserveOnly bool
	// MaxConcurrentBuilds is how many runs may be live at once; 0 is any number.
	MaxConcurrentBuilds int
	// SettleTimeout is how long a build waits for ancestors on which nothing gets on; 0 is
	// without end.
	SettleTimeout time.Duration
}

// Setup adds every controller to the manager.
func Setup(ctx context.Context, mgr ctrl.Manager, parts Parts) error {
	if err := index.Setup(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}

	refusals := &index.Refusals{}

	// Decides, builds, publishes, and writes the status of every lineage.
	lineages := &imagelineage.Reconciler{
		Fleet: &fleet.Fleet{}, Client: parts.Client, Live: mgr.GetAPIReader(), ObserveOnly: parts.ObserveOnly,
		Poller: parts.Poller, Registry: parts.Registry, Copies: parts.Copies, Runs: parts.Runs,
		Events: mgr.GetEventRecorder("imagelineage"), Clock: parts.Clock,
		Refusals: refusals, MaxConcurrentBuilds: parts.MaxConcurrentBuilds, SettleTimeout: parts.SettleTimeout,
	}
	if err := lineages.SetupWithManager(mgr, parts.News...); err != nil {
		return err
	}

	if parts.ObserveOnly {
		return nil
	}

	// Writes the images of workloads, and nothing else.
	workloads := &rollout.Reconciler{
		Client: parts.Client, Events: mgr.GetEventRecorder("imagelineage"), Refusals: refusals,
		Clock: parts.Clock,
	}
	return workloads.SetupWithManager(mgr)
}
