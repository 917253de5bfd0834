// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/imagelineage/imagelineage/internal/operator"
)

// cluster is a kube-apiserver and an etcd.
type cluster struct {
	env *envtest.Environment
	// admin is a member of system:masters.
	admin *rest.Config
	// kubeconfig is the operator's.
	kubeconfig string
	audit      auditLog
}

// startCluster starts it with our CRDs and Tekton's, and an audit log in dir.
func startCluster(ctx context.Context, dir string) (*cluster, error) {
	tekton, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tektoncd/pipeline").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Tekton's CRDs: %w", err)
	}
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	c := &cluster{audit: auditLog{path: filepath.Join(dir, "audit.log")}}
	c.env = &envtest.Environment{
		Scheme: operator.Scheme(),
		CRDInstallOptions: envtest.CRDInstallOptions{
			Paths: []string{
				"config/crd/bases", filepath.Join(strings.TrimSpace(string(tekton)), "config/300-crds"),
			},
			ErrorIfPathMissing: true,
		},
	}
	c.env.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", policy).
		Append("audit-log-path", c.audit.path).
		// In megabytes: so much that it is never rotated.
		Append("audit-log-maxsize", "4096")
	if c.admin, err = c.env.Start(); err != nil {
		return nil, errors.Join(err, c.env.Stop())
	}
	// Creating lineages is what the benchmark waits for most.
	c.admin.QPS = -1
	if err := c.writeKubeconfig(filepath.Join(dir, "kubeconfig")); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) writeKubeconfig(path string) error {
	user, err := c.env.AddUser(envtest.User{Name: operatorUser, Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	content, err := user.KubeConfig()
	if err != nil {
		return err
	}
	c.kubeconfig = path
	return os.WriteFile(path, content, 0o600)
}

func (c *cluster) stop() error { return c.env.Stop() }
