// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

var (
	// hostForm is a name or IPv4 address, or an IPv6 address in brackets, with or
	// without a port.
	hostForm = regexp.MustCompile(`^(?i:[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)
	// pathForm is the path of a repository, without tag and digest; distribution-spec,
	// "Pulling manifests".
	pathForm = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?$`)
)

// Validate is an error that names every entry that cannot be used, as a path in
// the configuration file, with what would be right.
func (r Rules) Validate() error {
	var wrong []error
	note := func(err error, format string, args ...any) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("registries."+format+": %w", append(args, err)...))
		}
	}
	for i, allowed := range r.Allowed {
		note(checkPlace(allowed, true), "allowed[%d]", i)
	}
	for i, rule := range r.Hosts {
		note(rule.checkHost(r.Hosts[:i]), "hosts[%d].host", i)
		note(rule.checkAuthorities(), "hosts[%d].caBundle", i)
		for j, mirror := range rule.Mirrors {
			note(rule.checkMirror(mirror), "hosts[%d].mirrors[%d]", i, j)
		}
		note(checkRate(rule.RequestsPerSecond), "hosts[%d].requestsPerSecond", i)
		note(checkRate(rule.AnonymousRequestsPerSecond), "hosts[%d].anonymousRequestsPerSecond", i)
	}
	return errors.Join(wrong...)
}

// checkPlace checks a host with or without a path.
func checkPlace(place string, wildcard bool) error {
	if strings.Contains(place, "://") {
		return fmt.Errorf("%q has a scheme: leave it out", place)
	}
	host, path, hasPath := strings.Cut(place, "/")
	if err := checkHostWord(host, wildcard); err != nil {
		return err
	}
	if hasPath && !pathForm.MatchString(path) {
		return fmt.Errorf("%q does not end in the path of repositories: write HOST/PATH, without tag and digest", place)
	}
	return nil
}

func checkHostWord(host string, wildcard bool) error {
	bare := host
	if domain, ok := strings.CutPrefix(host, "*."); ok && wildcard {
		bare = domain
	}
	switch {
	case host == "":
		return errors.New("it is empty: name a host")
	case !hostForm.MatchString(bare) && wildcard:
		return fmt.Errorf("%q is no host: write HOST, HOST:PORT or *.DOMAIN", host)
	case !hostForm.MatchString(bare):
		return fmt.Errorf("%q is no host: write HOST or HOST:PORT", host)
	case registryOf(host) == dockerHub && host != dockerHub:
		return fmt.Errorf("%q is Docker Hub: write %s, as references do", host, dockerHub)
	}
	return nil
}

// checkHost checks the host, also against the rules before.
func (h HostRule) checkHost(before []HostRule) error {
	if strings.Contains(h.Host, "/") {
		return fmt.Errorf("%q has a scheme or a path: write HOST, HOST:PORT or *.DOMAIN", h.Host)
	}
	if err := checkHostWord(h.Host, true); err != nil {
		return err
	}
	for i, other := range before {
		switch {
		case strings.EqualFold(other.Host, h.Host):
			return fmt.Errorf("%q is the host of hosts[%d] too: make one entry of both", h.Host, i)
		case matchesHost(other.Host, h.Host):
			return fmt.Errorf("%q is never looked at, because %q of hosts[%d] matches it: put it first", h.Host, other.Host, i)
		}
	}
	return nil
}

func (h HostRule) checkAuthorities() error {
	if len(h.CABundle) == 0 {
		return nil
	}
	if h.PlainHTTP {
		return errors.New("a host that is spoken to by plain HTTP shows no certificate: leave out this or plainHTTP")
	}
	_, err := authorities(h.CABundle)
	return err
}

// authorities reads the certificates of a bundle.
func authorities(bundle []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds something that is no certificate: leave that out, keys above all")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("its certificate %d cannot be read: copy it again", len(found)+1)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, errors.New("it holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----")
	}
	return found, nil
}

func (h HostRule) checkMirror(mirror string) error {
	if err := checkPlace(mirror, false); err != nil {
		return err
	}
	if strings.EqualFold(mirror, h.Host) {
		return fmt.Errorf("%q is the host itself: leave it out", mirror)
	}
	return nil
}

func checkRate(rate float64) error {
	if rate < 0 || math.IsInf(rate, 0) || math.IsNaN(rate) {
		return fmt.Errorf("%v is no rate: write a number above 0, or leave it out for the default", rate)
	}
	return nil
}
