// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"fmt"
	"io"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/workload"
)

const (
	// OperatorNamespace is where config/default puts the operator.
	OperatorNamespace = "imagelineage-system"
	// OperatorAccount is the user that the operator is to the API server.
	OperatorAccount = "system:serviceaccount:" + OperatorNamespace + ":imagelineage-controller-manager"
	operatorName    = "imagelineage-controller-manager"
	operatorImage   = "imagelineage/imagelineage:dev"
	// operatorLimit is how long the operator may take to start.
	operatorLimit = 3 * time.Minute
)

// OperatorInstalled tells whether the operator is in the cluster.
func OperatorInstalled(ctx context.Context, c client.Client) (bool, error) {
	err := c.Get(ctx, types.NamespacedName{Namespace: OperatorNamespace, Name: operatorName}, &appsv1.Deployment{})
	return err == nil, client.IgnoreNotFound(err)
}

// InstallOperator builds the operator's image without a container engine, pushes it, and
// installs the operator as "make deploy" does: config/default, with the right to speak
// plain HTTP to the registry where that is all it speaks, and with nothing else.
func InstallOperator(ctx context.Context, log io.Writer, c client.Client, cluster Cluster, registry Registry) error {
	plain := "PLAIN_HTTP=" + registry.PlainHosts()
	image, err := makeTarget(ctx, log, cluster, "image", "PUSH=1", "IMG="+registry.Host+"/"+operatorImage, plain)
	if err != nil {
		return err
	}
	// By its digest: an operator that has changed is rolled out, an equal one is not.
	if _, err := makeTarget(ctx, io.Discard, cluster, "deploy", "IMG="+lastLine(image), plain); err != nil {
		return err
	}
	return operatorHealthy(ctx, c)
}

// operatorHealthy waits until the operator that is installed runs, and no other.
func operatorHealthy(ctx context.Context, c client.Client) error {
	return Until(ctx, operatorLimit, "the operator", func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		if err := c.Get(ctx, types.NamespacedName{Namespace: OperatorNamespace, Name: operatorName}, deployment); err != nil {
			return err
		}
		if health, message := workload.Health(deployment); health != plan.Healthy {
			return fmt.Errorf("%s: %s", operatorName, message)
		}
		return nil
	})
}

// RemoveOperator removes the operator, its CRD and with it every lineage.
func RemoveOperator(ctx context.Context, log io.Writer, cluster Cluster) error {
	_, err := makeTarget(ctx, log, cluster, "undeploy")
	return err
}

func makeTarget(ctx context.Context, log io.Writer, cluster Cluster, target string, variables ...string) (string, error) {
	args := append([]string{"--silent", "--no-print-directory", target, "KUBECTL=" + cluster.Kubectl}, variables...)
	// A make above this one must not hand down its own flags.
	env := []string{"KUBECONFIG=" + cluster.Kubeconfig, "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS="}
	return command(ctx, log, ".", env, "make", args...)
}
