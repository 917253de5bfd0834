// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/imagelineage/imagelineage/internal/hooks"
)

// addHooks adds what lets registries wake the poller, where an address is given
// for it. The server listens when the handler has hooks.
func addHooks(mgr manager.Manager, o Options, waker hooks.Waker, counter hooks.Counter, clock clock.Clock) (*hooks.Handler, error) {
	log := ctrl.Log.WithName("hooks")
	handler := hooks.NewHandler(hooks.Options{Waker: waker, Counter: counter, Clock: clock, Log: log})
	if o.HooksAddress == "" || o.HooksAddress == "0" {
		return handler, nil
	}
	server := &hooks.Server{Address: o.HooksAddress, CertDir: o.HooksCertDir, Handler: handler, Log: log}
	if err := mgr.Add(server); err != nil {
		return nil, fmt.Errorf("adding the hooks: %w", err)
	}
	if o.Pod.Name == "" {
		return handler, nil
	}
	mark := &leaderMark{client: mgr.GetClient(), pod: o.Pod, elected: mgr.Elected(), clock: clock, log: log}
	if err := mgr.Add(mark); err != nil {
		return nil, fmt.Errorf("adding the mark of the leader: %w", err)
	}
	return handler, nil
}
