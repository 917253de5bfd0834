package node

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Capabilities is what a machine can do; settings for what it cannot are right
// only where they are needed, so they are decided from this.
type Capabilities struct {
	// CgroupV2 tells the unified control groups from the old ones.
	CgroupV2 bool `json:"cgroupV2"`
	// SysResource is CAP_SYS_RESOURCE: without it nobody may lower an OOM score.
	SysResource bool `json:"sysResource"`
	// Overlay tells whether overlayfs works on the state directory's file system.
	Overlay bool `json:"overlay"`
}

const (
	capSysResource = 24
	cgroup2Magic   = 0x63677270
)

// Probe finds out what the machine can do.
func Probe() (Capabilities, error) {
	var found Capabilities
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return found, err
	}
	found.SysResource = hasCapability(string(status), capSysResource)
	var stat syscall.Statfs_t
	if err := syscall.Statfs("/sys/fs/cgroup", &stat); err != nil {
		return found, err
	}
	found.CgroupV2 = stat.Type == cgroup2Magic
	found.Overlay = probeOverlay()
	return found, nil
}

// hasCapability reads the effective set from the text of /proc/self/status.
func hasCapability(status string, bit uint) bool {
	for _, line := range strings.Split(status, "\n") {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err == nil && set&(1<<bit) != 0
		}
	}
	return false
}

// probeOverlay mounts an overlay for a moment. It fails on an overlay itself,
// which is where a container's files usually lie.
func probeOverlay() bool {
	dir, err := os.MkdirTemp(StateDir, "overlay-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(dir+"/"+name, 0o700) != nil {
			return false
		}
	}
	options := "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := syscall.Mount("overlay", dir+"/merged", "overlay", 0, options); err != nil {
		return false
	}
	return syscall.Unmount(dir+"/merged", 0) == nil
}
