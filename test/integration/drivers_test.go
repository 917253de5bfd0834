// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// drive stands in for Tekton, for the controller of Deployments and for the
// kubelet, in the world's namespace. It looks often, because it waits for the
// API server only.
func (w *world) drive(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		for _, step := range []func(context.Context) error{w.driveRuns, w.driveDeployments} {
			if err := step(ctx); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "modified") {
				w.t.Errorf("driving the world: %v", err)
			}
		}
	}, 15*time.Millisecond)
}
