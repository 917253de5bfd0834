// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// leaderLabel is on the Pod that leads, with the value "true": the Service of
	// the hooks selects it.
	//
	// Only the leader's poller can be woken, while a Service sends to any Pod that
	// is ready. Readiness cannot tell them apart: a Pod that is not ready before it
	// leads keeps a Deployment from ever replacing the one that does.
	leaderLabel = "imagelineage.dev/leader"
	// markRetry is how long after a failure the label is written again.
	markRetry = 10 * time.Second
)

// leaderMark labels the operator's own Pod while it leads. It implements
// manager.Runnable.
type leaderMark struct {
	client  client.Client
	pod     types.NamespacedName
	elected <-chan struct{}
	clock   clock.Clock
	log     logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: a replica that
// only waits has something to do, too.
func (m *leaderMark) NeedLeaderElection() bool { return false }

// Start takes off the label that an earlier process in the same Pod may have left,
// and puts it on when this one leads. A process ends when it does not lead any
// more, so there is nothing to take off at the end.
func (m *leaderMark) Start(ctx context.Context) error {
	m.write(ctx, "null")
	select {
	case <-ctx.Done():
		return nil
	case <-m.elected:
		m.write(ctx, `"true"`)
	}
	return nil
}

// write patches the label until that succeeds or the context ends. An operator
// that may not label its Pod works all the same; it is only not told of pushes.
func (m *leaderMark) write(ctx context.Context, value string) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: m.pod.Namespace, Name: m.pod.Name}}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, leaderLabel, value))
	for ctx.Err() == nil {
		err := m.client.Patch(ctx, pod, patch)
		if err == nil {
			return
		}
		m.log.Error(err, "The Pod's label for the leader cannot be written", "pod", m.pod)
		select {
		case <-ctx.Done():
		case <-m.clock.After(markRetry):
		}
	}
}
