// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// metadataAddresses are addresses of cloud metadata services that are not
// link-local: of AWS over IPv6, of Alibaba Cloud, and Azure's wire server.
var metadataAddresses = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"):   true,
	netip.MustParseAddr("100.100.100.200"): true,
	netip.MustParseAddr("168.63.129.16"):   true,
}

// nat64 is the prefix in which an IPv6-only network reaches IPv4 addresses.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// forbidden is true for addresses that no registry has: they belong to the node
// or the cloud, and whoever asks them in the operator's name is given secrets.
func forbidden(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() ||
		metadataAddresses[address]
}

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
	idleTimeout = 90 * time.Second
	idlePerHost = 8
)

// guarded makes a transport that connects to no forbidden address, whatever a
// name resolves to at that moment. A transport that is not an *http.Transport is
// taken as it is.
func guarded(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		return defaultTransport()
	}
	given, ok := base.(*http.Transport)
	if !ok {
		return base
	}
	transport := given.Clone()
	if given.DialContext == nil {
		transport.DialContext = dialer().DialContext
		return transport
	}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := given.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if checkAddress(conn.RemoteAddr().String()) != nil {
			_ = conn.Close()
			return nil, errLinkLocal
		}
		return conn, nil
	}
	return transport
}

func defaultTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer().DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: keepAlive,
		// Control sees the address itself, after the name was resolved: a name that
		// resolves to something else the second time gains nothing.
		Control: func(_, address string, _ syscall.RawConn) error { return checkAddress(address) },
	}
}

func checkAddress(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err == nil && forbidden(parsed.Addr()) {
		return errLinkLocal
	}
	return nil
}
