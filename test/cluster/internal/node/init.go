package node

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// componentLimit is how long one component may take to become ready.
const componentLimit = 90 * time.Second

// tunables are the kernel settings a kubelet sets for itself. They belong to the
// whole machine, so inside the node a file with the value the kubelet wants lies
// over each: it finds what it looks for and changes nothing.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// Init is the namespace's first process. It waits until the machine has
// connected the namespace, furnishes it, starts the components and then only
// reaps what ends. It starts nothing twice: a component that ends is a finding.
func Init() error {
	// The machine closes the pipe when the interfaces are there.
	if _, err := io.ReadAll(os.NewFile(3, "connected")); err != nil {
		return err
	}
	state, err := Load()
	if err != nil {
		return err
	}
	if err := enterCgroups(); err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	if err := furnish(); err != nil {
		return err
	}
	names := map[int]string{}
	for _, c := range components(state) {
		cmd, err := start(c)
		if err != nil {
			return fmt.Errorf("start %s: %w", c.name, err)
		}
		names[cmd.Process.Pid] = c.name
		fmt.Printf("started %s as %d\n", c.name, cmd.Process.Pid)
		if c.ready == nil {
			continue
		}
		if err := command.Until(context.Background(), componentLimit, c.name+" ready", c.ready); err != nil {
			recordEnd(c.name)
			return err
		}
	}
	reap(names)
	return nil
}

// furnish makes the mounts the node needs. All of them are private: they end
// with the namespace and never show on the machine.
func furnish() error {
	type mount struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	mounts := []mount{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"},
		{Path("var-lib"), "/var/lib", "", syscall.MS_BIND, ""},
		{Path("var-log"), "/var/log", "", syscall.MS_BIND, ""},
	}
	for name, value := range tunables {
		file := Path("tunables", strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		mounts = append(mounts, mount{file, "/proc/sys/" + name, "", syscall.MS_BIND, ""})
	}
	for _, m := range mounts {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := syscall.Sethostname([]byte(Name)); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// start runs one component with its output in a file of its own.
func start(c component) (*exec.Cmd, error) {
	log, err := os.OpenFile(Path("logs", c.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.Env = append(environment(), c.env...)
	return cmd, cmd.Start()
}

// environment is what components get: no proxies and no credentials of the
// person who started the cluster.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"}
}

// reap collects every process that ends: as the first process of the namespace
// this one inherits all orphans.
func reap(names map[int]string) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return // no children are left
		}
		if name, ours := names[pid]; ours {
			fmt.Printf("%s ended: exit %d, signal %v\n", name, status.ExitStatus(), status.Signal())
			recordEnd(name)
		}
	}
}

// recordEnd leaves a note for the machine's side.
func recordEnd(name string) {
	file, err := os.OpenFile(Path("ended"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return
	}
	defer file.Close()
	fmt.Fprintln(file, name)
}
