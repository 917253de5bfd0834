// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package configuration

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// Interval is how often the files are read again. Mounted ConfigMaps change by the
// swap of a link, at best a minute after the ConfigMap does; a watch would not be
// sooner by much, and reading a small file costs nothing.
const Interval = 10 * time.Second

// NewGauge makes the metric that tells whether what is in the files is in force: 1,
// or 0 while they cannot be used.
func NewGauge() prometheus.Gauge {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "imagelineage_configuration_loaded",
		Help: "1 while the operator's configuration file is in force as it is, 0 while it cannot be used and the one before is.",
	})
	gauge.Set(1)
	return gauge
}

// Watcher puts changed files into force. It implements manager.Runnable, and works
// without the Lease too.
type Watcher struct {
	// Path of the file.
	Path string
	// Apply puts a configuration into force; an error leaves everything as it is.
	Apply func(Loaded) error
	// Changed is called after a configuration was put into force; nil is nothing.
	Changed func()
	// Clock to wait by.
	Clock clock.Clock
	// Log says when a configuration is put into force, and once of each content that
	// it cannot be used.
	Log logr.Logger
	// Gauge is that of NewGauge.
	Gauge prometheus.Gauge
	// Seen is the Sum of what was last tried; that of the start at first.
	Seen [32]byte
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (w *Watcher) NeedLeaderElection() bool { return false }

// Start reads the files again and again until the context ends.
func (w *Watcher) Start(ctx context.Context) error {
	for {
		timer := w.Clock.NewTimer(Interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
			w.look()
		}
	}
}

// look reads the files once.
func (w *Watcher) look() {
	loaded, err := Load(w.Path)
	if loaded.Sum == w.Seen {
		return
	}
	w.Seen = loaded.Sum
	if err == nil {
		err = w.Apply(loaded)
	}
	if err != nil {
		w.Gauge.Set(0)
		w.Log.Error(err, "The configuration file cannot be used: the one before stays in force")
		return
	}
	w.Gauge.Set(1)
	w.Log.Info("The configuration file has changed and is in force", "path", w.Path)
	if w.Changed != nil {
		w.Changed()
	}
}
