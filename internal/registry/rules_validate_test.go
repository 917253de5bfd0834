// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/registry"
)

func host(rule registry.HostRule) registry.Rules {
	return registry.Rules{Hosts: []registry.HostRule{rule}}
}

func TestRulesAreValidated(t *testing.T) {
	authority := newAuthority(t).bundle
	key := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	broken := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	tests := map[string]struct {
		rules registry.Rules
		want  string // empty where they are valid
	}{
		"no rules": {},
		"all that can be said": {rules: registry.Rules{
			Allowed: []string{"quay.io", "ghcr.io/team", "*.corp.example", "10.0.0.1:5000", "[fd00::1]:5000/team/app", "docker.io"},
			Hosts: []registry.HostRule{
				{Host: "registry.corp.example:5000", PlainHTTP: true},
				{Host: "registry.corp.example", CABundle: slices.Concat(authority, authority)},
				{Host: "*.corp.example", RequestsPerSecond: 0.5, AnonymousRequestsPerSecond: 3},
				{Host: "docker.io", Mirrors: []string{"mirror.corp.example/hub", "mirror2.corp.example:5000"}},
			},
		}},
		"an allowed host that is empty":     {registry.Rules{Allowed: []string{""}}, "registries.allowed[0]: it is empty"},
		"an allowed host with a scheme":     {registry.Rules{Allowed: []string{"quay.io", "https://ghcr.io"}}, "registries.allowed[1]: \"https://ghcr.io\" has a scheme"},
		"an allowed image":                  {registry.Rules{Allowed: []string{"ghcr.io/team/app:1"}}, "without tag and digest"},
		"an allowed wildcard in the middle": {registry.Rules{Allowed: []string{"registry.*.example"}}, "write HOST, HOST:PORT or *.DOMAIN"},
		"an allowed wildcard for all":       {registry.Rules{Allowed: []string{"*"}}, "is no host"},
		"Docker Hub by its other name":      {registry.Rules{Allowed: []string{"index.docker.io"}}, "write docker.io"},
		"a rule without a host":             {host(registry.HostRule{PlainHTTP: true}), "registries.hosts[0].host: it is empty"},
		"a rule for a path":                 {host(registry.HostRule{Host: "ghcr.io/team"}), "has a scheme or a path"},
		"a rule for a host that is none":    {host(registry.HostRule{Host: "ghcr io"}), "is no host"},
		"two rules for a host": {
			registry.Rules{Hosts: []registry.HostRule{{Host: "ghcr.io"}, {Host: "GHCR.io"}}},
			"registries.hosts[1].host: \"GHCR.io\" is the host of hosts[0] too",
		},
		"a rule that is never looked at": {
			registry.Rules{Hosts: []registry.HostRule{{Host: "*.corp.example"}, {Host: "registry.corp.example"}}},
			"registries.hosts[1].host: \"registry.corp.example\" is never looked at, because \"*.corp.example\" of hosts[0] matches it: put it first",
		},
		"a bundle that is no PEM":    {host(registry.HostRule{Host: "a.example", CABundle: []byte("hello")}), "registries.hosts[0].caBundle: it holds no certificate in PEM"},
		"a bundle with a broken one": {host(registry.HostRule{Host: "a.example", CABundle: slices.Concat(authority, broken)}), "its certificate 2 cannot be read"},
		"a bundle with a key":        {host(registry.HostRule{Host: "a.example", CABundle: slices.Concat(authority, key)}), "keys above all"},
		"a bundle for plain HTTP":    {host(registry.HostRule{Host: "a.example", PlainHTTP: true, CABundle: authority}), "shows no certificate"},
		"a mirror with a scheme":     {host(registry.HostRule{Host: "docker.io", Mirrors: []string{"http://mirror"}}), "registries.hosts[0].mirrors[0]: \"http://mirror\" has a scheme"},
		"a mirror for a domain":      {host(registry.HostRule{Host: "docker.io", Mirrors: []string{"*.corp.example"}}), "write HOST or HOST:PORT"},
		"a mirror that is the host":  {host(registry.HostRule{Host: "a.example", Mirrors: []string{"A.example"}}), "is the host itself"},
		"a rate below nothing":       {host(registry.HostRule{Host: "a.example", RequestsPerSecond: -1}), "registries.hosts[0].requestsPerSecond: -1 is no rate"},
		"an anonymous rate that is no number": {
			host(registry.HostRule{Host: "a.example", AnonymousRequestsPerSecond: math.Inf(1)}),
			"registries.hosts[0].anonymousRequestsPerSecond: +Inf is no rate",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.rules.Validate()
			if tt.want == "" && err != nil {
				t.Errorf("error %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestWithPlainHTTP(t *testing.T) {
	rules := registry.Rules{Hosts: []registry.HostRule{
		{Host: "registry.corp.example:5000", RequestsPerSecond: 1},
		{Host: "quay.io"},
		{Host: "*.corp.example", RequestsPerSecond: 2, CABundle: newAuthority(t).bundle},
	}}
	got := rules.WithPlainHTTP("registry.corp.example", "10.0.0.1", "10.0.0.1:5000")
	want := []registry.HostRule{
		{Host: "10.0.0.1:5000", PlainHTTP: true},
		{Host: "10.0.0.1", PlainHTTP: true},
		{Host: "registry.corp.example:5000", RequestsPerSecond: 1, PlainHTTP: true},
		{Host: "registry.corp.example", RequestsPerSecond: 2, PlainHTTP: true},
		{Host: "quay.io"},
		rules.Hosts[2],
	}
	if diff := cmp.Diff(want, got.Hosts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if rules.Hosts[0].PlainHTTP {
		t.Error("the rules before are changed")
	}
}
