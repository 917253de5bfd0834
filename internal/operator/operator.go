// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/imagelineage/imagelineage/controllers"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// Run works until the context ends. It fails where the cluster cannot be reached,
// or lacks the operator's own kind. Tekton may come and go.
func Run(ctx context.Context, o Options) error {
	level := slog.LevelInfo
	if o.LogDebug {
		level = slog.LevelDebug
	}
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	// Bursts are bounded by the concurrency of the controllers; throttling them
	// here as well would only delay what a cascade waits for.
	config.QPS = -1
	mgr, err := manager.New(config, ManagerOptions(o))
	if err != nil {
		return fmt.Errorf("creating the manager: %w", err)
	}
	parts, err := NewParts(mgr, o, clock.RealClock{})
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, parts); err != nil {
		return fmt.Errorf("setting up the controllers: %w", err)
	}
	if err := addChecks(mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// ManagerOptions are how the operator's manager works.
func ManagerOptions(o Options) manager.Options {
	return manager.Options{
		Scheme:                  Scheme(),
		MapperProvider:          mapper,
		Cache:                   cacheOptions(),
		HealthProbeBindAddress:  o.ProbeAddress,
		LeaderElection:          o.LeaderElect,
		LeaderElectionID:        "imagelineage.dev",
		LeaderElectionNamespace: o.LeaderElectionNamespace,
		// The process ends with the manager, so the Lease may be given up at once
		// and the next operator need not wait for it to run out.
		LeaderElectionReleaseOnCancel: true,
		Metrics: metricsserver.Options{
			BindAddress:    o.MetricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		Client: client.Options{Cache: &client.CacheOptions{
			// Secrets are read one by one, by name, and never cached wholesale.
			DisableFor: []client.Object{&corev1.Secret{}},
		}},
	}
}

// mapper knows Tekton's kinds without asking the cluster, which may not have them yet:
// controller-runtime maps every kind of the cache's options when it starts.
func mapper(config *rest.Config, client *http.Client) (meta.RESTMapper, error) {
	asking, err := apiutil.NewDynamicRESTMapper(config, client)
	if err != nil {
		return nil, err
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{tekton.RESTMapper(), asking}}, nil
}

// NewParts makes the ports that the controllers act through, and adds to the
// manager what of them runs by itself. All of them live by the same clock.
func NewParts(mgr manager.Manager, o Options, clock clock.Clock) (controllers.Parts, error) {
	loaded, err := o.load()
	if err != nil {
		return controllers.Parts{}, fmt.Errorf("reading the configuration: %w", err)
	}
	counted := registryMetrics()
	var registryClient *registry.Client
	limits := registry.NewLimits(func(host string) registry.HostRule { return registryClient.Rules().For(host) }, clock)
	registryClient = registry.NewClient(registry.Options{
		Rules: loaded.Rules, UserAgent: "imagelineage", Clock: clock, Limits: limits, Metrics: counted,
	})
	credentials := registry.NewCredentials(mgr.GetAPIReader(), clock)
	poller := registry.NewPoller(registry.PollerOptions{
		Asker: registryClient, Secrets: credentials, Clock: clock, Limits: limits, Metrics: counted,
	})
	if err := mgr.Add(poller); err != nil {
		return controllers.Parts{}, fmt.Errorf("adding the poller: %w", err)
	}
	copier := registry.NewCopier(registry.CopierOptions{Copies: registryClient, Secrets: credentials, Clock: clock})
	if err := mgr.Add(copier); err != nil {
		return controllers.Parts{}, fmt.Errorf("adding the copier: %w", err)
	}
	handler, err := addHooks(mgr, o, poller, counted, clock)
	if err != nil {
		return controllers.Parts{}, err
	}
	parts := configured{client: registryClient, poller: poller, hooks: handler}
	if err := o.watch(mgr, loaded, parts, clock); err != nil {
		return controllers.Parts{}, fmt.Errorf("watching the configuration: %w", err)
	}
	return controllers.Parts{
		Client:   mgr.GetClient(),
		Poller:   poller,
		News:     []source.Source{news(poller.Events()), news(copier.Events())},
		Copies:   copier,
		Registry: registry.Access{Client: registryClient, Secrets: credentials},
		Runs:     tekton.NewRuns(mgr.GetClient(), clock.Now),
		Clock:    clock,

		ObserveOnly:         o.ObserveOnly,
		MaxConcurrentBuilds: o.MaxConcurrentBuilds, SettleTimeout: o.SettleTimeout,
	}, nil
}

// registryMetrics are served with controller-runtime's own. They are made once for the
// process, however many operators it tests.
var registryMetrics = sync.OnceValue(func() *registry.Metrics { return registry.NewMetrics(metrics.Registry) })

func addChecks(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.AddReadyzCheck("ping", healthz.Ping)
}
