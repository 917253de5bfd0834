package node

import (
	"encoding/base64"
	"fmt"
	"os"
)

// auditPolicy records who did what to what, reads and writes, once each: tests
// count the operator's writes from it. Bodies are left out; they would be large
// and hold secrets.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// kubeletConfig fits a small machine that somebody works on: it evicts late and
// never collects the images a test has just pushed.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{.Addresses.Node}}
healthzBindAddress: 127.0.0.1
tlsCertFile: {{path "pki" "kubelet.crt"}}
tlsPrivateKeyFile: {{path "pki" "kubelet.key"}}
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: {{path "pki" "ca.crt"}}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /{{name}}
# The node's own processes live beside the pods' groups; limiting them as well
# gains nothing here, and needs more controllers than every machine has.
enforceNodeAllocatable: []
{{- if not .Capabilities.CgroupV2}}
failCgroupV1: false
{{- end}}
{{- if not .Capabilities.SysResource}}
# Lowering a score needs CAP_SYS_RESOURCE, which this machine does not give.
oomScoreAdj: 0
{{- end}}
failSwapOn: false
maxPods: 250
podPidsLimit: -1
serializeImagePulls: false
maxParallelImagePulls: 4
registryPullQPS: 0
eventRecordQPS: 0
imageMinimumGCAge: 24h
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 50Mi
  nodefs.available: 1%
  nodefs.inodesFree: 1%
  imagefs.available: 1%
podLogsDir: {{path "var-log" "pods"}}
volumePluginDir: {{path "volume-plugins"}}
resolvConf: {{path "conf" "resolv.conf"}}
syncFrequency: 10s
`

// proxyConfig leaves connection tracking alone: its limits have no namespace.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: {{.Addresses.Node}}
hostnameOverride: {{name}}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: {{path "conf" "kube-proxy.kubeconfig"}}}
clusterCIDR: {{.Addresses.Pods}}
mode: iptables
# Answers always come back through the node's rules, also from a pod to itself.
iptables: {masqueradeAll: true, minSyncPeriod: 0s}
{{- if not .Capabilities.SysResource}}
oomScoreAdj: 0
{{- end}}
conntrack:
  maxPerCore: 0
  min: 0
  tcpEstablishedTimeout: 0s
  tcpCloseWaitTimeout: 0s
`

const containerdConfig = `version = 2
root = "{{path "containerd"}}"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.SandboxImage}}"
  max_concurrent_downloads = 4
{{- if not .Capabilities.SysResource}}
  # Without CAP_SYS_RESOURCE a sandbox that wants the kubelet's low score dies.
  restrict_oom_score_adj = true
{{- end}}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{{path "conf" "cni"}}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{{if .Capabilities.Overlay}}overlayfs{{else}}native{{end}}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{{path "conf" "certs.d"}}"
`

// hostsConfig says that the registry speaks plain HTTP.
const hostsConfig = `server = "http://{{.Registry}}"

[host."http://{{.Registry}}"]
  capabilities = ["pull", "resolve", "push"]
`

const registryConfig = `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: {{path "registry"}}}
  delete: {enabled: true}
http:
  addr: {{.Registry}}
`

// resolvConf is empty: the cluster has no DNS, nothing in it needs one, and the
// machine's own would lead out of it.
const resolvConf = "# This cluster has no DNS.\n"

// cniConfig routes to each pod by a pair of its own. Unlike a bridge, that
// sends traffic between pods through the rules of kube-proxy on any kernel.
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "pods",
  "type": "ptp",
  "ipMasq": false,
  "ipam": {
    "type": "host-local",
    "dataDir": "{{path "cni"}}",
    "ranges": [[{"subnet": "{{.Addresses.Pods}}"}]],
    "routes": [{"dst": "0.0.0.0/0"}]
  }
}
`

// writeKubeconfig writes a kubeconfig that carries its certificates, so that
// one file is all a client needs.
func writeKubeconfig(name, identity, server string) error {
	encoded := map[string]string{}
	for key, file := range map[string]string{"ca": "ca.crt", "crt": identity + ".crt", "key": identity + ".key"} {
		content, err := os.ReadFile(Path("pki", file))
		if err != nil {
			return err
		}
		encoded[key] = base64.StdEncoding.EncodeToString(content)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: %[1]s
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[6]s}
users:
- name: %[6]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, Name, server, encoded["ca"], encoded["crt"], encoded["key"], identity)
	return os.WriteFile(Path(name), []byte(text), 0o600)
}
