// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"testing"

	"github.com/imagelineage/imagelineage/internal/reference"
)

func TestRulesForAHost(t *testing.T) {
	yes, no := true, false
	rules := Rules{Hosts: []HostRule{
		{Host: "registry.corp.example:5000", PlainHTTP: true},
		{Host: "registry.corp.example", RequestsPerSecond: 5},
		{Host: "*.lab.example", Private: &yes},
		{Host: "cache.internal", Private: &no},
		{Host: "ghcr.io", AnonymousRequestsPerSecond: 2},
	}}
	tests := map[string]struct {
		host          string
		wantPlain     bool
		wantPrivate   bool
		wantRate      float64
		wantAnonymous float64
	}{
		"a public host has the public rate":                  {host: "quay.io", wantRate: 10, wantAnonymous: 10},
		"Docker Hub has a rate of its own for the anonymous": {host: "docker.io", wantRate: 10, wantAnonymous: 1},
		"a rule with a port is for that port":                {host: "registry.corp.example:5000", wantPlain: true, wantRate: 10, wantAnonymous: 10},
		"a rule without a port is for all ports":             {host: "registry.corp.example:443", wantRate: 5, wantAnonymous: 5},
		"a rule for a domain is for all below it":            {host: "a.b.lab.example:8443", wantPrivate: true, wantRate: 100, wantAnonymous: 100},
		"a rule for a domain is not for the domain itself":   {host: "lab.example", wantRate: 10, wantAnonymous: 10},
		"a rule may say that a host is public":               {host: "cache.internal", wantRate: 10, wantAnonymous: 10},
		"a rule may say the anonymous rate alone":            {host: "ghcr.io", wantRate: 10, wantAnonymous: 2},
		"an address of a private network is private":         {host: "10.1.2.3:5000", wantPrivate: true, wantRate: 100, wantAnonymous: 100},
		"a Service of the cluster is private":                {host: "registry.tools.svc:5000", wantPrivate: true, wantRate: 100, wantAnonymous: 100},
		"a name without a dot is private":                    {host: "localhost:5000", wantPrivate: true, wantRate: 100, wantAnonymous: 100},
		"an IPv6 address is read without its brackets":       {host: "[fd00::1]:5000", wantPrivate: true, wantRate: 100, wantAnonymous: 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := rules.For(tt.host)
			if got.PlainHTTP != tt.wantPlain || *got.Private != tt.wantPrivate ||
				got.RequestsPerSecond != tt.wantRate || got.AnonymousRequestsPerSecond != tt.wantAnonymous {
				t.Errorf("got plain %t, private %t, rates %v and %v", got.PlainHTTP, *got.Private, got.RequestsPerSecond, got.AnonymousRequestsPerSecond)
			}
		})
	}
}

func TestRulesAllow(t *testing.T) {
	tests := map[string]struct {
		allowed []string
		image   string
		want    bool
	}{
		"without a list all are allowed":     {image: "docker.io/library/debian:12", want: true},
		"a host allows its repositories":     {allowed: []string{"quay.io", "docker.io"}, image: "debian:12", want: true},
		"a host that is not named is not":    {allowed: []string{"quay.io"}, image: "debian:12"},
		"a path allows what is below it":     {allowed: []string{"ghcr.io/team"}, image: "ghcr.io/team/app:1", want: true},
		"a path allows nothing beside it":    {allowed: []string{"ghcr.io/team"}, image: "ghcr.io/teammates/app:1"},
		"a domain allows the hosts below it": {allowed: []string{"*.corp.example"}, image: "registry.corp.example:5000/app:1", want: true},
		"a longer name is another host":      {allowed: []string{"quay.io"}, image: "quay.io.evil.example/app:1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref, err := reference.ParseTag(tt.image)
			if err != nil {
				t.Fatal(err)
			}
			if got := (Rules{Allowed: tt.allowed}).Allows(ref); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
