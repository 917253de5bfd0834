// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// config is a Docker configuration: each address has the user of the same place, whose
// password is its name.
func config(addressesAndUsers ...string) string {
	var auths []string
	for i := 0; i < len(addressesAndUsers); i += 2 {
		user := addressesAndUsers[i+1]
		auths = append(auths, fmt.Sprintf(`%q: {"username": %q, "password": %q}`, addressesAndUsers[i], user, user))
	}
	return `{"auths": {` + strings.Join(auths, ", ") + `}}`
}

func keychainOf(t *testing.T, configs ...string) Keychain {
	t.Helper()
	var entries []entry
	for _, raw := range configs {
		found, err := parseDockerConfig(corev1.SecretTypeDockerConfigJson, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, found...)
	}
	return newKeychain(entries)
}

// TestCandidates has the kubelet's rules, pkg/credentialprovider/keyring.go.
func TestCandidates(t *testing.T) {
	many, most := []string{}, []string{}
	for i := range 20 {
		user := fmt.Sprintf("u%02d", i)
		many = append(many, config("registry.example.com", user))
		if i < maxCandidates {
			most = append(most, user)
		}
	}
	tests := map[string]struct {
		configs []string
		image   string
		want    []string
	}{
		"another host": {configs: []string{config("other.example.com", "a")}},
		"its host":     {configs: []string{config("registry.example.com", "a")}, want: []string{"a"}},
		"its host, with a scheme": {
			configs: []string{config("https://registry.example.com", "a", "http://registry.example.com/", "b")}, want: []string{"a", "b"},
		},
		"its host, in capitals":   {configs: []string{config("Registry.Example.COM", "a")}, want: []string{"a"}},
		"the API's address":       {configs: []string{config("https://registry.example.com/v2/", "a")}, want: []string{"a"}},
		"the old API's address":   {configs: []string{config("registry.example.com/v1", "a")}, want: []string{"a"}},
		"a path behind the API's": {configs: []string{config("registry.example.com/v2/team", "a", "registry.example.com/v2/other", "b")}, want: []string{"a"}},
		"a path begins the repository's": {
			configs: []string{config("registry.example.com/team", "a", "registry.example.com/other", "b")}, want: []string{"a"},
		},
		"a path that is longer than the repository's": {configs: []string{config("registry.example.com/team/app/part", "a")}},
		"a path need not end with an element, as for the kubelet": {
			configs: []string{config("registry.example.com/te", "a")}, want: []string{"a"},
		},
		"the longest path first, across Secrets": {
			configs: []string{
				config("registry.example.com", "host"), config("registry.example.com/team", "team"),
				config("registry.example.com/team/app", "app"),
			},
			want: []string{"app", "team", "host"},
		},
		"of the same address the first Secret": {
			configs: []string{config("registry.example.com", "b"), config("https://registry.example.com/v1/", "a")}, want: []string{"b", "a"},
		},
		"the same credential once": {
			configs: []string{config("registry.example.com/team", "a"), config("registry.example.com", "a")}, want: []string{"a"},
		},
		"no more than sixteen": {configs: many, want: most},
		"a pattern, after its host": {
			configs: []string{config("*.example.com", "glob"), config("registry.example.com", "host")}, want: []string{"host", "glob"},
		},
		"a pattern for a part":         {configs: []string{config("reg*.exam?le.com", "a")}, want: []string{"a"}},
		"a pattern is for one part":    {configs: []string{config("*.com", "a")}},
		"a pattern is for no port":     {configs: []string{config("registry.example.com:*", "a")}},
		"a pattern with a path":        {configs: []string{config("*.example.com/team", "a", "*.example.com/other", "b")}, want: []string{"a"}},
		"a pattern that is none":       {configs: []string{config("[.example.com", "a")}},
		"another port":                 {configs: []string{config("registry.example.com:5000", "a")}},
		"its port":                     {configs: []string{config("registry.example.com:5000", "a")}, image: "registry.example.com:5000/team/app:1", want: []string{"a"}},
		"its port is missing":          {configs: []string{config("registry.example.com", "a")}, image: "registry.example.com:5000/team/app:1"},
		"a pattern with its port":      {configs: []string{config("*.example.com:5000", "a")}, image: "registry.example.com:5000/team/app:1", want: []string{"a"}},
		"an address of version 6":      {configs: []string{config("[::1]:5000", "a")}, image: "[::1]:5000/team/app:1", want: []string{"a"}},
		"Docker Hub, by docker login":  {configs: []string{config("https://index.docker.io/v1/", "a")}, image: "debian:12", want: []string{"a"}},
		"Docker Hub, by its name":      {configs: []string{config("docker.io", "a")}, image: "debian:12", want: []string{"a"}},
		"Docker Hub, where it answers": {configs: []string{config("registry-1.docker.io", "a")}, image: "debian:12", want: []string{"a"}},
		"Docker Hub, by a pattern":     {configs: []string{config("*.docker.io", "a")}, image: "debian:12", want: []string{"a"}},
		"Docker Hub, a path first": {
			configs: []string{config("https://index.docker.io/v1/", "host", "docker.io/library", "path")}, image: "debian:12", want: []string{"path", "host"},
		},
		"an entry without a credential": {configs: []string{`{"auths": {"registry.example.com": {}, "registry.example.com/team": null}}`}},
		"other parts of the file":       {configs: []string{`{"credsStore": "desktop", "auths": null}`}},
		"a user's name may be missing": {
			configs: []string{`{"auths": {"registry.example.com": {"identitytoken": "t"}}}`}, want: []string{""},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.image == "" {
				tt.image = "registry.example.com/team/app:stable"
			}
			repository, tag := tt.image[:strings.LastIndexByte(tt.image, ':')], tt.image[strings.LastIndexByte(tt.image, ':')+1:]
			if repository == "debian" {
				repository = "docker.io/library/debian"
			}
			var got []string
			for _, c := range keychainOf(t, tt.configs...).candidates(reference.Reference{Repository: repository, Tag: tag}) {
				got = append(got, c.username)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOlderForm(t *testing.T) {
	entries, err := parseDockerConfig(corev1.SecretTypeDockercfg, []byte(`{"registry.example.com": {"auth": "bWU6d29yZA==", "email": "me@example.com"}}`))
	if err != nil || len(entries) != 1 || entries[0].username != "me" || entries[0].password != "word" {
		t.Errorf("entries %+v, %v", entries, err)
	}
}

// TestNarrow: who may share answers.
func TestNarrow(t *testing.T) {
	const host, mirror = "registry.example.com", "mirror.example.com"
	rules := Rules{Hosts: []HostRule{{Host: host, Mirrors: []string{mirror + "/cache"}}}}
	one := []string{config(host, "a"), config(host, "b")}
	tests := map[string]struct {
		other []string
		rules Rules
		want  bool
	}{
		"the same":                           {other: one, want: true},
		"the same in one Secret":             {other: []string{config(host, "b", host+"/", "a")}, want: true},
		"the same under other addresses":     {other: []string{config(host+"/team", "a"), config("*.example.com", "b")}, want: true},
		"with others for another registry":   {other: append([]string{config("elsewhere.example", "x")}, one...), want: true},
		"in another order":                   {other: []string{config(host, "b"), config(host, "a")}},
		"the first only":                     {other: one[:1]},
		"none":                               {},
		"another password":                   {other: []string{config(host, "a"), `{"auths":{"registry.example.com":{"username":"b","password":"x"}}}`}},
		"a user that runs into a password":   {other: []string{config(host, "a"), `{"auths":{"registry.example.com":{"username":"bb","password":""}}}`}},
		"one for the mirror as well":         {other: append([]string{config(mirror, "m")}, one...), rules: rules},
		"one for what is no mirror":          {other: append([]string{config(mirror, "m")}, one...), want: true},
		"one for another path of a mirror":   {other: append([]string{config(mirror+"/other", "m")}, one...), rules: rules, want: true},
		"the same, and there is a mirror":    {other: one, rules: rules, want: true},
		"the mirror's and the host's change": {other: []string{config(mirror, "a"), config(mirror, "b")}, rules: rules},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := NewClient(Options{Rules: tt.rules})
			ref := reference.Reference{Repository: host + "/team/app", Tag: "stable"}
			a, b := client.Narrow(ref, keychainOf(t, one...)), client.Narrow(ref, keychainOf(t, tt.other...))
			if same := a.Hash == b.Hash; same != tt.want {
				t.Errorf("alike: %v, want %v", same, tt.want)
			}
			if (b.Hash == "") != (len(tt.other) == 0) {
				t.Errorf("hash %q with %d Secrets", b.Hash, len(tt.other))
			}
		})
	}
}

// TestNarrowedStaysSo: what was shared by the rules of then asks by no more later.
func TestNarrowedStaysSo(t *testing.T) {
	ref := reference.Reference{Repository: "registry.example.com/team/app", Tag: "stable"}
	later := reference.Reference{Repository: "mirror.example.com/team/app", Tag: "stable"}
	chain := keychainOf(t, config("*.example.com", "a"))
	if len(chain.candidates(later)) != 1 {
		t.Fatal("the credential is not for the mirror")
	}
	if got := NewClient(Options{}).Narrow(ref, chain).candidates(later); len(got) != 0 {
		t.Errorf("narrowed to one host, it asks another with %d credentials", len(got))
	}
}

// FuzzParseDockerConfig: nothing panics, and a credential goes to no host that the
// configuration does not name.
func FuzzParseDockerConfig(f *testing.F) {
	for _, seed := range []string{
		config("registry.example.com/team", "a", "*.docker.io", "b"), `{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6d29yZA=="}}}`,
		`{"registry.example.com":{"auth":"bWU6d29yZA"}}`, `{"auths":{"[::1]:5000":{"identitytoken":"t"},"":{"auth":"OjA="}}}`,
		`{"auths":{"a[b-":{"username":"u"}}}`, `{"auths":[]}`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	ref := reference.Reference{Repository: "registry.quite-unlikely.example/team/app", Tag: "stable"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for kind := range dockerConfigKeys {
			entries, err := parseDockerConfig(kind, raw)
			if err != nil {
				continue
			}
			for _, e := range entries {
				found := newKeychain([]entry{e}).candidates(ref)
				if len(found) > 0 && e.host != ref.Host() && !strings.ContainsAny(e.host, "*?[\\") {
					t.Errorf("%q is for %s", e.host, ref.Host())
				}
			}
		}
	})
}
