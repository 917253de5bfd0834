package node

import (
	"slices"
	"testing"
)

func TestParseStartTime(t *testing.T) {
	stat := "42 (a (odd) name) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 10 18446744073709551615"
	got, err := parseStartTime(stat)
	if err != nil || got != "987654" {
		t.Errorf("got %q, %v", got, err)
	}
	zombie := "42 (name) Z 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 10"
	if _, err := parseStartTime(zombie); err == nil {
		t.Error("a zombie counts as alive")
	}
}

func TestHasCapability(t *testing.T) {
	status := "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"
	if hasCapability(status, capSysResource) {
		t.Error("bit 24 is off in fffeffffff, but was found")
	}
	if !hasCapability(status, 21) {
		t.Error("CAP_SYS_ADMIN is on, but was not found")
	}
}

func TestParseHierarchies(t *testing.T) {
	mounts := `tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
cgroup2 /elsewhere/cgroup cgroup2 rw 0 0
proc /proc proc rw 0 0
`
	want := []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"}
	if got := parseHierarchies(mounts); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
