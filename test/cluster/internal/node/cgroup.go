package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the roots of the control group trees: one for each controller
// of version 1, the single one of version 2, or both on a machine that mounts
// version 2 beside version 1 — there runc makes groups in all of them.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	return parseHierarchies(string(mounts)), nil
}

// parseHierarchies reads the mount points of the control groups.
func parseHierarchies(mounts string) []string {
	var found []string
	for _, line := range strings.Split(mounts, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || (fields[2] != "cgroup" && fields[2] != "cgroup2") {
			continue
		}
		if fields[1] == cgroupRoot || strings.HasPrefix(fields[1], cgroupRoot+"/") {
			found = append(found, fields[1])
		}
	}
	return found
}

// enterCgroups makes the node's control groups and moves this process, and so
// everything it will start, into a leaf of them. The kubelet makes its own
// groups beside the leaf: version 2 allows processes only in leaves.
func enterCgroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		group := filepath.Join(root, Name)
		leaf := filepath.Join(group, "node")
		if err := os.MkdirAll(group, 0o755); err != nil {
			return err
		}
		if err := delegate(root, group); err != nil {
			return err
		}
		if err := inheritCPUSet(root, group); err != nil {
			return err
		}
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			return err
		}
		if err := inheritCPUSet(group, leaf); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// delegate switches version 2's controllers on for the groups below. Version 1
// has no such switch.
func delegate(groups ...string) error {
	for _, group := range groups {
		available, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, controller := range strings.Fields(string(available)) {
			err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EBUSY) {
				return err
			}
		}
	}
	return nil
}

// inheritCPUSet copies the processors of the group above: a new group of
// version 1's cpuset has none, and no process may enter it.
func inheritCPUSet(parent, group string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(group, file))
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(own)) != "" {
			continue
		}
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			continue // version 2's root has no such file, nor any need of it
		}
		if err := os.WriteFile(filepath.Join(group, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups takes the node's groups away, the deepest first. A group whose
// last process is just ending is still busy; the caller tries again.
func removeCgroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var failed error
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, Name)); err != nil {
			failed = err
		}
	}
	return failed
}

func removeTree(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(group)
}
