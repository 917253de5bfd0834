// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
)

// notice is what a person must not overlook.
const notice = `
**********************************************************************
*  THE END-TO-END TESTS DID NOT RUN.                                 *
*  They need a cluster with Tekton and a registry: set KUBECONFIG    *
*  and REGISTRY (host:port), or run as root on Debian, where they    *
*  bring one up themselves. E2E=required makes this a failure.       *
**********************************************************************`

// clusterSource says where the cluster for the stories comes from.
type clusterSource int

const (
	clusterNone clusterSource = iota
	clusterGiven
	clusterOwn
)

// machine is what decides on the cluster.
type machine struct {
	kubeconfig string
	registry   string
	required   bool
	root       bool
	debian     bool
}

// cluster decides which cluster the stories run on. A KUBECONFIG alone is no consent: a
// shell that happens to point at somebody's cluster must not get test objects into it.
func (m machine) cluster() (clusterSource, error) {
	switch {
	case m.kubeconfig != "" && m.registry != "":
		return clusterGiven, nil
	case m.registry != "":
		return clusterNone, errors.New("REGISTRY is set and KUBECONFIG is not: set both, or neither")
	case m.root && m.debian:
		return clusterOwn, nil
	case m.required:
		return clusterNone, errors.New("E2E=required, and there is no cluster: set KUBECONFIG and REGISTRY, " +
			"or run as root on Debian")
	default:
		return clusterNone, nil
	}
}

// endpoints are what the stories need to know of a cluster, as environment variables:
// KUBECONFIG and REGISTRY, and whatever else the cluster tells.
type endpoints map[string]string

// complete reports whether that is enough to reach the cluster.
func (e endpoints) complete() bool { return e["KUBECONFIG"] != "" && e["REGISTRY"] != "" }

// environ adds the endpoints to an environment.
func (e endpoints) environ(to []string) []string {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		to = append(to, name+"="+e[name])
	}
	return to
}

// ownCluster is the cluster of test/cluster, driven by its command.
type ownCluster struct {
	dir string
}

func (c ownCluster) up(ctx context.Context) error {
	if err := c.command(ctx, "up").Run(); err != nil {
		return fmt.Errorf("cannot bring the cluster up: %w", err)
	}
	return nil
}

func (c ownCluster) down(ctx context.Context) error {
	if err := c.command(ctx, "down").Run(); err != nil {
		return fmt.Errorf("cannot take the cluster down: %w", err)
	}
	return nil
}

// status returns the cluster's endpoints; incomplete where it is down.
func (c ownCluster) status(ctx context.Context) endpoints {
	cmd := c.command(ctx, "status", "-o", "env")
	cmd.Stdout, cmd.Stderr = nil, nil
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return parseEnv(string(out))
}

func (c ownCluster) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "."}, args...)...)
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// assignment is a variable as a shell reads it.
var assignment = regexp.MustCompile(`\b([A-Z_]+)=["']?([^\s"']+)`)

// parseEnv reads what "status -o env" prints for a shell.
func parseEnv(out string) endpoints {
	at := endpoints{}
	for _, match := range assignment.FindAllStringSubmatch(out, -1) {
		at[match[1]] = match[2]
	}
	return at
}
