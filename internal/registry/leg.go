// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxRedirects is how often a registry may send a request on. Two are common: to
// another registry, and from there to its storage.
const maxRedirects = 5

var (
	errScheme       = errors.New("plain HTTP is not allowed for this host")
	errSchemeAbroad = errors.New("it sends clients on to a host by plain HTTP, which the operator's configuration does not allow for that host")
	errSchemeTokens = errors.New("it sends clients for their tokens to a host by plain HTTP, and is itself spoken to by HTTPS")
	errSpelling     = errors.New("it sends clients on to an address that is not written as one")
	errRedirects    = errors.New("it sends clients on and on")
	errHandedOn     = errors.New("it sends clients on to another host together with their credentials")
)

// leg is the way of one request.
type leg struct {
	// home is true where it goes to the session's own registry.
	home bool
	// private is true where it may go to a private address.
	private bool
	// rule for the host that it goes to.
	rule HostRule
	next http.RoundTripper
}

// leg is the way of a request by the rules in force.
func (g *guard) leg(req *http.Request) leg {
	in := g.setup.Load()
	host := withPort(req.URL.Host, req.URL.Scheme)
	l := leg{home: host == withPort(g.home, req.URL.Scheme)}
	if l.home {
		host = g.home
	}
	l.rule = in.rules.For(host)
	l.private = l.home || in.rules.mayGoPrivate(g.home, host, g.dialled.Load())
	line := in.lines[string(l.rule.CABundle)]
	l.next = line.abroad
	// What a proxy connects to is the proxy's business, and its own address is often
	// a private one.
	if l.private || in.proxied(req) {
		l.next = line.near
	}
	return l
}

func (s *setup) proxied(req *http.Request) bool {
	proxy, err := s.proxy(req)
	return err == nil && proxy != nil
}

// withPort is a host with the port that is dialled, so that both spellings of a
// host are equal, and rules for either match. Docker Hub is the name in references.
func withPort(host, scheme string) string {
	host = registryOf(host)
	switch {
	case host == dockerHub, hostname(host) != host:
		return host
	case scheme == "http":
		return host + ":80"
	default:
		return host + ":443"
	}
}

// registryOf is a host as canonical references have it: Docker Hub alone is asked
// at other names.
func registryOf(host string) string {
	host = strings.ToLower(host)
	if slices.Contains(dockerHubNames, host) {
		return dockerHub
	}
	return host
}

// check decides over scheme and address by our own rules. The library tries plain
// HTTP by itself for private addresses and localhost, and tries HTTPS first for
// hosts that are named as plain; here the one is refused, and the other is spared.
func (l leg) check(req *http.Request) error {
	if err := l.checkAddress(req.URL.Hostname()); err != nil {
		return err
	}
	if hops := hops(req); hops > maxRedirects {
		return errRedirects
	} else if hops > 0 && !l.home && req.Body != nil && req.Body != http.NoBody {
		return errHandedOn // a token server's redirect would take the refresh token along
	}
	if req.URL.Scheme == "http" && !l.rule.PlainHTTP {
		if l.home {
			return errScheme
		}
		return errSchemeAbroad
	}
	if req.URL.Scheme == "https" && l.rule.PlainHTTP && req.URL.Path == pingPath {
		return errScheme
	}
	return nil
}

// checkAddress checks a host that is written as an address. A name is checked when
// it is dialled.
func (l leg) checkAddress(host string) error {
	address, err := netip.ParseAddr(host)
	if err != nil {
		if !l.home && endsInNumber(host) {
			return errSpelling
		}
		return nil
	}
	if l.private {
		return checkNear(address)
	}
	return checkAbroad(address)
}

// endsInNumber is true for the spellings of addresses that some resolvers take and
// others do not, such as 2130706433 and 0x7f.1; URL Standard, "ends in a number
// checker".
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	_, err := strconv.ParseUint(host[strings.LastIndexByte(host, '.')+1:], 0, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// hops counts the redirects before a request. The library takes any number.
func hops(req *http.Request) int {
	n := 0
	for n <= maxRedirects && req != nil && req.Response != nil {
		req = req.Response.Request
		n++
	}
	return n
}

// watched has a request to the registry itself tell whether it goes to a private
// address.
func (g *guard) watched(req *http.Request, l leg) *http.Request {
	if !l.home || g.dialled.Load() || g.setup.Load().proxied(req) {
		return req
	}
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if to, err := netip.ParseAddrPort(got.Conn.RemoteAddr().String()); err == nil && private(to.Addr()) {
			g.dialled.Store(true)
		}
	}}
	return req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
}

// refusals are the errors that say more than that a connection failed.
var refusals = []error{errLinkLocal, errPrivate}

// refusalOf finds a refusal in what a transport failed with; nil where it is none.
func refusalOf(err error) error {
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return refusal
		}
	}
	// net/http has no error of its own for it.
	if strings.Contains(err.Error(), "response headers exceeded") {
		return errHeaders
	}
	return nil
}
