// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command registry measures what the operator asks of registries and of the API
// server, and how long it takes to notice that tags moved. Run it from the
// root of the checkout; docs/performance.md says what the figures mean.
//
// The operator is built and run as a process of its own against a real
// kube-apiserver and etcd, of KUBEBUILDER_ASSETS, and two registries that count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

// references is how many tags are followed.
const references = 500

// registries is how many hosts they are spread over.
const registries = 2

// bench is what all scenarios work with.
type bench struct {
	interval time.Duration
	lineages int

	hosts    []*counting.Host
	cluster  *cluster
	operator *process
	fleet    *fleet
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-registry:", err)
		os.Exit(1)
	}
}

// run measures, and prints what it has measured also where it fails.
func run() error {
	b := &bench{}
	only := flag.String("scenario", "", "Comma-separated scenarios to run; all by default.")
	binary := flag.String("operator", "", "Operator to measure, instead of the one that is built from the checkout.")
	flag.IntVar(&b.lineages, "lineages", 50_000, "How many lineages share the references in the scenario shared.")
	flag.DurationVar(&b.interval, "interval", 30*time.Second, "Interval at which the references are checked; at least 10s.")
	flag.Parse()

	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rows, err := b.measure(ctx, *binary, *only)
	if len(rows) > 0 {
		fmt.Printf("\n%d followed references at %d registries, interval %s, token authentication; %s\n\n", references, registries, b.interval, machine())
		printTable(os.Stdout, rows)
	}
	if err == nil && missed(rows) {
		return errors.New("a figure is out of its range")
	}
	return err
}

// measure sets everything up, runs the scenarios, and takes it down. Of a run that
// fails, the rows so far are returned.
func (b *bench) measure(ctx context.Context, binary, only string) (rows []row, err error) {
	chosen, err := choose(only)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-registry-")
	if err != nil {
		return nil, err
	}
	defer func() {
		// What the operator logged is kept where something went wrong.
		if err == nil {
			_ = os.RemoveAll(dir)
		}
	}()
	end, err := b.start(ctx, dir, binary)
	defer func() { err = errors.Join(err, end()) }()
	if err != nil {
		return nil, err
	}
	for _, s := range chosen {
		b.logf("%s: %s", s.name, s.about)
		measured, err := s.run(b, ctx)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, measured...)
		if err := b.settle(ctx); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// start brings everything up, until the lineages are current. The function that it
// returns takes down what is up, also after an error.
func (b *bench) start(ctx context.Context, dir, binary string) (end func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var ends []func() error
	end = func() error {
		cancel()
		var errs []error
		for _, end := range slices.Backward(ends) {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
	var names []string
	for range registries {
		host, err := counting.Start(ctx)
		if err != nil {
			return end, err
		}
		ends = append(ends, host.Close)
		b.hosts, names = append(b.hosts, host), append(names, host.Name)
	}
	if binary == "" {
		b.logf("building the operator")
		if binary, err = buildOperator(ctx, dir); err != nil {
			return end, err
		}
	}
	b.logf("starting a kube-apiserver and an etcd")
	if b.cluster, err = startCluster(ctx, dir); err != nil {
		return end, err
	}
	ends = append(ends, b.cluster.stop)
	if b.fleet, err = newFleet(ctx, b.cluster.admin, b.hosts, b.interval); err != nil {
		return end, err
	}
	if b.operator, err = startOperator(ctx, binary, dir, b.cluster.kubeconfig, names); err != nil {
		return end, err
	}
	ends = append(ends, b.operator.stop)
	if err := b.fleet.grow(ctx, references); err != nil {
		return end, err
	}
	if _, err := b.fleet.current(ctx, patience); err != nil {
		return end, fmt.Errorf("%w; the operator's log is %s", err, filepath.Join(dir, "operator.log"))
	}
	return end, b.settle(ctx)
}

// settle waits until nothing has been written for half an interval. The operator
// writes a status once more when its digest is current already, and on a busy
// machine much later.
func (b *bench) settle(ctx context.Context) error {
	for begun := time.Now(); ; {
		place, err := b.cluster.audit.size()
		if err != nil {
			return err
		}
		if err := sleep(ctx, b.interval/2); err != nil {
			return err
		}
		found, err := b.cluster.audit.since(place)
		if err != nil {
			return err
		}
		written := found.withoutLease()
		if written.total() == 0 {
			return nil
		}
		// Where that never ends, it is a figure.
		if time.Since(begun) > patience {
			b.logf("still writing after %s: %s", patience, written)
			return nil
		}
	}
}

func choose(only string) ([]scenario, error) {
	if only == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(only, ",") {
		before := len(chosen)
		for _, s := range scenarios {
			if s.name == name {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
	}
	return chosen, nil
}

// machine says in general words what it ran on, and how busy that was otherwise.
func machine() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("?")
	}
	first, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d CPUs, load %s", runtime.NumCPU(), first)
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
