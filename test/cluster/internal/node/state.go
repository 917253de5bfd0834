// Package node runs a single Kubernetes node in namespaces of its own.
//
// The node has its own network, process, mount, host-name and IPC namespaces.
// Everything in it runs below one process of ours, the namespace's PID 1, so
// that no port clashes with the machine's and one signal ends all of it.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/netaddr"
)

// StateDir holds everything of the running cluster. It is not below /run, which
// many machines keep in memory, too small for images, and not below /var/lib,
// which the node covers with its own.
const StateDir = "/var/opt/imagelineage-cluster"

// Name is the name of the node, of its control groups and of its interfaces.
const Name = "imagelineage-cluster"

// RegistryPort is the registry's port at the node's address.
const RegistryPort = 5000

// apiPort is the API server's port at the node's address.
const apiPort = 6443

// Programs are the paths of the programs the node runs.
type Programs struct {
	// Kubernetes is the directory with the links of the multi-call binary.
	Kubernetes string `json:"kubernetes"`
	// Etcd is the etcd server.
	Etcd string `json:"etcd"`
	// Registry is the image registry.
	Registry string `json:"registry"`
}

// State is what the tool remembers about the running cluster.
type State struct {
	// PID is the namespace's first process, as the machine sees it.
	PID int `json:"pid"`
	// StartTime tells the process from a later one with the same number.
	StartTime string `json:"startTime"`
	// Addresses are the ranges the cluster uses.
	Addresses netaddr.Plan `json:"addresses"`
	// Programs is what runs.
	Programs Programs `json:"programs"`
	// Capabilities is what was found out about the machine.
	Capabilities Capabilities `json:"capabilities"`
	// Sysctls are the machine's values from before, put back at the end.
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Versions are the versions of the pieces, for the status.
	Versions map[string]string `json:"versions"`
	// SandboxImage is the reference of the pods' sandbox image.
	SandboxImage string `json:"sandboxImage"`
}

// Path returns a path in the state directory.
func Path(parts ...string) string {
	return filepath.Join(append([]string{StateDir}, parts...)...)
}

// Kubeconfig is the path of the administrator's kubeconfig.
func Kubeconfig() string { return Path("kubeconfig") }

// AuditLog is the path of the API server's audit log.
func AuditLog() string { return Path("logs", "audit.log") }

// Registry is the registry's address.
func (s State) Registry() string { return fmt.Sprintf("%s:%d", s.Addresses.Node, RegistryPort) }

// APIServer is the API server's URL.
func (s State) APIServer() string { return fmt.Sprintf("https://%s:%d", s.Addresses.Node, apiPort) }

// Kubectl is the path of the matching kubectl.
func (s State) Kubectl() string { return filepath.Join(s.Programs.Kubernetes, "kubectl") }

// Load reads the state. Without a cluster the error is fs.ErrNotExist.
func Load() (State, error) {
	var state State
	content, err := os.ReadFile(Path("state.json"))
	if err != nil {
		return state, err
	}
	return state, json.Unmarshal(content, &state)
}

// Save writes the state, whole or not at all.
func (s State) Save() error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := Path(".state.json")
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, Path("state.json"))
}

// Alive tells whether the namespace's first process still runs.
func (s State) Alive() bool {
	if s.PID == 0 {
		return false
	}
	started, err := startTime(s.PID)
	return err == nil && started == s.StartTime
}

// Ended names the components that have ended although the node runs.
func (s State) Ended() []string {
	content, err := os.ReadFile(Path("ended"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(content))
}

// Present tells whether there is anything of a cluster, whole or in pieces.
func Present() bool {
	_, err := os.Stat(StateDir)
	return !errors.Is(err, fs.ErrNotExist)
}

// startTime is the time a process began, in ticks since the machine's start. The
// process's name may hold spaces, so the fields count from its closing bracket.
func startTime(pid int) (string, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	return parseStartTime(string(content))
}

func parseStartTime(stat string) (string, error) {
	end := strings.LastIndex(stat, ")")
	if end < 0 {
		return "", fmt.Errorf("no process name in %q", stat)
	}
	fields := strings.Fields(stat[end+1:])
	const startTimeField = 19 // the 22nd of all, counted from the state
	if len(fields) <= startTimeField {
		return "", fmt.Errorf("too few fields in %q", stat)
	}
	if fields[0] == "Z" {
		return "", fmt.Errorf("process has ended")
	}
	return fields[startTimeField], nil
}
