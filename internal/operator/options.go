// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package operator puts the operator together: its options, its scheme and cache,
// and the manager that everything runs under. It decides nothing.
package operator

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/internal/plan"
)

// DefaultMaxConcurrentBuilds keeps a base that moves from filling a cluster with
// builds of everything at once, and is more than a small team needs.
const DefaultMaxConcurrentBuilds = 10

// Options are what an administrator sets. Nothing here can be set by a lineage.
type Options struct {
	// LeaderElect makes sure that only one operator of the cluster works.
	LeaderElect bool
	// LeaderElectionNamespace of the Lease; by default the operator's own.
	LeaderElectionNamespace string
	// MetricsAddress to serve metrics on, over HTTPS with authentication and
	// authorization; 0 serves none.
	MetricsAddress string
	// ProbeAddress to serve /healthz and /readyz on; 0 serves none.
	ProbeAddress string
	// ConfigurationFile is the path of the configuration file; none by default. See
	// the package configuration.
	ConfigurationFile string
	// PlainHTTPRegistries are the hosts, with their ports, that are spoken to
	// without TLS. None by default.
	PlainHTTPRegistries []string
	// ObserveOnly has the operator say in every status what it would do, and do nothing of
	// it: no run, no tag, no copy, no workload.
	ObserveOnly bool
	// MaxConcurrentBuilds is how many PipelineRuns of all lineages may be live at
	// once; 0 is any number.
	MaxConcurrentBuilds int
	// SettleTimeout is how long a build waits for ancestors that are to be built first,
	// and on which nothing gets on; 0 is without end.
	SettleTimeout time.Duration
	// HooksAddress to receive registries' notifications on, where hooks are
	// configured; 0 receives none.
	HooksAddress string
	// HooksCertDir holds tls.crt and tls.key for them; without it HTTP is spoken.
	HooksCertDir string
	// Pod that the operator runs in, as the environment's POD_NAMESPACE and POD_NAME
	// say. It is labelled while the operator leads, for the Service of the hooks;
	// without a name it is not.
	Pod types.NamespacedName
	// LogDebug logs each decision.
	LogDebug bool
}

// Bind adds the options to a set of flags, with their defaults.
func (o *Options) Bind(flags *flag.FlagSet) {
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "Work only while holding the Lease, so that one operator works at a time.")
	flags.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", "", "Namespace of the Lease; by default the namespace that the operator runs in.")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", "0", "Address to serve metrics on over HTTPS, such as :8443; 0 serves none.")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "Address to serve /healthz and /readyz on; 0 serves none.")
	flags.StringVar(&o.ConfigurationFile, "config", "", "Path of the configuration file, which is read again when it changes; see docs/configuration.md.")
	flags.Func("plain-http-registries", "Comma-separated hosts (host or host:port) that are spoken to without TLS. May be repeated.", func(value string) error {
		hosts, err := parseHosts(value)
		o.PlainHTTPRegistries = append(o.PlainHTTPRegistries, hosts...)
		return err
	})
	flags.BoolVar(&o.ObserveOnly, "observe-only", false, "Say in every status what would be done, and do none of it: no build, no tag, no copy, no workload.")
	flags.IntVar(&o.MaxConcurrentBuilds, "max-concurrent-builds", DefaultMaxConcurrentBuilds, "How many PipelineRuns of all lineages may be live at once; 0 is any number.")
	flags.DurationVar(&o.SettleTimeout, "settle-timeout", plan.DefaultSettleTimeout, "How long a build waits for ancestors that come first while nothing gets on with them; a run within its time limit gets on. 0 is without end.")
	flags.StringVar(&o.HooksAddress, "hooks-bind-address", "0", "Address to receive registries' notifications on, such as :8082, where hooks are configured; 0 receives none.")
	flags.StringVar(&o.HooksCertDir, "hooks-cert-dir", "", "Directory with tls.crt and tls.key for them; without it HTTP is spoken, for an ingress that ends TLS.")
	o.Pod = types.NamespacedName{Namespace: os.Getenv("POD_NAMESPACE"), Name: os.Getenv("POD_NAME")}
	flags.BoolVar(&o.LogDebug, "debug", false, "Log each decision.")
}

func parseHosts(value string) ([]string, error) {
	var hosts []string
	for host := range strings.SplitSeq(value, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			continue
		}
		if strings.ContainsAny(host, "/ *") {
			return nil, fmt.Errorf("%q is not a host: write host or host:port, without a scheme or path", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}
