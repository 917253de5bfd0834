// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestHostThatCameTooLate: it gets series of its own once there is room, with the state
// that its breaker has by then.
func TestHostThatCameTooLate(t *testing.T) {
	metrics := NewMetrics(prometheus.NewRegistry())
	p := NewPoller(PollerOptions{Metrics: metrics})
	for i := range maxHosts {
		p.joinHost(fmt.Sprintf("host-%d.example", i))
	}
	p.joinHost("late.example")
	p.hosts["late.example"].open = true
	metrics.breakerIs("late.example", breakerOpen)
	if n := testutil.CollectAndCount(metrics.breaker); n != maxHosts {
		t.Fatalf("%d hosts have series, want %d", n, maxHosts)
	}
	p.leaveHost("host-7.example")
	p.clearOut()
	if got := testutil.ToFloat64(metrics.breaker.WithLabelValues("late.example")); got != float64(breakerOpen) {
		t.Errorf("the late host's state is %v, want %d", got, breakerOpen)
	}
	if metrics.label("late.example") != "late.example" || metrics.label("host-7.example") != otherHosts {
		t.Error("the late host has no series, or the one that left has")
	}
}
