// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Rules are what an administrator says of registries. They belong to the
// operator's configuration: no lineage can change them. The zero value allows
// every registry, over HTTPS, at the default rates.
type Rules struct {
	// Allowed are the only registries that are asked: a host, with its port where
	// it has one, or a host with a path that repositories have to begin with, or
	// *.DOMAIN for every host below a domain. None allows all.
	Allowed []string
	// Hosts are the rules for single hosts; the first that matches counts.
	Hosts []HostRule
}

// HostRule says how one host is spoken to.
type HostRule struct {
	// Host is a host with its port, a host without one for all of its ports, or
	// *.DOMAIN for every host below a domain.
	Host string
	// PlainHTTP has the host spoken to without TLS.
	PlainHTTP bool
	// CABundle holds certificate authorities in PEM that are trusted for the host
	// besides the system's.
	CABundle []byte
	// Mirrors are asked before the host, in their order: a host, with a path that
	// is put before the repository where the mirror wants one. Their own rules say
	// how they are spoken to, and at which rate they are asked for what they answer.
	Mirrors []string
	// Private is whether the host belongs to the organisation: it may then send
	// clients on to private addresses, and has the higher rate. By default that
	// holds for names that no public registry has; see IsPrivate.
	Private *bool
	// RequestsPerSecond is the rate at which the host is asked at most; 0 is the
	// default: 100 for private hosts, 10 for all others.
	RequestsPerSecond float64
	// AnonymousRequestsPerSecond is that rate without credentials; 0 is the same
	// rate, and 1 for Docker Hub, which limits anonymous clients by their address.
	AnonymousRequestsPerSecond float64
}

// The default rates, in requests a second. Each is well below what the registries
// that publish a limit allow; see docs/registries.md.
const (
	privateRate      = 100
	publicRate       = 10
	dockerHubUnknown = 1
)

// dockerHub is the host in canonical references.
const dockerHub = "docker.io"

// For is the rule for a host, with the defaults in place of what it does not say.
func (r Rules) For(host string) HostRule {
	rule := r.match(host)
	rule.Host = host
	if rule.Private == nil {
		private := IsPrivate(host)
		rule.Private = &private
	}
	if rule.RequestsPerSecond == 0 {
		rule.RequestsPerSecond = publicRate
		if *rule.Private {
			rule.RequestsPerSecond = privateRate
		}
	}
	if rule.AnonymousRequestsPerSecond == 0 {
		rule.AnonymousRequestsPerSecond = rule.RequestsPerSecond
		if host == dockerHub {
			rule.AnonymousRequestsPerSecond = min(dockerHubUnknown, rule.RequestsPerSecond)
		}
	}
	return rule
}

// match is the first rule for a host, as it was written; the zero value where
// there is none.
func (r Rules) match(host string) HostRule {
	for _, rule := range r.Hosts {
		if matchesHost(rule.Host, host) {
			return rule
		}
	}
	return HostRule{}
}

// WithPlainHTTP are the rules with plain HTTP for more hosts, which otherwise are
// spoken to as before.
func (r Rules) WithPlainHTTP(hosts ...string) Rules {
	for _, host := range hosts {
		rule := r.match(host)
		rule.Host, rule.PlainHTTP, rule.CABundle = host, true, nil
		// A rule for one of the host's ports has to stay before that for all of them.
		var narrower, others []HostRule
		for _, other := range r.Hosts {
			switch {
			case strings.EqualFold(other.Host, host):
			case matchesHost(host, other.Host):
				other.PlainHTTP, other.CABundle = true, nil
				narrower = append(narrower, other)
			default:
				others = append(others, other)
			}
		}
		r.Hosts = slices.Concat(narrower, []HostRule{rule}, others)
	}
	return r
}

// Allows is whether a reference's registry may be asked.
func (r Rules) Allows(ref reference.Reference) bool {
	if len(r.Allowed) == 0 {
		return true
	}
	for _, allowed := range r.Allowed {
		host, prefix, _ := strings.Cut(allowed, "/")
		if matchesHost(host, ref.Host()) && (prefix == "" || beginsWith(path(ref), prefix)) {
			return true
		}
	}
	return false
}

// names is whether the allow-list names a host, for all or some of its
// repositories.
func (r Rules) names(host string) bool {
	return slices.ContainsFunc(r.Allowed, func(allowed string) bool {
		word, _, _ := strings.Cut(allowed, "/")
		return matchesHost(word, host)
	})
}

// mayGoPrivate is whether clients may be sent on to a private address at a target
// by the registry at home, which was found at a private address itself or not.
func (r Rules) mayGoPrivate(home, target string, dialled bool) bool {
	if r.names(target) {
		return true
	}
	if private := r.match(home).Private; private != nil {
		return *private
	}
	return dialled || IsPrivate(home)
}

// beginsWith compares whole elements of a path: team is no prefix of teammates.
func beginsWith(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// matchesHost is whether a host is meant by a rule's word for hosts.
func matchesHost(rule, host string) bool {
	rule, host = strings.ToLower(rule), strings.ToLower(host)
	if rule == host {
		return true
	}
	bare := hostname(host)
	if domain, ok := strings.CutPrefix(rule, "*."); ok {
		return strings.HasSuffix(bare, "."+domain) || strings.HasSuffix(host, "."+domain)
	}
	return rule == bare
}

// hostname is a host without its port.
func hostname(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return host[:colon]
	}
	return host
}

// privateDomains end the names that no public registry has: of a cluster's
// Services, and those that RFC 6762 and ICANN keep for private networks.
var privateDomains = []string{".svc", ".local", ".internal", ".localhost"}

// IsPrivate is whether a host is certainly not a public one: an address of a
// private network, a name without a dot, or one below a domain for such names.
func IsPrivate(host string) bool {
	bare := strings.Trim(hostname(host), "[]")
	if address, err := netip.ParseAddr(bare); err == nil {
		return private(address)
	}
	for _, domain := range privateDomains {
		if strings.HasSuffix(bare, domain) {
			return true
		}
	}
	return !strings.Contains(bare, ".")
}
