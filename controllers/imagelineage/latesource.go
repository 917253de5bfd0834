// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// lateSource is a source whose kind may come to the cluster after the operator: it
// begins when it is told that the kind is there. Once begun it goes on for good. If
// the kind goes and comes again, the watch behind it finds that out by itself.
type lateSource struct {
	source source.Source

	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // the controller's, for the source that begins later
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	told  bool
	begun bool
}

// Start implements source.Source.
func (s *lateSource) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.queue = ctx, queue
	return s.beginLocked()
}

// begin says that the kind is there.
func (s *lateSource) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = true
	if err := s.beginLocked(); err != nil {
		log.FromContext(s.ctx).Error(err, "A watch could not be started")
	}
}

func (s *lateSource) beginLocked() error {
	if s.begun || !s.told || s.queue == nil {
		return nil
	}
	s.begun = true
	return s.source.Start(s.ctx, s.queue)
}
