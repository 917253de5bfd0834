// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// clusterDir is the module that brings up a cluster on this machine.
const clusterDir = "test/cluster"

// Cluster is where the shop is.
type Cluster struct {
	// Kubeconfig is the path of the cluster's kubeconfig.
	Kubeconfig string
	// Registry is the host and port of a registry that its nodes can pull from.
	Registry string
	// AuditLog is the path of the API server's audit log; empty where there is none
	// that could be read from here.
	AuditLog string
	// Kubectl is the kubectl to call.
	Kubectl string
}

// assignment is one of the words that "status -o env" prints.
var assignment = regexp.MustCompile(`\b(KUBECONFIG|REGISTRY|AUDIT_LOG|KUBECTL)=["']?([^\s"']+)`)

// errDown is returned for a cluster of this machine that is not up.
var errDown = errors.New("no cluster is up on this machine")

// FromEnvironment is the cluster that KUBECONFIG and REGISTRY name; false where they
// name none. A KUBECONFIG alone is no consent: a shell that happens to point at
// somebody's cluster must not get a shop into it.
func FromEnvironment(ctx context.Context) (Cluster, bool, error) {
	c := Cluster{
		Kubeconfig: os.Getenv("KUBECONFIG"), Registry: os.Getenv("REGISTRY"),
		AuditLog: os.Getenv("AUDIT_LOG"), Kubectl: os.Getenv("KUBECTL"),
	}
	if c.Registry == "" {
		return Cluster{}, false, nil
	}
	if c.Kubeconfig == "" {
		return Cluster{}, false, errors.New("REGISTRY is set and KUBECONFIG is not: set both, or neither")
	}
	var err error
	// What is not said can be asked where the cluster is this machine's own.
	if own, err := Status(ctx); err == nil && own.Kubeconfig == c.Kubeconfig {
		c.AuditLog, c.Kubectl = cmp.Or(c.AuditLog, own.AuditLog), cmp.Or(c.Kubectl, own.Kubectl)
	}
	c.Kubectl, err = findKubectl(c.Kubectl)
	return c, true, err
}

// Status is the cluster of this machine; an error where it is not up.
func Status(ctx context.Context) (Cluster, error) {
	out, err := clusterCommand(ctx, io.Discard, "status", "-o", "env")
	if err != nil {
		return Cluster{}, fmt.Errorf("%w: %w", errDown, err)
	}
	var c Cluster
	for _, match := range assignment.FindAllStringSubmatch(out, -1) {
		switch match[1] {
		case "KUBECONFIG":
			c.Kubeconfig = match[2]
		case "REGISTRY":
			c.Registry = match[2]
		case "AUDIT_LOG":
			c.AuditLog = match[2]
		case "KUBECTL":
			c.Kubectl = match[2]
		}
	}
	if c.Kubeconfig == "" || c.Registry == "" {
		return Cluster{}, errDown
	}
	c.Kubectl, err = findKubectl(c.Kubectl)
	return c, err
}

// Up brings the cluster of this machine up.
func Up(ctx context.Context, log io.Writer) (Cluster, error) {
	if _, err := clusterCommand(ctx, log, "up"); err != nil {
		return Cluster{}, err
	}
	return Status(ctx)
}

// Down takes the cluster of this machine down.
func Down(ctx context.Context, log io.Writer) error {
	_, err := clusterCommand(ctx, log, "down")
	return err
}

// PushBuildah pushes the image that builds run in, and returns its reference.
func PushBuildah(ctx context.Context, log io.Writer, registry string) (string, error) {
	out, err := clusterCommand(ctx, log, "images", "-registry", registry)
	return lastLine(out), err
}

// PushBase pushes a state of the base under a tag of its own, its version: whoever
// wants the base to move puts it under BaseTag.
func (s Shop) PushBase(ctx context.Context, log io.Writer, version string) error {
	_, err := clusterCommand(ctx, log, "base", "-registry", s.Registry.Host,
		"-repository", s.Repository(BaseRepository), "-tag", version, "-version", version)
	return err
}

// BaseVersion is the tag of a state of the base.
func (s Shop) BaseVersion(version string) string {
	return s.Image(BaseRepository + ":" + version)
}

func clusterCommand(ctx context.Context, log io.Writer, args ...string) (string, error) {
	return command(ctx, log, clusterDir, nil, "go", append([]string{"run", "."}, args...)...)
}

func lastLine(out string) string {
	return out[strings.LastIndexByte(out, '\n')+1:]
}

// findKubectl is the kubectl that is named, or the one of PATH.
func findKubectl(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", fmt.Errorf("kubectl is needed: install it, or set KUBECTL to its path: %w", err)
	}
	return path, nil
}

// Run calls kubectl on the cluster and returns what it printed.
func (c Cluster) Run(ctx context.Context, args ...string) (string, error) {
	return command(ctx, io.Discard, ".", []string{"KUBECONFIG=" + c.Kubeconfig}, c.Kubectl, args...)
}
