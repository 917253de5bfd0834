// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// maxHeaders is the most that is read of an answer's headers, in bytes: far more
// than any registry sends.
const maxHeaders = 256 << 10

// setup is the rules in force, with the connections that follow them.
type setup struct {
	rules Rules
	// lines are the connections by the bundle of certificate authorities that they
	// trust besides the system's; that of "" is always there.
	lines map[string]line
	// proxy of a request, nil for none.
	proxy func(*http.Request) (*url.URL, error)
}

// line is two sets of connections, which share none: no connection that was made
// to a private registry serves somebody whom a public one sends there.
type line struct {
	// near goes to registries.
	near http.RoundTripper
	// abroad goes to where a registry sends clients on: to no private address.
	abroad http.RoundTripper
}

// Configure puts rules into force, for all questions that begin afterwards and for
// the requests still to come of those that have begun. Registries whose rules have
// changed are spoken to anew, and all others go on. Rules that are not valid are
// refused as a whole; see Rules.Validate.
func (c *Client) Configure(rules Rules) error {
	if err := rules.Validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.setup.Load()
	after := newSetup(c.base, rules, before.lines)
	c.setup.Store(after)
	c.sessions.dropIf(func(key sessionKey) bool {
		return spokenToOtherwise(before.rules, after.rules, reference.Reference{Repository: key.repository}.Host())
	})
	for bundle, old := range before.lines {
		if _, kept := after.lines[bundle]; !kept {
			old.close()
		}
	}
	return nil
}

// Rules are those in force.
func (c *Client) Rules() Rules { return c.setup.Load().rules }

// allowed is an error where a question's registry may not be asked. It is for the
// reference that a user names: where an administrator has it mirrored, that is
// allowed with it.
func (c *Client) allowed(q question) error {
	if q.ref.IsZero() || c.Rules().Allows(q.named()) {
		return nil
	}
	return &Error{Class: Invalid, Host: q.host(), Op: q.op, cause: "the operator's configuration does not allow this registry; " +
		"an administrator can add it to registries.allowed"}
}

// spokenToOtherwise is whether sessions with a host end with a change of rules.
func spokenToOtherwise(before, after Rules, host string) bool {
	was, is := before.For(host), after.For(host)
	return was.PlainHTTP != is.PlainHTTP || *was.Private != *is.Private || !bytes.Equal(was.CABundle, is.CABundle)
}

// newSetup takes over what it can of the connections before.
func newSetup(base http.RoundTripper, rules Rules, before map[string]line) *setup {
	s := &setup{
		rules: Rules{Allowed: slices.Clone(rules.Allowed), Hosts: slices.Clone(rules.Hosts)},
		lines: map[string]line{},
		proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	if transport, ok := base.(*http.Transport); ok && transport.Proxy != nil {
		s.proxy = transport.Proxy
	}
	for _, rule := range append([]HostRule{{}}, rules.Hosts...) {
		bundle := string(rule.CABundle)
		if kept, ok := before[bundle]; ok {
			s.lines[bundle] = kept
		} else if _, made := s.lines[bundle]; !made {
			s.lines[bundle] = newLine(base, rule.CABundle)
		}
	}
	return s
}

// newLine makes the connections that trust a bundle. A transport that is no
// *http.Transport is taken as it is.
func newLine(base http.RoundTripper, bundle []byte) line {
	given, ok := base.(*http.Transport)
	if !ok {
		return line{near: base, abroad: base}
	}
	through := func(check func(netip.Addr) error) *http.Transport {
		transport := given.Clone()
		transport.DialContext = checked(given.DialContext, check)
		transport.DialTLSContext = nil // it would pass the check by
		transport.MaxResponseHeaderBytes = maxHeaders
		if len(bundle) > 0 {
			transport.TLSClientConfig = trusting(given.TLSClientConfig, bundle)
		}
		return transport
	}
	return line{near: through(checkNear), abroad: through(checkAbroad)}
}

// trusting is a TLS configuration that trusts the certificates of a bundle too.
func trusting(given *tls.Config, bundle []byte) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if given != nil {
		config = given.Clone()
	}
	pool := x509.NewCertPool()
	if config.RootCAs != nil {
		pool = config.RootCAs.Clone()
	} else if system, err := x509.SystemCertPool(); err == nil {
		pool = system
	}
	pool.AppendCertsFromPEM(bundle)
	config.RootCAs = pool
	return config
}

// close ends the connections that nobody uses.
func (l line) close() {
	for _, side := range []http.RoundTripper{l.near, l.abroad} {
		if transport, ok := side.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
	}
}
