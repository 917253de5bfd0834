// Package pieces builds the programs of the cluster from their Go modules.
package pieces

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/cache"
	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// The modules whose versions name the pieces.
const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
	registryModule   = "github.com/distribution/distribution/v3"
	tektonModule     = "github.com/tektoncd/pipeline"
)

// KubernetesPrograms are the names by which the one binary is called.
var KubernetesPrograms = []string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
}

// TektonPrograms are the commands of Tekton that run in the cluster.
var TektonPrograms = []string{
	"controller", "webhook", "entrypoint", "nop", "workingdirinit", "sidecarlogresults",
}

// Piece is something built: its version and where it lies.
type Piece struct {
	// Version is the version of the piece's main module.
	Version string
	// Dir holds the programs.
	Dir string
}

// Program returns the path of one of the piece's programs.
func (p Piece) Program(name string) string { return filepath.Join(p.Dir, name) }

// Builder builds pieces from the modules below test/cluster/build.
type Builder struct {
	// Root is the directory of the cluster tool's own module.
	Root string
	// Progress is told what is built.
	Progress *command.Progress
}

// Kubernetes is the multi-call binary with a link for each program.
func (b Builder) Kubernetes(ctx context.Context) (Piece, error) {
	return b.build(ctx, "kubernetes", kubernetesModule, func(version, source, out string) error {
		flags := "-s -w " + stamps(version)
		if err := goBuild(ctx, source, out+"/kubernetes", flags, "."); err != nil {
			return err
		}
		for _, name := range KubernetesPrograms {
			if err := os.Symlink("kubernetes", filepath.Join(out, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Etcd is the etcd server.
func (b Builder) Etcd(ctx context.Context) (Piece, error) {
	return b.build(ctx, "etcd", etcdModule, func(_, source, out string) error {
		return goBuild(ctx, source, out+"/etcd", "-s -w", ".")
	})
}

// Registry is the image registry.
func (b Builder) Registry(ctx context.Context) (Piece, error) {
	return b.build(ctx, "registry", registryModule, func(version, source, out string) error {
		return goBuild(ctx, source, out+"/registry", "-s -w -X "+registryModule+"/version.version="+version, ".")
	})
}

// Tekton is the controller, the webhook and the programs in TaskRuns' pods.
func (b Builder) Tekton(ctx context.Context) (Piece, error) {
	return b.build(ctx, "tekton", tektonModule, func(version, source, out string) error {
		args := make([]string, 0, len(TektonPrograms))
		for _, name := range TektonPrograms {
			args = append(args, tektonModule+"/cmd/"+name)
		}
		// The trailing slash makes Go write one file per command.
		return goBuild(ctx, source, out+"/", "-s -w", args...)
	})
}

// TektonConfig is the directory of Tekton's own manifests in its module.
func (b Builder) TektonConfig(ctx context.Context) (string, error) {
	dir, err := list(ctx, b.source("tekton"), "{{.Dir}}", tektonModule)
	return filepath.Join(dir, "config"), err
}

// Pause is the program of a pod's sandbox, from this module.
func (b Builder) Pause(ctx context.Context) (Piece, error) {
	source := filepath.Join(b.Root, "pause")
	hash, err := cache.HashFiles(source)
	if err != nil {
		return Piece{}, err
	}
	dir, err := cache.Ensure(cache.Key("pause", "1", hash, runtime.Version(), runtime.GOARCH), func(out string) error {
		return goBuild(ctx, source, out+"/pause", "-s -w", ".")
	})
	return Piece{Version: "1", Dir: dir}, err
}

// Assets is a directory as KUBEBUILDER_ASSETS wants it: an API server, etcd and
// kubectl, linked from the pieces.
func (b Builder) Assets(ctx context.Context) (string, error) {
	kubernetes, err := b.Kubernetes(ctx)
	if err != nil {
		return "", err
	}
	etcd, err := b.Etcd(ctx)
	if err != nil {
		return "", err
	}
	return cache.Ensure(cache.Key("assets", kubernetes.Version, kubernetes.Dir, etcd.Dir), func(out string) error {
		links := map[string]Piece{"kube-apiserver": kubernetes, "kubectl": kubernetes, "etcd": etcd}
		for name, piece := range links {
			if err := os.Symlink(piece.Program(name), filepath.Join(out, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// build makes one piece whose source is a module below test/cluster/build. The
// key holds everything that decides about the outcome.
func (b Builder) build(ctx context.Context, name, module string, compile func(version, source, out string) error) (Piece, error) {
	source := b.source(name)
	version, err := list(ctx, source, "{{.Version}}", module)
	if err != nil {
		return Piece{}, err
	}
	hash, err := cache.HashFiles(source)
	if err != nil {
		return Piece{}, err
	}
	dir, err := cache.Ensure(cache.Key(name, version, hash, runtime.Version(), runtime.GOARCH), func(out string) error {
		return b.Progress.During(fmt.Sprintf("compile %s %s", name, version), func() error {
			return compile(version, source, out)
		})
	})
	return Piece{Version: version, Dir: dir}, err
}

func (b Builder) source(name string) string { return filepath.Join(b.Root, "build", name) }

// list asks the go command about a module of the build list.
func list(ctx context.Context, dir, format, module string) (string, error) {
	out, err := command.Cmd{Dir: dir, Args: []string{"go", "list", "-m", "-f", format, module}}.Output(ctx)
	return strings.TrimSpace(out), err
}

// goBuild links static binaries without the checkout's revision, which would
// make every commit a new binary.
func goBuild(ctx context.Context, source, out, flags string, packages ...string) error {
	args := append([]string{"go", "build", "-buildvcs=false", "-ldflags", flags, "-o", out}, packages...)
	return command.Cmd{Dir: source, Env: []string{"CGO_ENABLED=0"}, Args: args}.Run(ctx)
}

// stamps are the linker flags that give Kubernetes its version. Without them a
// component calls itself v0.0.0 and clients draw wrong conclusions.
func stamps(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	values := map[string]string{"gitVersion": version, "gitMajor": parts[0], "gitMinor": parts[1], "gitTreeState": "clean"}
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, name := range []string{"gitVersion", "gitMajor", "gitMinor", "gitTreeState"} {
			flags = append(flags, fmt.Sprintf("-X %s.%s=%s", pkg, name, values[name]))
		}
	}
	return strings.Join(flags, " ")
}
