package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/imagelineage/imagelineage/test/cluster/internal/command"
	"github.com/imagelineage/imagelineage/test/cluster/internal/netaddr"
)

// hostLink and nodeLink are the two ends of the pair of virtual interfaces.
// The kernel allows 15 characters.
const (
	hostLink = "ilcluster0"
	nodeLink = "eth0"
)

// pickAddresses reads the machine's routes and chooses ranges beside them.
func pickAddresses(ctx context.Context) (netaddr.Plan, error) {
	routes, err := command.New("ip", "-4", "route", "show", "table", "all").Output(ctx)
	if err != nil {
		return netaddr.Plan{}, err
	}
	return netaddr.Pick(netaddr.ParseRoutes(routes))
}

// connect joins the machine and the node's network namespace by the pair. The
// namespace is entered by the process's number with nsenter: `ip netns exec`
// would mount a fresh /sys and so hide the control groups.
func connect(ctx context.Context, pid int, plan netaddr.Plan) error {
	inside := func(args ...string) []string {
		return append([]string{"nsenter", "--net", "--target", strconv.Itoa(pid), "ip"}, args...)
	}
	bits := strconv.Itoa(plan.Link.Bits())
	for _, args := range [][]string{
		{"ip", "link", "add", hostLink, "type", "veth", "peer", "name", nodeLink, "netns", strconv.Itoa(pid)},
		{"ip", "address", "add", plan.Host.String() + "/" + bits, "dev", hostLink},
		{"ip", "link", "set", hostLink, "up"},
		inside("link", "set", "lo", "up"),
		inside("address", "add", plan.Node.String()+"/"+bits, "dev", nodeLink),
		inside("link", "set", nodeLink, "up"),
		// A Service's address needs some route before the rules of kube-proxy
		// can turn it into a pod's.
		inside("route", "add", "default", "via", plan.Host.String()),
	} {
		if err := command.New(args...).Run(ctx); err != nil {
			return fmt.Errorf("connect the node: %w", err)
		}
	}
	return nil
}

// disconnect removes the machine's end if the kernel has not done so yet; it
// does when the namespace ends, but not at once.
func disconnect(ctx context.Context) error {
	if _, err := os.Stat("/sys/class/net/" + hostLink); err != nil {
		return nil
	}
	err := command.New("ip", "link", "delete", hostLink).Run(ctx)
	if _, gone := os.Stat("/sys/class/net/" + hostLink); gone != nil {
		return nil
	}
	return err
}

// wantedSysctls are machine-wide limits that a kubelet with many pods exhausts.
// They have no namespace, so they are raised on the machine and put back.
var wantedSysctls = map[string]int{
	"fs/inotify/max_user_instances": 1024,
	"fs/inotify/max_user_watches":   65536,
}

// raiseSysctls raises what is too low and returns the values from before.
func raiseSysctls() (map[string]string, error) {
	before := map[string]string{}
	for name, wanted := range wantedSysctls {
		path := filepath.Join("/proc/sys", name)
		content, err := os.ReadFile(path)
		if err != nil {
			return before, err
		}
		old := strings.TrimSpace(string(content))
		if value, err := strconv.Atoi(old); err == nil && value >= wanted {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(wanted)), 0o644); err != nil {
			return before, err
		}
		before[name] = old
	}
	return before, nil
}

// restoreSysctls puts the machine's values back.
func restoreSysctls(before map[string]string) error {
	for name, value := range before {
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}
