// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/registry"
)

type answer = func(*liar, http.ResponseWriter, *http.Request)

const (
	saysPrivate   = "it sends clients on to a private address, which only a private registry may do; an administrator can call it private"
	saysLinkLocal = "link-local and metadata addresses are never asked"
	saysSpelling  = "it sends clients on to an address that is not written as one"
)

// TestSentOnRefused: where a registry sends clients, they do not go.
func TestSentOnRefused(t *testing.T) {
	tests := map[string]struct {
		rules registry.Rules
		serve answer
		// there serves elsewhere.
		there    answer
		want     string
		wantHere int32
		// wantThere is the number of requests elsewhere.
		wantThere int32
	}{
		"a realm at a private address":            {rules: asPublic(), serve: challenge("http://ELSEWHERE/token"), want: saysPrivate, wantHere: 1},
		"a realm at another private address":      {rules: asPublic(), serve: challenge("http://10.1.2.3/token"), want: saysPrivate, wantHere: 1},
		"a realm at a private address in IPv6":    {rules: asPublic(), serve: challenge("http://[fd00::5]:8080/token"), want: saysPrivate, wantHere: 1},
		"a realm mapped into IPv6":                {rules: asPublic(), serve: challenge("http://[::ffff:10.1.2.3]/token"), want: saysPrivate, wantHere: 1},
		"a realm translated into IPv6":            {rules: asPublic(), serve: challenge("http://[64:ff9b::a01:203]/token"), want: saysPrivate, wantHere: 1},
		"a realm whose name leads there":          {rules: asPublic(), serve: challenge("http://elsewhere.corp.example/token"), want: saysPrivate, wantHere: 1},
		"a realm in decimal":                      {rules: asPublic(), serve: challenge("http://2130706433/token"), want: saysSpelling, wantHere: 1},
		"a realm in hexadecimal":                  {rules: asPublic(), serve: challenge("http://0x7f000001/token"), want: saysSpelling, wantHere: 1},
		"a realm by our word for an address":      {rules: asPublic(), serve: challenge("http://10.1.2.3.address.alt/token"), want: saysPrivate, wantHere: 1},
		"a link-local realm":                      {rules: asPrivate(), serve: challenge("http://169.254.169.254/token"), want: saysLinkLocal, wantHere: 1},
		"a link-local realm mapped into IPv6":     {rules: asPrivate(), serve: challenge("http://[::ffff:169.254.169.254]/token"), want: saysLinkLocal, wantHere: 1},
		"a link-local realm in IPv6":              {rules: asPrivate(), serve: challenge("http://[fe80::1%25eth0]/token"), want: saysLinkLocal, wantHere: 1},
		"a link-local realm in decimal":           {rules: asPrivate(), serve: challenge("http://2852039166/token"), want: saysSpelling, wantHere: 1},
		"a link-local realm behind a name":        {rules: asPrivate(), serve: challenge("http://metadata.corp.example/token"), want: saysLinkLocal, wantHere: 1},
		"a link-local realm on the allow-list":    {rules: registry.Rules{Allowed: []string{liarHost, "169.254.169.254"}}, serve: challenge("http://169.254.169.254/token"), want: saysLinkLocal, wantHere: 1},
		"a redirect to a private address":         {rules: asPublic(), serve: redirect("http://ELSEWHERE/x"), want: saysPrivate, wantHere: 2},
		"a redirect whose name leads there":       {rules: asPublic(), serve: redirect("http://elsewhere.corp.example/x"), want: saysPrivate, wantHere: 2},
		"a redirect in decimal":                   {rules: asPublic(), serve: redirect("http://2130706433/x"), want: saysSpelling, wantHere: 2},
		"a link-local redirect":                   {rules: asPrivate(), serve: redirect("http://169.254.169.254/latest/meta-data/"), want: saysLinkLocal, wantHere: 2},
		"a link-local redirect behind a name":     {rules: asPrivate(), serve: redirect("http://metadata.corp.example/latest/meta-data/"), want: saysLinkLocal, wantHere: 2},
		"a redirect to another scheme":            {rules: asPrivate(), serve: redirect("http://plain.example/x"), want: "it sends clients on to a host by plain HTTP", wantHere: 2},
		"a redirect to the same":                  {rules: asPublic(), serve: redirect("/v2/team/app/manifests/stable"), want: "it sends clients on and on", wantHere: 7},
		"a redirect there and back":               {rules: asPrivate(), serve: redirect("http://ELSEWHERE/x"), there: redirect("http://" + liarHost + "/v2/x"), want: "it sends clients on and on", wantHere: 4, wantThere: 3},
		"a realm that redirects to a private one": {rules: registry.Rules{Allowed: []string{liarHost, "127.0.0.1"}, Hosts: asPublic().Hosts}, serve: challenge("http://ELSEWHERE/token"), there: redirect("http://10.1.2.3/token"), want: saysPrivate, wantHere: 1, wantThere: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, tt.serve, tt.there)
			begun := time.Now()
			_, err := l.client(tt.rules, time.Minute).Head(t.Context(), l.reference(), keychain(t, liarHost, "me", "word"))
			l.answered(t, err, registry.Invalid, tt.want)
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if here, there := l.requests.Load(), l.away.Load(); here != tt.wantHere || there != tt.wantThere {
				t.Errorf("%d requests, and %d elsewhere; want %d and %d", here, there, tt.wantHere, tt.wantThere)
			}
		})
	}
}

