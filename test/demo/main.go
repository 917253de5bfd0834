// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command demo shows the operator's main job on real parts: a Debian base gets a newer
// package, and minutes later the pods of a small shop run it.
//
//	demo up            a cluster if there is none, the operator, the shop; then move
//	demo move          push the base with a newer package, and watch what comes of it
//	demo release APP   push a release of web or api by hand, as its own CI would
//	demo status        the lineages and what runs them
//	demo down          remove all that the demo made
//
// It uses the cluster and registry that KUBECONFIG and REGISTRY (host:port) name, or the
// cluster of test/cluster, which it brings up where it is down.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = "usage: go run ./test/demo up | move [VERSION] | release web|api | status | down"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	argument := ""
	if len(args) > 1 {
		argument = args[1]
	}
	switch args[0] {
	case "up":
		return up(ctx)
	case "move":
		return moveByHand(ctx, argument)
	case "release":
		return release(ctx, argument)
	case "status":
		return status(ctx)
	case "down":
		return down(ctx)
	default:
		return fmt.Errorf("unknown verb %q\n%s", args[0], usage)
	}
}
