// Command cluster runs a real single-node Kubernetes with Tekton and a registry
// on this machine, for the end-to-end tests and the demonstration.
//
// Run it in its own directory:
//
//	go run . up       start it, print KUBECONFIG=… and REGISTRY=…
//	go run . status   say what runs (-o env: for a shell to source)
//	go run . down     end it and leave nothing behind
//	go run . assets   print a directory for KUBEBUILDER_ASSETS
//	go run . images   push the image builds run in into any registry
//	go run . base     push a state of a base image into any registry
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
	"github.com/imagelineage/imagelineage/test/cluster/internal/images"
	"github.com/imagelineage/imagelineage/test/cluster/internal/node"
	"github.com/imagelineage/imagelineage/test/cluster/internal/pieces"
	"github.com/imagelineage/imagelineage/test/cluster/internal/prereq"
)

const usage = "usage: go run . up | down | status [-o env] | assets | images -registry HOST:PORT | base -registry HOST:PORT -version VERSION [-repository NAME] [-tag TAG]"

// errDown makes status end with 1 after it has said everything itself.
var errDown = errors.New("the cluster is not up")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	progress := command.NewProgress(os.Stderr)
	verb, rest := args[0], args[1:]
	switch verb {
	case node.InitVerb:
		return node.Init()
	case "up":
		return up(ctx, progress)
	case "down":
		return down(ctx, progress)
	case "status":
		return status(ctx, rest)
	case "assets":
		return assets(ctx, progress)
	case "images":
		return pushImages(ctx, progress, rest)
	case "base":
		return pushBase(ctx, progress, rest)
	}
	return fmt.Errorf("unknown verb %q\n%s", verb, usage)
}

// assets prints the directory with the programs envtest starts.
func assets(ctx context.Context, progress *command.Progress) error {
	if err := prereq.ThisMachine().Tools(); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := pieces.Builder{Root: root, Progress: progress}.Assets(ctx)
	if err == nil {
		fmt.Println(dir)
	}
	return err
}

// pushImages pushes the builder image and prints its reference.
func pushImages(ctx context.Context, progress *command.Progress, args []string) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	registry := flags.String("registry", "", "HOST:PORT of the registry, plain HTTP")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *registry == "" {
		return errors.New("images: -registry HOST:PORT is missing")
	}
	if err := prepareImages(ctx, progress); err != nil {
		return err
	}
	reference, err := images.Maker{Progress: progress}.Builder(ctx, *registry)
	if err == nil {
		fmt.Println(reference)
	}
	return err
}

// pushBase pushes a state of the base image and prints its reference.
func pushBase(ctx context.Context, progress *command.Progress, args []string) error {
	flags := flag.NewFlagSet("base", flag.ContinueOnError)
	registry := flags.String("registry", "", "HOST:PORT of the registry, plain HTTP")
	version := flags.String("version", "", "version of the package "+images.Package)
	repository := flags.String("repository", "library/debian", "repository of the image")
	tag := flags.String("tag", images.Suite, "tag of the image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *registry == "" || *version == "" {
		return errors.New("base: -registry HOST:PORT and -version VERSION are needed")
	}
	if err := prepareImages(ctx, progress); err != nil {
		return err
	}
	reference, err := images.Maker{Progress: progress}.Base(ctx, *registry, *repository, *tag, *version)
	if err == nil {
		fmt.Println(reference)
	}
	return err
}

// prepareImages makes sure that a Debian can be made here.
func prepareImages(ctx context.Context, progress *command.Progress) error {
	if err := prereq.ThisMachine().Node(); err != nil {
		return err
	}
	return prereq.InstallPackages(ctx, progress)
}

// moduleRoot is the directory this tool's modules lie in. They are built from
// source, so the tool has to run where its source is.
func moduleRoot() (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(root, "build", "kubernetes", "go.mod")); err != nil {
		return "", fmt.Errorf("run this in the directory test/cluster of the checkout, not in %s", root)
	}
	return root, nil
}
