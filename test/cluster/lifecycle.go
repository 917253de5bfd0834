package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/cache"
	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
	"github.com/imagelineage/imagelineage/test/cluster/internal/images"
	"github.com/imagelineage/imagelineage/test/cluster/internal/node"
	"github.com/imagelineage/imagelineage/test/cluster/internal/pieces"
	"github.com/imagelineage/imagelineage/test/cluster/internal/prereq"
	"github.com/imagelineage/imagelineage/test/cluster/internal/tekton"
)

// built is everything up needs before it starts anything.
type built struct {
	kubernetes, etcd, registry, tekton, pause pieces.Piece
	tektonConfig                              string
}

// up starts the cluster unless it runs already.
func up(ctx context.Context, progress *command.Progress) error {
	if err := prereq.ThisMachine().Node(); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	unlock, err := cache.Lock("up")
	if err != nil {
		return err
	}
	defer unlock()
	if state, err := node.Load(); err == nil && healthy(ctx, state) == nil {
		progress.Say("the cluster is already up")
		printAddresses(state)
		return nil
	}
	if err := prereq.InstallPackages(ctx, progress); err != nil {
		return err
	}
	maker := images.Maker{Progress: progress}
	all, err := buildAll(ctx, pieces.Builder{Root: root, Progress: progress}, maker)
	if err != nil {
		return err
	}
	if node.Present() {
		progress.Say("what is left of an earlier cluster goes first")
		if err := node.Stop(ctx); err != nil {
			return err
		}
	}
	state, err := startNode(ctx, progress, all)
	if err != nil {
		return err
	}
	if err := furnish(ctx, progress, maker, state, all); err != nil {
		return err
	}
	progress.Say("the cluster is up")
	printAddresses(state)
	return nil
}

// buildAll builds what is missing from the cache.
func buildAll(ctx context.Context, builder pieces.Builder, maker images.Maker) (built, error) {
	var all built
	for _, step := range []struct {
		piece *pieces.Piece
		build func(context.Context) (pieces.Piece, error)
	}{
		{&all.etcd, builder.Etcd}, {&all.registry, builder.Registry}, {&all.pause, builder.Pause},
		{&all.kubernetes, builder.Kubernetes}, {&all.tekton, builder.Tekton},
	} {
		var err error
		if *step.piece, err = step.build(ctx); err != nil {
			return all, err
		}
	}
	var err error
	if all.tektonConfig, err = builder.TektonConfig(ctx); err != nil {
		return all, err
	}
	_, _, err = maker.BuilderRootfs(ctx)
	return all, err
}

// startNode starts the node up to its API server.
func startNode(ctx context.Context, progress *command.Progress, all built) (node.State, error) {
	programs := node.Programs{
		Kubernetes: all.kubernetes.Dir, Etcd: all.etcd.Program("etcd"), Registry: all.registry.Program("registry"),
	}
	versions := map[string]string{
		"kubernetes": all.kubernetes.Version, "etcd": all.etcd.Version, "registry": all.registry.Version, "tekton": all.tekton.Version,
	}
	var state node.State
	err := progress.During("start the node", func() (err error) {
		state, err = node.Start(ctx, programs, versions)
		return err
	})
	return state, err
}

// furnish pushes the images, installs Tekton and waits until all of it works.
func furnish(ctx context.Context, progress *command.Progress, maker images.Maker, state node.State, all built) error {
	if _, err := maker.Program(ctx, state.Registry(), "tools/pause", "pause", all.pause.Program("pause")); err != nil {
		return fmt.Errorf("push the sandbox image: %w", err)
	}
	refs := map[string]string{}
	err := progress.During("push Tekton's images", func() error {
		for _, program := range pieces.TektonPrograms {
			reference, err := maker.Program(ctx, state.Registry(), "tekton/"+program, program, all.tekton.Program(program))
			if err != nil {
				return err
			}
			refs[program] = reference
		}
		return nil
	})
	if err != nil {
		return err
	}
	shell, err := maker.Builder(ctx, state.Registry())
	if err != nil {
		return err
	}
	manifests, err := tekton.Manifests(all.tektonConfig, all.tekton.Version, shell, refs)
	if err != nil {
		return err
	}
	client := clientOf(state)
	return progress.During("install Tekton and wait until it admits a PipelineRun", func() error {
		// The first attempt may come before the definitions are established.
		install := func(ctx context.Context) error { return client.Install(ctx, manifests) }
		for _, step := range []struct {
			what      string
			condition func(context.Context) error
		}{
			{"the installation of Tekton", install},
			{"the node's readiness", client.NodeReady},
			{"the start of Tekton", client.Available},
			{"the admission of a PipelineRun", client.Admits},
		} {
			if err := node.WaitFor(ctx, state, step.what, step.condition); err != nil {
				return err
			}
		}
		return nil
	})
}

// down ends the cluster.
func down(ctx context.Context, progress *command.Progress) error {
	if !node.Present() {
		progress.Say("no cluster is up")
		return nil
	}
	unlock, err := cache.Lock("up")
	if err != nil {
		return err
	}
	defer unlock()
	return progress.During("end the cluster", func() error { return node.Stop(ctx) })
}

// status says what runs, for people or for a shell.
func status(ctx context.Context, args []string) error {
	if !node.Present() {
		return errDown
	}
	state, err := node.Load()
	if err != nil {
		return fmt.Errorf("%w: half started: %w", errDown, err)
	}
	if err := healthy(ctx, state); err != nil {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	if strings.Join(args, " ") == "-o env" {
		fmt.Printf("export KUBECONFIG=%s REGISTRY=%s AUDIT_LOG=%s KUBECTL=%s\n",
			node.Kubeconfig(), state.Registry(), node.AuditLog(), state.Kubectl())
		return nil
	}
	fmt.Printf("up: everything runs below process %d\n", state.PID)
	var names []string
	for name := range state.Versions {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("  %-12s%s\n", name, state.Versions[name])
	}
	fmt.Printf("kubeconfig:  %s\nregistry:    %s (plain HTTP)\nkubectl:     %s\naudit log:   %s\nlogs:        %s\n",
		node.Kubeconfig(), state.Registry(), state.Kubectl(), node.AuditLog(), filepath.Dir(node.AuditLog()))
	return nil
}

// healthy asks once whether everything works.
func healthy(ctx context.Context, state node.State) error {
	if err := state.Broken(); err != nil {
		return err
	}
	client := clientOf(state)
	for _, condition := range []func(context.Context) error{client.NodeReady, client.Available, client.Admits} {
		if err := condition(ctx); err != nil {
			return err
		}
	}
	return nil
}

func clientOf(state node.State) tekton.Client {
	return tekton.Client{Kubectl: state.Kubectl(), Kubeconfig: node.Kubeconfig()}
}

func printAddresses(state node.State) {
	fmt.Fprintf(os.Stdout, "KUBECONFIG=%s\nREGISTRY=%s\n", node.Kubeconfig(), state.Registry())
}
