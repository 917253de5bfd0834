// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

// demo is the demonstration in a cluster.
type demo struct {
	shop.Live
	config *rest.Config
	screen *screen
}

// up brings everything up that is not up yet, and moves the base.
func up(ctx context.Context) error {
	screen := newScreen(os.Stdout)
	screen.title("A cluster")
	cluster, started, err := provide(ctx, screen)
	if err != nil {
		return err
	}
	d, err := connect(ctx, cluster, screen)
	if err != nil {
		return err
	}
	screen.say("    KUBECONFIG=%s\n    REGISTRY=%s", cluster.Kubeconfig, cluster.Registry)

	screen.title("The operator")
	if err := d.operator(ctx, started); err != nil {
		return err
	}
	journal, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := shop.NewJournal(journal, d.config, d.Namespaces(), screen.tell); err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.move(ctx, "")
}

// provide finds the cluster, and tells whether it was started here.
func provide(ctx context.Context, s *screen) (cluster shop.Cluster, started bool, err error) {
	cluster, given, err := shop.FromEnvironment(ctx)
	if given || err != nil {
		return cluster, false, err
	}
	if cluster, err = shop.Status(ctx); err == nil {
		s.say("  ✓ the cluster of this machine is up")
		return cluster, false, nil
	}
	err = s.step("a cluster on this machine (the first time, it is built from source: up to half an hour)", func() error {
		cluster, err = shop.Up(ctx, os.Stderr)
		return err
	})
	return cluster, true, err
}

// find is the cluster that the demo is in; it starts none.
func find(ctx context.Context) (shop.Cluster, error) {
	cluster, given, err := shop.FromEnvironment(ctx)
	if given || err != nil {
		return cluster, err
	}
	return shop.Status(ctx)
}

// operator claims the namespaces, notes who made what, and installs the operator.
func (d *demo) operator(ctx context.Context, startedCluster bool) error {
	installed, err := shop.OperatorInstalled(ctx, d.Client)
	if err != nil {
		return err
	}
	if err := d.Claim(ctx); err != nil {
		return err
	}
	if err := d.note(ctx, made{Cluster: startedCluster, Operator: !installed}); err != nil {
		return err
	}
	return d.screen.step("built from this checkout, pushed, and installed from config/default", func() error {
		return shop.InstallOperator(ctx, os.Stderr, d.Client, d.Cluster, d.Registry)
	})
}

// open opens the shop where it is not open yet, or only in part.
func (d *demo) open(ctx context.Context) error {
	d.screen.title("The shop")
	workloads := &appsv1.DeploymentList{}
	if err := d.Client.List(ctx, workloads, client.InNamespace(d.Namespace("shop"))); err != nil {
		return err
	}
	if len(workloads.Items) > 0 {
		// People may have played with it: what there is stays as it is.
		d.screen.say("  ✓ it is open")
		return nil
	}
	err := d.screen.step("the image that builds run in", func() (err error) {
		d.Buildah, err = shop.PushBuildah(ctx, os.Stderr, d.Registry.Host)
		return err
	})
	if err != nil {
		return err
	}
	if lineages, err := d.Lineages(ctx); err != nil || len(lineages) == 0 {
		if err != nil {
			return err
		}
		if d.Room, err = d.freeRoom(ctx); err != nil {
			return err
		}
	}
	return d.Open(ctx, os.Stderr, d.screen.step)
}

// freeRoom is a room of the registry without images of an earlier demo: a shop opens
// with nothing built.
func (d *demo) freeRoom(ctx context.Context) (string, error) {
	for n := 1; n < 100; n++ {
		candidate := d.Shop
		candidate.Room = ""
		if n > 1 {
			candidate.Room = fmt.Sprintf("demo-%d/", n)
		}
		digest, err := d.Registry.Digest(ctx, candidate.Image("platform/base:12"))
		if err != nil {
			return "", err
		}
		if digest == "" {
			return candidate.Room, nil
		}
	}
	return "", fmt.Errorf("the registry %s holds the images of a hundred demos: delete some", d.Registry.Host)
}
