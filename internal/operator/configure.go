// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/imagelineage/imagelineage/internal/hooks"
	"github.com/imagelineage/imagelineage/internal/operator/configuration"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// load reads the configuration file, if there is one, and adds the flags. The
// installation names a file that an administrator may write, and need not.
func (o Options) load() (configuration.Loaded, error) {
	var loaded configuration.Loaded
	if o.ConfigurationFile != "" {
		var err error
		loaded, err = configuration.Load(o.ConfigurationFile)
		if errors.Is(err, configuration.ErrNone) {
			ctrl.Log.WithName("configuration").Info("There is no configuration file: the defaults are in force", "path", o.ConfigurationFile)
		} else if err != nil {
			return loaded, err
		}
	}
	loaded.Rules = loaded.Rules.WithPlainHTTP(o.PlainHTTPRegistries...)
	return loaded, loaded.Rules.Validate()
}

// configured are the parts that a configuration is for.
type configured struct {
	client *registry.Client
	poller *registry.Poller
	hooks  *hooks.Handler
}

// watch puts the configuration of hooks into force, and has the file read again when
// it changes. What failed before may succeed then, and is tried at once.
func (o Options) watch(mgr manager.Manager, started configuration.Loaded, parts configured, clock clock.Clock) error {
	if err := parts.hooks.Configure(started.Configuration.Hooks); err != nil {
		return fmt.Errorf("%s: %w", o.ConfigurationFile, err)
	}
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
			rules := loaded.Rules.WithPlainHTTP(o.PlainHTTPRegistries...)
			// Both or neither: after this the client takes the rules.
			if err := rules.Validate(); err != nil {
				return err
			}
			if err := parts.hooks.Configure(loaded.Configuration.Hooks); err != nil {
				return err
			}
			return parts.client.Configure(rules)
		},
		Changed: func() {
			parts.poller.RulesChanged()
			parts.poller.CheckFailing()
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
