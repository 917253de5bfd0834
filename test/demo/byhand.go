// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/test/shop"
)

// release pushes a release of an application as its team's own CI would, and watches
// it being adopted.
func release(ctx context.Context, app string) error {
	if !slices.Contains(applications, app) {
		return errors.New("name the application to release: web or api")
	}
	d, err := existing(ctx)
	if err != nil {
		return err
	}
	if _, err := shop.NewJournal(ctx, d.config, d.Namespaces(), d.screen.tell); err != nil {
		return err
	}
	name := time.Now().UTC().Format("2006-01-02.150405")
	digest, err := d.PushRelease(ctx, "shop/"+app+":stable", name)
	if err != nil {
		return err
	}
	d.screen.reset(time.Now())
	d.screen.line(time.Now(), "registry", fmt.Sprintf("shop/%s:stable is pushed, release %s", app, name))
	err = shop.Until(ctx, limit, "the release", func(ctx context.Context) error {
		lineage, err := d.Lineage(ctx, "shop", app)
		if err != nil {
			return err
		}
		if lineage.Status.Current == nil || string(lineage.Status.Current.Digest) != digest {
			return errors.New("it was not seen yet")
		}
		return d.AtRest(ctx)
	})
	if err != nil {
		return err
	}
	return d.table(ctx)
}

// down removes what the demo made: the shop, and the operator and the cluster where
// these came with it.
func down(ctx context.Context) error {
	screen := newScreen(os.Stdout)
	cluster, err := find(ctx)
	if err != nil {
		screen.say("There is nothing to remove: %v.", err)
		return nil
	}
	d, err := connect(ctx, cluster, screen)
	if err != nil {
		return err
	}
	m, found, err := d.made(ctx)
	if err != nil {
		return err
	}
	if !found {
		screen.say("There is no demo in the cluster of %s. A cluster of this machine ends with \"make cluster-down\".", cluster.Kubeconfig)
		return nil
	}
	if m.Cluster {
		return screen.step("the cluster ends, and all that is in it", func() error { return shop.Down(ctx, os.Stderr) })
	}
	// The operator goes last: it is needed by nothing that ends before it.
	err = screen.step("the shop's namespaces", func() error { return shop.Close(ctx, d.Client, partOf) })
	if err != nil || !m.Operator {
		return err
	}
	return screen.step("the operator", func() error { return shop.RemoveOperator(ctx, os.Stderr, cluster) })
}
