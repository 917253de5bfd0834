// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command e2e runs the end-to-end stories of test/e2e on a real cluster, and makes sure
// that they really ran.
//
// The cluster is the one that KUBECONFIG and REGISTRY name; else the one of test/cluster,
// which is brought up where it is down and then taken down again: the machine is left as
// it was found. Where neither is possible this is said loudly, and it is a failure only
// if E2E=required is set.
//
// A story that is skipped, or not compiled any more, fails no test. So the names of the
// stories that passed are compared with the checked-in list test/e2e/stories.txt.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// storiesList names the stories that must have passed, one a line.
const storiesList = "test/e2e/stories.txt"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ne2e:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m := machine{
		kubeconfig: os.Getenv("KUBECONFIG"),
		registry:   os.Getenv("REGISTRY"),
		required:   os.Getenv("E2E") == "required",
		root:       os.Geteuid() == 0,
		debian:     runtime.GOOS == "linux" && exists("/etc/debian_version"),
	}
	source, err := m.cluster()
	if err != nil {
		return err
	}
	switch source {
	case clusterNone:
		fmt.Fprintln(os.Stderr, notice)
		return nil
	case clusterGiven:
		return stories(ctx, endpoints{"KUBECONFIG": m.kubeconfig, "REGISTRY": m.registry})
	case clusterOwn:
	}
	return onOwnCluster(ctx, stories)
}

// onOwnCluster runs the stories on test/cluster, and leaves it as it was: up or down.
func onOwnCluster(ctx context.Context, stories func(context.Context, endpoints) error) (err error) {
	own := ownCluster{dir: "test/cluster"}
	at := own.status(ctx)
	if !at.complete() {
		// Taken down also when bringing it up fails half-way or is interrupted.
		defer func() {
			if downErr := own.down(context.WithoutCancel(ctx)); err == nil {
				err = downErr
			}
		}()
		if err := own.up(ctx); err != nil {
			return err
		}
		if at = own.status(ctx); !at.complete() {
			return errors.New("the cluster came up, and its status tells no KUBECONFIG or no REGISTRY")
		}
	}
	return stories(ctx, at)
}

// stories runs the tests and compares what passed with the list.
func stories(ctx context.Context, at endpoints) error {
	list, err := os.ReadFile(storiesList)
	if err != nil {
		return fmt.Errorf("cannot read the list of stories: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-tags", "e2e", "-count=1", "-timeout=60m", "-json", "./test/e2e")
	cmd.Env = at.environ(os.Environ())
	cmd.Stderr = os.Stderr
	// An interrupt lets the tests clean up; a kill would not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot run the stories: %w", err)
	}
	ran, readErr := read(out, os.Stdout)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the stories failed: %w", err)
	}
	if readErr != nil {
		return fmt.Errorf("cannot read the results: %w", readErr)
	}
	return compare(parseList(string(list)), ran)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
