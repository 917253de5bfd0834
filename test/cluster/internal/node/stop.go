package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
)

// Stop ends the node and proves that nothing of it is left. It touches only
// what the state names as its own.
func Stop(ctx context.Context) error {
	state, err := Load()
	if errors.Is(err, fs.ErrNotExist) {
		// Started so far that there is a directory, but no process yet.
		return os.RemoveAll(StateDir)
	}
	if err != nil {
		return err
	}
	if state.Alive() {
		// The kernel ends every process of the namespace together with its first.
		if err := syscall.Kill(state.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the node: %w", err)
		}
	}
	for what, gone := range map[string]func(context.Context) error{
		"the end of the node's processes": func(context.Context) error { return processesGone(state) },
		"the end of the control groups":   func(context.Context) error { return removeCgroups() },
		"the end of the interfaces":       disconnect,
	} {
		if err := command.Until(ctx, 30*time.Second, what, gone); err != nil {
			return err
		}
	}
	if err := restoreSysctls(state.Sysctls); err != nil {
		return err
	}
	if err := mountsGone(); err != nil {
		return err
	}
	return os.RemoveAll(StateDir)
}

// processesGone looks for the first process and for members of the node's
// control groups, which everything the node started is in.
func processesGone(state State) error {
	if state.Alive() {
		return fmt.Errorf("process %d still runs", state.PID)
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(root, Name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || (err == nil && !entry.IsDir()) {
				return nil
			}
			if err != nil {
				return err
			}
			members, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			if err == nil && len(members) > 0 {
				return fmt.Errorf("processes %s still run in %s", strings.Fields(string(members)), path)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mountsGone refuses to remove the state while something is mounted below it:
// the removal would reach through the mount.
func mountsGone() error {
	mounts, err := os.ReadFile("/proc/" + strconv.Itoa(os.Getpid()) + "/mounts")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], StateDir+"/") {
			return fmt.Errorf("%s is still mounted", fields[1])
		}
	}
	return nil
}
