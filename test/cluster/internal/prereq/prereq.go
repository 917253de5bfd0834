// Package prereq says exactly what a machine lacks for the cluster.
package prereq

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// packages maps a file each Debian package brings to the package.
var packages = []struct{ file, name string }{
	{"/usr/bin/containerd", "containerd"},
	{"/usr/sbin/runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"/usr/sbin/debootstrap", "debootstrap"},
	{"/usr/sbin/iptables", "iptables"},
	{"/usr/bin/nsenter", "util-linux"},
	{"ip", "iproute2"},
}

// Machine is what the check looks at, so that a test can pretend.
type Machine struct {
	// UID is the user's number.
	UID int
	// Debian tells whether apt and dpkg are here.
	Debian bool
	// Has tells whether a program is found.
	Has func(program string) bool
}

// ThisMachine looks at the real one.
func ThisMachine() Machine {
	has := func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	}
	return Machine{UID: os.Getuid(), Debian: has("apt-get") && has("dpkg-deb"), Has: has}
}

// Tools checks what building needs.
func (m Machine) Tools() error { return join(m.missingTools()) }

// Node checks what running a node needs: the tools, and root on Debian.
func (m Machine) Node() error {
	missing := m.missingTools()
	if m.UID != 0 {
		missing = append(missing, "root: namespaces, mounts and packages need it; run it again with sudo -E")
	}
	if !m.Debian {
		missing = append(missing, "Debian: containerd and the rest come from its packages; on another system set KUBECONFIG and REGISTRY to a cluster and a registry of your own")
	}
	return join(missing)
}

func (m Machine) missingTools() []string {
	cures := []struct{ program, cure string }{
		{"git", "git: apt-get install git"},
		{"make", "make: apt-get install make"},
		{"go", "Go: see https://go.dev/doc/install, and put its bin directory into PATH"},
	}
	var missing []string
	for _, c := range cures {
		if !m.Has(c.program) {
			missing = append(missing, c.cure)
		}
	}
	return missing
}

func join(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return errors.New("this machine lacks:\n  - " + strings.Join(missing, "\n  - "))
}

// InstallPackages installs the Debian packages that are missing. A package's
// service is not started: the node runs a containerd of its own, and the
// machine's, if there is one, is none of its business.
func InstallPackages(ctx context.Context, progress *command.Progress) error {
	var missing []string
	for _, p := range packages {
		if !present(p.file) {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return progress.During("install "+strings.Join(missing, ", "), func() error {
		restore, err := forbidServices()
		if err != nil {
			return err
		}
		defer restore()
		env := []string{"DEBIAN_FRONTEND=noninteractive"}
		update := command.Cmd{Args: []string{"apt-get", "update", "-q"}, Env: env}
		if err := update.Run(ctx); err != nil {
			// An unreachable source of some other software is no reason to stop;
			// the installation says whether the packages can be had.
			progress.Say("apt-get update: %v", err)
		}
		args := append([]string{"apt-get", "install", "-y", "-q", "--no-install-recommends"}, missing...)
		return command.Cmd{Args: args, Env: env}.Run(ctx)
	})
}

func present(file string) bool {
	if filepath.IsAbs(file) {
		_, err := os.Stat(file)
		return err == nil
	}
	_, err := exec.LookPath(file)
	return err == nil
}

// forbidServices tells Debian's maintainer scripts to start nothing, unless the
// machine already has a policy of its own.
func forbidServices() (restore func(), err error) {
	const path = "/usr/sbin/policy-rc.d"
	if present(path) {
		return func() {}, nil
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return nil, fmt.Errorf("keep packages from starting services: %w", err)
	}
	return func() { os.Remove(path) }, nil
}
