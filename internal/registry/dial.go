// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

var (
	errLinkLocal = errors.New("link-local and metadata addresses are never asked")
	errPrivate   = errors.New("it sends clients on to a private address, which only a private registry may do; " +
		"an administrator can call it private in the operator's configuration")
)

// metadataAddresses are addresses of cloud metadata services that are not
// link-local: of AWS over IPv6, of Alibaba Cloud, Azure's wire server, and that
// of Oracle Cloud's classic regions.
var metadataAddresses = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"):   true,
	netip.MustParseAddr("100.100.100.200"): true,
	netip.MustParseAddr("168.63.129.16"):   true,
	netip.MustParseAddr("192.0.0.192"):     true,
}

// nat64 is the prefix in which an IPv6-only network reaches IPv4 addresses.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// privateNetworks are private besides what net/netip calls so: the networks of
// carriers, which clouds use for pods and overlays (RFC 6598), what IANA keeps
// for protocols (RFC 6890) and tests (RFC 2544), and a network's own NAT64
// (RFC 8215).
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
}

// plainAddress is the address that is dialled in the end.
func plainAddress(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return address
}

// forbidden is true for addresses that no registry has: they belong to the node
// or the cloud, and whoever asks them in the operator's name is given secrets.
func forbidden(address netip.Addr) bool {
	address = plainAddress(address)
	return address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() ||
		metadataAddresses[address]
}

// private is true for addresses that mean something within one network only.
func private(address netip.Addr) bool {
	address = plainAddress(address)
	for _, network := range privateNetworks {
		if network.Contains(address) {
			return true
		}
	}
	return address.IsPrivate() || address.IsLoopback()
}

// checkNear refuses the addresses that are never asked.
func checkNear(address netip.Addr) error {
	if forbidden(address) {
		return errLinkLocal
	}
	return nil
}

// checkAbroad refuses private addresses too.
func checkAbroad(address netip.Addr) error {
	if private(address) && !forbidden(address) {
		return errPrivate
	}
	return checkNear(address)
}

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
	idleTimeout = 90 * time.Second
	idlePerHost = 8
)

func defaultTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// checked dials addresses that pass the check only, whatever a name resolves to at
// that moment; given dials, or a dialer of our own where it is nil.
func checked(given dial, check func(netip.Addr) error) dial {
	if given == nil {
		dialer := net.Dialer{
			Timeout:   dialTimeout,
			KeepAlive: keepAlive,
			// Control sees the address itself, after the name was resolved: a name that
			// resolves to something else the second time gains nothing.
			Control: func(_, address string, _ syscall.RawConn) error { return checkDialled(address, check) },
		}
		return dialer.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := given(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := checkDialled(conn.RemoteAddr().String(), check); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

func checkDialled(address string, check func(netip.Addr) error) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil
	}
	return check(parsed.Addr())
}
