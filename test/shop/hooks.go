// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// HooksService is the Service of config/hooks, in OperatorNamespace.
	HooksService = "imagelineage-hooks"
	// HooksDir is where the operator finds the hooks' secrets, one file for each.
	HooksDir = "/etc/imagelineage/hooks"
	// hooksSecret is the Secret that is mounted there.
	hooksSecret = "imagelineage-hooks"
	// configName is the ConfigMap of the operator's configuration file, and configKey
	// the file.
	configName, configKey = "imagelineage-config", "config.yaml"
	// leaderLabel is on the operator's Pod that leads, which the Service of the hooks
	// selects.
	leaderLabel = "imagelineage.dev/leader"
	// hooksOverlay is the directory of the kustomization, in the checkout. It is beside
	// that of "make deploy", and like that nothing that is checked in.
	hooksOverlay = "bin/hooks"
	// configFile has the ConfigMap, in that directory.
	configFile = "configmap.yaml"
)

// InstallHooks has the operator listen for what registries tell, as docs/webhooks.md has
// it: the hooks' secrets, the component config/hooks on top of what InstallOperator has
// installed, and a configuration file. It returns when the Service has a Pod that leads.
func (l Live) InstallHooks(ctx context.Context, secrets map[string]string, configuration *unstructured.Unstructured) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: hooksSecret},
		StringData: secrets,
	}
	// One may be left by an earlier time, where the operator was there already.
	if err := client.IgnoreNotFound(l.Client.Delete(ctx, secret.DeepCopy())); err != nil {
		return err
	}
	if err := l.Client.Create(ctx, secret); err != nil {
		return err
	}
	overlay, err := writeHooksOverlay(configuration)
	if err != nil {
		return err
	}
	// As "make deploy" applies: the next one takes the fields back without a conflict.
	if _, err := command(ctx, io.Discard, ".", []string{"KUBECONFIG=" + l.Cluster.Kubeconfig},
		l.Cluster.Kubectl, "apply", "--server-side", "--kustomize", overlay); err != nil {
		return err
	}
	if err := operatorHealthy(ctx, l.Client); err != nil {
		return err
	}
	return Until(ctx, operatorLimit, "an operator that leads", l.leads)
}

// writeHooksOverlay writes the kustomization: what is installed, the component, and the
// configuration file.
func writeHooksOverlay(configuration *unstructured.Unstructured) (dir string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	file, err := yaml.Marshal(configuration.Object)
	if err != nil {
		return "", err
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": OperatorNamespace, "name": configName},
		"data":     map[string]any{configKey: string(file)},
	})
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources":  []string{"../overlay", configFile},
		"components": []string{"../../config/hooks"},
	})
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, hooksOverlay)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), config, 0o600); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600)
}

// leads holds when one Pod of the operator is left, and leads.
func (l Live) leads(ctx context.Context) error {
	pods := &corev1.PodList{}
	err := l.Client.List(ctx, pods, client.InNamespace(OperatorNamespace), client.HasLabels{leaderLabel})
	if err != nil {
		return err
	}
	if len(pods.Items) != 1 || pods.Items[0].DeletionTimestamp != nil || pods.Items[0].Labels[leaderLabel] != "true" {
		return fmt.Errorf("of %d Pods none leads alone", len(pods.Items))
	}
	return nil
}

// PushRegistry pushes the image of a registry of the CNCF distribution project, built from
// the module that test/cluster runs, on a state of the base. Its program is
// /usr/local/bin/registry.
func (s Shop) PushRegistry(ctx context.Context, log io.Writer) (reference string, err error) {
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "registry")
	// With the flags of test/cluster, whose cache of packages then serves.
	if _, err := command(ctx, log, clusterDir+"/build/registry", []string{"CGO_ENABLED=0"},
		"go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, "."); err != nil {
		return "", err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	base, err := s.Registry.Pull(ctx, s.BaseVersion(FirstVersion))
	if err != nil {
		return "", err
	}
	const tag = "tools/registry:1"
	digest, err := s.pushOn(ctx, base, tag, map[string]string{"usr/local/bin/registry": string(program)}, nil)
	return fmt.Sprintf("%s@%s", s.Image(tag), digest), err
}
