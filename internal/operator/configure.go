// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/imagelineage/imagelineage/internal/operator/configuration"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// load reads the configuration file, if there is one, and adds the flags.
func (o Options) load() (configuration.Loaded, error) {
	var loaded configuration.Loaded
	if o.ConfigurationFile != "" {
		var err error
		if loaded, err = configuration.Load(o.ConfigurationFile); err != nil {
			return loaded, err
		}
	}
	loaded.Rules = loaded.Rules.WithPlainHTTP(o.PlainHTTPRegistries...)
	return loaded, loaded.Rules.Validate()
}

// watch has the configuration file read again when it changes.
func (o Options) watch(mgr manager.Manager, started configuration.Loaded, client *registry.Client, clock clock.Clock) error {
	if o.ConfigurationFile == "" {
		return nil
	}
	gauge, err := registered(configuration.NewGauge())
	if err != nil {
		return err
	}
	return mgr.Add(&configuration.Watcher{
		Path: o.ConfigurationFile,
		Seen: started.Sum,
		Apply: func(loaded configuration.Loaded) error {
			return client.Configure(loaded.Rules.WithPlainHTTP(o.PlainHTTPRegistries...))
		},
		Clock: clock,
		Log:   ctrl.Log.WithName("configuration"),
		Gauge: gauge,
	})
}

// registered is the gauge that is served; there may be one from an operator before
// in this process.
func registered(gauge prometheus.Gauge) (prometheus.Gauge, error) {
	err := metrics.Registry.Register(gauge)
	if before, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := before.ExistingCollector.(prometheus.Gauge); ok {
			same.Set(1)
			return same, nil
		}
	}
	return gauge, err
}
