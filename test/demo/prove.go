// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/test/shop"
)

// prove asks dpkg inside a pod of each application, shows the lineages, and says how to
// go on.
func (d *demo) prove(ctx context.Context, version string, pushed time.Time) error {
	took := time.Since(pushed)
	d.screen.title("The proof")
	var behind []string
	whose := "all pods"
	for _, app := range applications {
		lineage, err := d.Lineage(ctx, "shop", app)
		if err != nil {
			return err
		}
		runs, err := d.dpkg(ctx, app)
		switch {
		case err != nil:
			return err
		case runs == version:
		case shop.Waits(lineage):
			whose = "all pods that wait for nobody"
			d.screen.say("    %s waits for a person (%s): %s\n", app, shop.SaidOf(lineage),
				shop.Condition(lineage, "Ready").Message)
		default:
			behind = append(behind, fmt.Sprintf("%s runs %s", app, runs))
		}
	}
	if len(behind) > 0 {
		return fmt.Errorf("the pods do not run %s %s: %s", shop.Package, version, strings.Join(behind, ", "))
	}
	d.screen.say("    %.0f seconds from the push to %s, and nobody asked.", took.Seconds(), whose)
	if err := d.table(ctx); err != nil {
		return err
	}
	d.goOn()
	return nil
}

// dpkg shows what dpkg says in a pod, and returns the version.
func (d *demo) dpkg(ctx context.Context, app string) (string, error) {
	pods, err := d.Pods(ctx, app)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		return "", fmt.Errorf("no pod of %s is running", app)
	}
	args := []string{"exec", "--namespace", pods[0].Namespace, pods[0].Name, "--", "dpkg", "-s", shop.Package}
	out, err := d.Cluster.Run(ctx, args...)
	if err != nil {
		return "", err
	}
	d.screen.say("    $ kubectl %s", strings.Join(args, " "))
	version := ""
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if value, found := strings.CutPrefix(line, "Version: "); found {
			version = value
		}
		if strings.HasPrefix(line, "Package: ") || strings.HasPrefix(line, "Status: ") || strings.HasPrefix(line, "Version: ") {
			d.screen.say("    %s", line)
		}
	}
	d.screen.say("")
	return version, nil
}

// table shows the lineages as kubectl does.
func (d *demo) table(ctx context.Context) error {
	out, err := d.Cluster.Run(ctx, "get", "imagelineages", "--all-namespaces")
	if err != nil {
		return err
	}
	d.screen.say("\n    $ kubectl get imagelineage -A\n    %s", strings.ReplaceAll(out, "\n", "\n    "))
	return nil
}

// goOn says what to try next.
func (d *demo) goOn() {
	alias := ""
	if _, err := exec.LookPath("kubectl"); err != nil {
		alias = "\n    alias kubectl=" + d.Cluster.Kubectl
	}
	d.screen.say(`
▶ How to go on

    export KUBECONFIG=%s REGISTRY=%s%s

  Move the base again, and watch:
    go run ./test/demo move
  The same by hand, without any help of the demo:
    (cd test/cluster && go run . base -registry $REGISTRY -repository %s -version 7.0)
  Push a release of web by hand: it is adopted and rolled out, and never built over:
    go run ./test/demo release web
  Look:
    kubectl get imagelineage -A -o wide
    kubectl describe imagelineage -n %s web
    kubectl get pipelineruns,deployments,statefulsets,daemonsets -A
  Remove it all:
    make demo-down`, d.Cluster.Kubeconfig, d.Registry.Host, alias, d.Repository(shop.BaseRepository), d.Namespace("shop"))
}

// status shows the lineages and what runs them.
func status(ctx context.Context) error {
	d, err := existing(ctx)
	if err != nil {
		return err
	}
	if err := d.table(ctx); err != nil {
		return err
	}
	for _, app := range append(applications, "cache", "reports") {
		version, err := d.Version(ctx, app)
		if err != nil {
			version = err.Error()
		}
		d.screen.say("    %-8s runs on %s %s", app, shop.Package, version)
	}
	return nil
}