// TestSentOnFollowed: the organisation's own registry may send clients within its
// network, and a target that an administrator named is asked.
func TestSentOnFollowed(t *testing.T) {
	named := func(hosts ...string) registry.Rules {
		return registry.Rules{Allowed: append(hosts, liarHost), Hosts: asPublic().Hosts}
	}
	tests := map[string]struct {
		rules registry.Rules
		serve answer
		there answer
		// wantSeen elsewhere: method, host and credentials.
		wantSeen string
	}{
		"a realm of a private registry":                  {asPrivate(), challenge("http://ELSEWHERE/token"), givesToken, "GET ELSEWHERE Basic bWU6d29yZA=="},
		"a realm at an address of a private registry":    {asPrivate(), challenge("http://10.1.2.3/token"), givesToken, "GET 10.1.2.3 Basic bWU6d29yZA=="},
		"a realm in IPv6 of a private registry":          {asPrivate(), challenge("http://[fd00::5]:8080/token"), givesToken, "GET [fd00::5]:8080 Basic bWU6d29yZA=="},
		"a realm by name of a private registry":          {asPrivate(), challenge("http://elsewhere.corp.example/token"), givesToken, "GET elsewhere.corp.example Basic bWU6d29yZA=="},
		"a realm of a registry at a private address":     {registry.Rules{}, challenge("http://10.1.2.3/token"), givesToken, "GET 10.1.2.3 Basic bWU6d29yZA=="},
		"a realm that is on the allow-list":              {named("10.1.2.3"), challenge("http://10.1.2.3/token"), givesToken, "GET 10.1.2.3 Basic bWU6d29yZA=="},
		"a redirect of a private registry":               {asPrivate(), redirect("http://ELSEWHERE/x"), showsDigest, "HEAD ELSEWHERE "},
		"a redirect to an address of a private registry": {asPrivate(), redirect("http://10.1.2.3/x"), showsDigest, "HEAD 10.1.2.3 "},
		"a redirect in IPv6 of a private registry":       {asPrivate(), redirect("http://[fd00::5]:8080/x"), showsDigest, "HEAD [fd00::5]:8080 "},
		"a redirect of a registry at a private address":  {registry.Rules{}, redirect("http://elsewhere.corp.example/x"), showsDigest, "HEAD elsewhere.corp.example "},
		"a redirect to a name that is on the allow-list": {named("elsewhere.corp.example"), redirect("http://elsewhere.corp.example/x"), showsDigest, "HEAD elsewhere.corp.example "},
		"a redirect to an address that is on the list":   {named("10.1.2.3"), redirect("http://10.1.2.3/x"), showsDigest, "HEAD 10.1.2.3 "},
		"a redirect to a path of the allow-list's":       {named("10.1.2.3/team"), redirect("http://10.1.2.3/x"), showsDigest, "HEAD 10.1.2.3 "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, tt.serve, tt.there)
			got, err := l.client(tt.rules, time.Minute).Head(t.Context(), l.reference(), keychain(t, liarHost, "me", "word"))
			if err != nil || got != aDigest {
				t.Errorf("Head = %s, %v", got, err)
			}
			want := []string{strings.ReplaceAll(tt.wantSeen, "ELSEWHERE", l.elsewhere)}
			if diff := cmp.Diff(want, l.seen); diff != "" {
				t.Errorf("seen elsewhere (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRedirectedTokenRequest: neither password nor refresh token go where a token
// server sends them.
func TestRedirectedTokenRequest(t *testing.T) {
	l := newLiar(t, func(l *liar, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.Method == http.MethodGet && l.requests.Load() < 4:
			_, _ = w.Write([]byte(`{"token":"old","refresh_token":"secret"}`))
		case r.URL.Path == "/token":
			http.Redirect(w, r, "http://"+l.elsewhere+"/token", http.StatusTemporaryRedirect)
		default:
			challenge("http://"+liarHost+"/token")(l, w, r)
		}
	}, givesToken)
	_, err := l.client(asPrivate(), time.Minute).Head(t.Context(), l.reference(), keychain(t, liarHost, "me", "word"))
	l.answered(t, err, registry.Invalid, "it sends clients on to another host together with their credentials")
	if len(l.seen) > 0 {
		t.Errorf("elsewhere saw %v", l.seen)
	}
	redirected := newLiar(t, func(l *liar, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			http.Redirect(w, r, "http://"+l.elsewhere+"/token", http.StatusTemporaryRedirect)
			return
		}
		challenge("http://"+liarHost+"/token")(l, w, r)
	}, givesToken)
	if _, err := redirected.client(asPrivate(), time.Minute).Head(t.Context(), redirected.reference(), keychain(t, liarHost, "me", "word")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"GET " + redirected.elsewhere + " "}, redirected.seen); diff != "" {
		t.Errorf("seen elsewhere (-want +got):\n%s", diff)
	}
}

// TestThroughAProxy: its own address is a private one, and no reason to refuse.
func TestThroughAProxy(t *testing.T) {
	tests := map[string]struct {
		realm string
		want  string // empty where the token is fetched
	}{
		"a realm by name":              {realm: "http://tokens.corp.example/token"},
		"a realm at a private address": {realm: "http://10.9.9.9/token", want: saysPrivate},
		"a link-local realm":           {realm: "http://169.254.169.254/token", want: saysLinkLocal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, func(l *liar, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					givesToken(l, w, r)
					return
				}
				challenge(tt.realm)(l, w, r)
			}, nil)
			proxy := &http.Transport{Proxy: http.ProxyURL(mustParse(t, "http://"+l.names[liarHost+":80"]))}
			rules := asPublic().WithPlainHTTP(liarHost, "tokens.corp.example", "10.9.9.9")
			client := registry.NewClient(registry.Options{Rules: rules, Timeout: time.Minute, Transport: proxy})
			got, err := client.Head(t.Context(), l.reference(), anonymous)
			if tt.want != "" {
				l.answered(t, err, registry.Invalid, tt.want)
			} else if err != nil || got != aDigest {
				t.Errorf("Head = %s, %v", got, err)
			}
		})
	}
}

// TestKeptConnectionIsNoWayIn: a private registry is asked, and then a public one
// sends clients there.
func TestKeptConnectionIsNoWayIn(t *testing.T) {
	l := newLiar(t, redirect("http://elsewhere.corp.example/v2/x"), func(l *liar, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			showsDigest(l, w, r)
		}
	})
	client := l.client(asPublic(), time.Minute)
	there := l.reference()
	there.Repository = "elsewhere.corp.example/team/app"
	for range 2 {
		if _, err := client.Head(t.Context(), there, anonymous); err != nil {
			t.Fatal(err)
		}
		asked := l.away.Load()
		_, err := client.Head(t.Context(), l.reference(), anonymous)
		l.answered(t, err, registry.Invalid, saysPrivate)
		if l.away.Load() != asked {
			t.Error("a kept connection was used")
		}
	}
}
