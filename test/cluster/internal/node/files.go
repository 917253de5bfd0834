package node

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// directories are what the node finds in its state directory.
var directories = []string{
	"bin", "pki", "conf", "logs", "etcd", "registry", "containerd", "cni", "var-lib", "var-log",
	"volume-plugins", "tunables",
}

// writeFiles writes every certificate, kubeconfig and configuration file.
func writeFiles(state State) error {
	for _, name := range directories {
		if err := os.MkdirAll(Path(name), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(Path("pki"), 0o700); err != nil {
		return err
	}
	if err := writeIdentities(state); err != nil {
		return err
	}
	hosts := filepath.Join("conf", "certs.d", state.Registry())
	for _, name := range []string{hosts, filepath.Join("conf", "cni")} {
		if err := os.MkdirAll(Path(name), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"conf/audit.yaml":       auditPolicy,
		"conf/kubelet.yaml":     kubeletConfig,
		"conf/kube-proxy.yaml":  proxyConfig,
		"conf/containerd.toml":  containerdConfig,
		"conf/registry.yaml":    registryConfig,
		"conf/resolv.conf":      resolvConf,
		"conf/cni/10-pods.conf": cniConfig,
		hosts + "/hosts.toml":   hostsConfig,
	}
	for name, text := range files {
		if err := render(name, text, state); err != nil {
			return err
		}
	}
	return nil
}

// writeIdentities makes the certificates and the kubeconfigs around them.
func writeIdentities(state State) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := writeServiceAccountKeys(); err != nil {
		return err
	}
	node := net.IP(state.Addresses.Node.AsSlice())
	local := net.IPv4(127, 0, 0, 1)
	service := net.IP(state.Addresses.ServiceAPI().AsSlice())
	identities := []struct {
		file, user, group string
		addresses         []net.IP
		names             []string
		kubeconfig        string
	}{
		{"apiserver", "kube-apiserver", "", []net.IP{node, local, service},
			[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, ""},
		{"apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters", nil, nil, ""},
		{"kubelet", "system:node:" + Name, "system:nodes", []net.IP{node, local}, []string{Name}, "conf/kubelet.kubeconfig"},
		{"kube-controller-manager", "system:kube-controller-manager", "", nil, nil, "conf/kube-controller-manager.kubeconfig"},
		{"kube-scheduler", "system:kube-scheduler", "", nil, nil, "conf/kube-scheduler.kubeconfig"},
		{"kube-proxy", "system:kube-proxy", "", nil, nil, "conf/kube-proxy.kubeconfig"},
		{"admin", "kubernetes-admin", "system:masters", nil, nil, "kubeconfig"},
	}
	for _, id := range identities {
		if err := ca.issue(id.file, id.user, id.group, id.addresses, id.names); err != nil {
			return fmt.Errorf("certificate of %s: %w", id.user, err)
		}
		if id.kubeconfig != "" {
			if err := writeKubeconfig(id.kubeconfig, id.file, state.APIServer()); err != nil {
				return err
			}
		}
	}
	return nil
}

// render fills a template with the state and writes it.
func render(name, text string, state State) error {
	parsed, err := template.New(name).Funcs(template.FuncMap{"path": Path, "name": func() string { return Name }}).Parse(text)
	if err != nil {
		return err
	}
	var out strings.Builder
	if err := parsed.Execute(&out, state); err != nil {
		return err
	}
	return os.WriteFile(Path(name), []byte(out.String()), 0o644)
}
