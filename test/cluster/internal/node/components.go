package node

import (
	"path/filepath"
)

// component is one process of the node.
type component struct {
	name string
	args []string
	env  []string
	// ready is asked after the start; the next component waits for it. Nil means
	// that the component itself waits for those it needs.
	ready probe
}

// components lists the node's processes in the order they start.
func components(state State) []component {
	kubernetes := func(name string, args ...string) []string {
		return append([]string{filepath.Join(state.Programs.Kubernetes, name)}, args...)
	}
	return []component{
		{
			name: "etcd",
			args: []string{state.Programs.Etcd,
				"--data-dir=" + Path("etcd"),
				"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
				"--listen-peer-urls=http://127.0.0.1:2380", "--log-level=warn",
				// Nobody's data: a crash of the machine may lose it.
				"--unsafe-no-fsync",
			},
			ready: listening("127.0.0.1:2379"),
		},
		{
			name: "registry",
			args: []string{state.Programs.Registry, "serve", Path("conf", "registry.yaml")},
			// Its tracing would look for a collector nobody runs.
			env:   []string{"OTEL_TRACES_EXPORTER=none"},
			ready: listening(state.Registry()),
		},
		{name: "containerd", args: []string{"containerd", "--config", Path("conf", "containerd.toml")}, ready: listening("unix:/run/containerd/containerd.sock")},
		{name: "kube-apiserver", args: kubernetes("kube-apiserver", apiServerFlags(state)...), ready: healthy(state.APIServer() + "/readyz")},
		{
			name: "kube-controller-manager",
			args: kubernetes("kube-controller-manager",
				"--kubeconfig="+Path("conf", "kube-controller-manager.kubeconfig"),
				"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials",
				"--root-ca-file="+Path("pki", "ca.crt"),
				"--service-account-private-key-file="+Path("pki", "sa.key"),
			),
		},
		{
			name: "kube-scheduler",
			args: kubernetes("kube-scheduler",
				"--kubeconfig="+Path("conf", "kube-scheduler.kubeconfig"), "--bind-address=127.0.0.1", "--leader-elect=false"),
		},
		{name: "kube-proxy", args: kubernetes("kube-proxy", "--config="+Path("conf", "kube-proxy.yaml"))},
		{
			name: "kubelet",
			args: kubernetes("kubelet",
				"--config="+Path("conf", "kubelet.yaml"), "--kubeconfig="+Path("conf", "kubelet.kubeconfig"),
				// Not loopback: the API server reaches the kubelet by this address
				// for logs and exec, and the kubelet refuses a loopback one.
				"--node-ip="+state.Addresses.Node.String(), "--hostname-override="+Name),
		},
	}
}

// apiServerFlags are the flags of the API server: its defaults for admission,
// and no shortcut around authorization.
func apiServerFlags(state State) []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=" + state.Addresses.Node.String(),
		"--advertise-address=" + state.Addresses.Node.String(),
		"--secure-port=6443",
		"--service-cluster-ip-range=" + state.Addresses.Services.String(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		"--client-ca-file=" + Path("pki", "ca.crt"),
		"--tls-cert-file=" + Path("pki", "apiserver.crt"),
		"--tls-private-key-file=" + Path("pki", "apiserver.key"),
		"--kubelet-certificate-authority=" + Path("pki", "ca.crt"),
		"--kubelet-client-certificate=" + Path("pki", "apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + Path("pki", "apiserver-kubelet-client.key"),
		// There is no DNS that would know the node's name.
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + Path("pki", "sa.pub"),
		"--service-account-signing-key-file=" + Path("pki", "sa.key"),
		"--audit-policy-file=" + Path("conf", "audit.yaml"),
		"--audit-log-path=" + AuditLog(),
		// A test counts lines: the file must not be turned over under it.
		"--audit-log-maxsize=4096",
	}
}
