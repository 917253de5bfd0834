// Package netaddr picks address ranges that nothing on the machine uses.
package netaddr

import (
	"fmt"
	"net/netip"
	"strings"
)

// Plan is the addresses of one node.
type Plan struct {
	// Link is the range of the pair of virtual interfaces.
	Link netip.Prefix
	// Host is the machine's end of the pair.
	Host netip.Addr
	// Node is the node's end: the one address the machine reaches.
	Node netip.Addr
	// Pods is the range of the pods.
	Pods netip.Prefix
	// Services is the range of the Services.
	Services netip.Prefix
}

// Pick chooses three neighbouring /24 ranges that overlap none of the used
// ones. The candidates are walked in a fixed order, so the same machine gets
// the same addresses again.
func Pick(used []netip.Prefix) (Plan, error) {
	for second := 213; second >= 64; second-- {
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), 40, 0}), 22)
		if overlapsAny(block, used) {
			continue
		}
		third := func(n byte) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), 40 + n, 0}), 24)
		}
		link := third(0)
		host := link.Addr().Next()
		return Plan{Link: link, Host: host, Node: host.Next(), Pods: third(1), Services: third(2)}, nil
	}
	return Plan{}, fmt.Errorf("no free /22 between 10.64.40.0 and 10.213.43.255: every candidate overlaps a route of this machine")
}

// ServiceAPI is the address of the API server's own Service: by Kubernetes'
// rule the first of the range.
func (p Plan) ServiceAPI() netip.Addr { return p.Services.Addr().Next() }

// ParseRoutes reads the ranges from the output of `ip -4 route show table all`.
// A default route covers everything and forbids nothing.
func ParseRoutes(text string) []netip.Prefix {
	var used []netip.Prefix
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		target := fields[0]
		switch target {
		case "local", "broadcast", "unreachable", "blackhole", "prohibit", "throw", "multicast":
			if len(fields) < 2 {
				continue
			}
			target = fields[1]
		}
		if prefix, err := netip.ParsePrefix(target); err == nil && prefix.Bits() > 0 {
			used = append(used, prefix.Masked())
		} else if addr, err := netip.ParseAddr(target); err == nil {
			used = append(used, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return used
}

func overlapsAny(candidate netip.Prefix, used []netip.Prefix) bool {
	for _, prefix := range used {
		if prefix.Overlaps(candidate) {
			return true
		}
	}
	return false
}
