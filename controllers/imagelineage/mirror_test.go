// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// copyState answers for the copier.
type copyState registry.CopyState

// Ensure implements Copies.
func (c copyState) Ensure(types.NamespacedName, registry.CopyRequest) registry.CopyState {
	return registry.CopyState(c)
}

// Forget implements Copies.
func (copyState) Forget(types.NamespacedName) {}

func TestMirrorOutcomes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	failed := func(class registry.Class, host string, count int) *registry.CopyFailure {
		return &registry.CopyFailure{
			Err: &registry.Error{Class: class, Host: host, Op: "copying"}, Count: count, Next: now.Add(40 * time.Second),
		}
	}
	const mirror, source = "registry.example.com", "docker.io"
	tests := map[string]struct {
		state registry.CopyState
		// wantWaiting and wantProblem are reasons.
		wantDone                 bool
		wantWaiting, wantProblem string
		wantText                 string
		wantAgain                time.Duration
	}{
		"there": {
			state:    registry.CopyState{Copy: reference.Reference{Repository: mirror + "/mirror/debian", Tag: "12-0"}},
			wantDone: true,
		},
		"under way": {
			state:       registry.CopyState{UnderWay: true},
			wantWaiting: v1alpha1.ReasonMirroring, wantText: "is being copied",
		},
		"a registry that does not answer": {
			state:       registry.CopyState{Failure: failed(registry.Unavailable, mirror, 2)},
			wantWaiting: v1alpha1.ReasonMirroring, wantText: "it is tried again", wantAgain: 40 * time.Second,
		},
		"a registry that does not answer is told as trouble at the third time": {
			state:       registry.CopyState{Failure: failed(registry.RateLimited, source, 3)},
			wantWaiting: v1alpha1.ReasonRegistryUnreachable, wantText: "it is tried again", wantAgain: 40 * time.Second,
		},
		"a source that lost the image, whose tag will show another": {
			state:       registry.CopyState{Failure: failed(registry.Absent, source, 1)},
			wantWaiting: v1alpha1.ReasonMirroring, wantText: "it is tried again", wantAgain: 40 * time.Second,
		},
		"tried again: the copier tells how that ended": {
			state:       registry.CopyState{Failure: failed(registry.Unavailable, mirror, 2), UnderWay: true},
			wantWaiting: v1alpha1.ReasonMirroring, wantText: "it is tried again",
		},
		"a mirror that lets nobody push": {
			state:       registry.CopyState{Failure: failed(registry.Forbidden, mirror, 1)},
			wantProblem: v1alpha1.ReasonMirrorRefused, wantText: "spec.mirror.pushSecrets", wantAgain: 40 * time.Second,
		},
		"a source that wants other credentials": {
			state:       registry.CopyState{Failure: failed(registry.Unauthorized, source, 1)},
			wantProblem: v1alpha1.ReasonMirrorRefused, wantText: "spec.pullSecrets", wantAgain: 40 * time.Second,
		},
		"a mirror that is not allowed, and is tried again": {
			state:       registry.CopyState{Failure: failed(registry.Invalid, mirror, 5), UnderWay: true},
			wantProblem: v1alpha1.ReasonMirrorRefused, wantText: "cannot be copied",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := &v1alpha1.ImageLineage{Spec: v1alpha1.ImageLineageSpec{
				Image: "docker.io/library/debian:12", Mirror: &v1alpha1.Mirror{Image: mirror + "/mirror/debian"},
			}}
			r := &Reconciler{Copies: copyState(tt.state), Clock: clocktesting.NewFakePassiveClock(now)}
			got := r.mirror(plan.Snapshot{Lineage: l}, v1alpha1.Revision{Digest: v1alpha1.Digest("sha256:" + strings.Repeat("a", 64))})
			message := got.Waiting.Message
			var problem string
			if got.Problem != nil {
				problem, message = got.Problem.Reason, got.Problem.Message
			}
			if got.Done != tt.wantDone || got.Waiting.Reason != tt.wantWaiting || problem != tt.wantProblem || got.Again != tt.wantAgain {
				t.Errorf("mirror = %+v, problem %q", got, problem)
			}
			if !strings.Contains(message, tt.wantText) {
				t.Errorf("it says %q, want %q", message, tt.wantText)
			}
		})
	}
}
