//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/imagelineage/imagelineage/test/shop"
)

const (
	// partOf marks the namespaces of these tests.
	partOf = "imagelineage-e2e"
	// cascadeLimit is how long a cascade may take on a small machine.
	cascadeLimit = 5 * time.Minute
	// answerLimit is how long the operator may take for anything without a build: some
	// intervals of polling, and a rollout.
	answerLimit = 2 * time.Minute
)

// The shop that all stories are about.
var (
	live    shop.Live
	config  *rest.Config
	journal *shop.Journal
	figures report
	passed  = map[string]bool{}
)

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := runStories(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runStories(ctx context.Context, m *testing.M) (code int, err error) {
	installed, err := connect(ctx)
	if err != nil {
		return 1, err
	}
	defer func() {
		err = errors.Join(err, tearDown(context.WithoutCancel(ctx), installed))
	}()
	if err := setUp(ctx); err != nil {
		dump(context.WithoutCancel(ctx), os.Stderr)
		return 1, err
	}
	// What runs side by side mostly waits for the cluster, however few processors are here.
	if err := flag.Set("test.parallel", "8"); err != nil {
		return 1, err
	}
	code = m.Run()
	figures.print(os.Stdout)
	return code, nil
}

// connect finds the cluster, and tells whether the operator was there before.
func connect(ctx context.Context) (installed bool, err error) {
	cluster, given, err := shop.FromEnvironment(ctx)
	if err != nil {
		return false, err
	}
	if !given {
		return false, errors.New("set KUBECONFIG and REGISTRY, or run \"make test-e2e\", which brings a cluster up")
	}
	registry, err := shop.Reach(ctx, cluster.Registry)
	if err != nil {
		return false, err
	}
	live.Cluster = cluster
	live.Shop = shop.Shop{
		Registry: registry, NamespacePrefix: "e2e-", PartOf: partOf,
		// A room of its own for each time: no story begins with images of another.
		Room: "e2e-" + strconv.FormatInt(time.Now().Unix(), 36) + "/",
	}
	if live.Client, config, err = cluster.Connect(); err != nil {
		return false, err
	}
	return shop.OperatorInstalled(ctx, live.Client)
}

// setUp installs the operator and opens the shop.
func setUp(ctx context.Context) error {
	begun := time.Now()
	steps := []struct {
		what string
		do   func() error
	}{
		{"remains of an earlier time", func() error { return shop.Close(ctx, live.Client, partOf) }},
		{"the operator", func() error {
			return shop.InstallOperator(ctx, os.Stderr, live.Client, live.Cluster, live.Registry)
		}},
		{"the image that builds run in", func() (err error) {
			live.Buildah, err = shop.PushBuildah(ctx, os.Stderr, live.Registry.Host)
			return err
		}},
		{"the namespaces", func() error { return live.Claim(ctx) }},
		{"the journal", func() (err error) {
			journal, err = shop.NewJournal(ctx, config, append(live.Namespaces(), live.Namespace("guest")), nil)
			return err
		}},
		{"the shop", func() error { return live.Open(ctx, os.Stderr, step) }},
		{"a second workload of web", func() error { return openAdmin(ctx) }},
		{"Debian " + second, func() error { return live.PushBase(ctx, os.Stderr, second) }},
		{"Debian " + third, func() error { return live.PushBase(ctx, os.Stderr, third) }},
	}
	for _, s := range steps {
		if err := step(s.what, s.do); err != nil {
			return err
		}
	}
	fmt.Printf("set up in %.0f s\n", time.Since(begun).Seconds())
	return nil
}

func step(what string, do func() error) error {
	begun := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Printf("set up: %s (%.1f s)\n", what, time.Since(begun).Seconds())
	return nil
}

// tearDown leaves the cluster as it was found.
func tearDown(ctx context.Context, installed bool) error {
	if os.Getenv("E2E_KEEP") != "" {
		return nil
	}
	if err := shop.Close(ctx, live.Client, partOf); err != nil || installed {
		return err
	}
	return shop.RemoveOperator(ctx, os.Stderr, live.Cluster)
}

// begin begins a story after those that it needs. What did not happen is said at once, and
// not waited for.
func begin(t *testing.T, after ...string) {
	t.Helper()
	for _, before := range after {
		if !passed[before] {
			t.Fatalf("it begins where %s ends, which did not pass", before)
		}
	}
	begun := time.Now()
	t.Cleanup(func() {
		passed[t.Name()] = !t.Failed()
		if t.Failed() {
			dump(context.WithoutCancel(t.Context()), os.Stdout)
		}
		t.Logf("told in %.1f s", time.Since(begun).Seconds())
	})
}
