// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package reference_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	debian := reference.Reference{Repository: "docker.io/library/debian", Tag: "12"}
	tests := map[string]struct {
		in   string
		want reference.Reference
	}{
		"one word is an official image of Docker Hub": {"debian:12", debian},
		"docker.io may be written":                    {"docker.io/debian:12", debian},
		"and so may library":                          {"docker.io/library/debian:12", debian},
		"library without a host":                      {"library/debian:12", debian},
		"index.docker.io is Docker Hub":               {"index.docker.io/library/debian:12", debian},
		"index.docker.io without library":             {"index.docker.io/debian:12", debian},
		"registry-1.docker.io is Docker Hub":          {"registry-1.docker.io/library/debian:12", debian},
		"the case of a host does not matter":          {"Docker.IO/debian:12", debian},
		"without a tag latest is meant":               {"debian", reference.Reference{Repository: "docker.io/library/debian", Tag: "latest"}},
		"two words are a user's image of Docker Hub":  {"team/app", reference.Reference{Repository: "docker.io/team/app", Tag: "latest"}},
		"a word with a dot before the slash is a host": {
			"registry.example.com/app:v1", reference.Reference{Repository: "registry.example.com/app", Tag: "v1"},
		},
		"a host with a port": {
			"registry:5000/a/b/c:v1", reference.Reference{Repository: "registry:5000/a/b/c", Tag: "v1"},
		},
		"a port is not mistaken for a tag": {
			"registry:5000/app", reference.Reference{Repository: "registry:5000/app", Tag: "latest"},
		},
		"an IPv4 address with a port": {
			"10.0.0.7:5000/app:v1", reference.Reference{Repository: "10.0.0.7:5000/app", Tag: "v1"},
		},
		"an IPv6 address with a port": {
			"[fd00::1]:5000/app:v1", reference.Reference{Repository: "[fd00::1]:5000/app", Tag: "v1"},
		},
		"an IPv6 address without a port": {
			"[fd00::1]/app", reference.Reference{Repository: "[fd00::1]/app", Tag: "latest"},
		},
		"localhost is a host": {
			"localhost/app:v1", reference.Reference{Repository: "localhost/app", Tag: "v1"},
		},
		"localhost in upper case too": {
			"LOCALHOST:5000/app:v1", reference.Reference{Repository: "localhost:5000/app", Tag: "v1"},
		},
		"a digest has no tag": {
			"debian@" + digest, reference.Reference{Repository: "docker.io/library/debian", Digest: digest},
		},
		"tag and digest are both kept": {
			"debian:12@" + digest, reference.Reference{Repository: "docker.io/library/debian", Tag: "12", Digest: digest},
		},
		"a sha512 digest": {
			"debian@sha512:" + strings.Repeat("a", 128),
			reference.Reference{Repository: "docker.io/library/debian", Digest: "sha512:" + strings.Repeat("a", 128)},
		},
		"the case of a tag matters": {
			"debian:RC1_x.y-z", reference.Reference{Repository: "docker.io/library/debian", Tag: "RC1_x.y-z"},
		},
		"separators within a word": {
			"a/b__c-d--e.f_g", reference.Reference{Repository: "docker.io/a/b__c-d--e.f_g", Tag: "latest"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := reference.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.in, diff)
			}
			again, err := reference.Parse(got.String())
			if err != nil || again != got {
				t.Errorf("Parse(%q) = %v, %v: not itself again", got.String(), again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		in        string
		wantError string
	}{
		"nothing":                        {"", "write repository:tag, such as registry.example.com/team/app:stable"},
		"a URL":                          {"https://quay.io/app:v1", "write it without"},
		"white space":                    {"debian :12", "white space"},
		"a trailing newline":             {"debian:12\n", "white space"},
		"an empty tag":                   {"debian:", "no tag after the colon"},
		"a tag that starts with a dash":  {"debian:-x", "is not one"},
		"a tag of 129 characters":        {"debian:" + strings.Repeat("a", 129), "1 to 128"},
		"upper case in a repository":     {"quay.io/Team/app", "lower case"},
		"upper case in a first word":     {"Team/app", "lower case"},
		"an empty word":                  {"quay.io/a//b", "exactly one '/'"},
		"a slash at the end":             {"quay.io/a/", "exactly one '/'"},
		"a host alone":                   {"quay.io/", "has no repository"},
		"a word that starts with a dash": {"quay.io/-a", "cannot be part of a repository"},
		"a host with an underscore":      {"my_host.example.com/a", "is not the name of a registry"},
		"a port that is none":            {"quay.io:x/a", "the port"},
		"a port too high":                {"quay.io:65536/a", "the port"},
		"an IPv6 address left open":      {"[::1/a", "is not the name of a registry"},
		"a digest too short":             {"debian@sha256:abcd", "64 characters"},
		"a digest in upper case":         {"debian@sha256:" + strings.Repeat("A", 64), "64 characters"},
		"an unknown algorithm":           {"debian@md5:" + strings.Repeat("a", 32), "write sha256:"},
		"two digests":                    {"debian@" + digest + "@" + digest, "characters"},
		"a digest without a repository":  {"@" + digest, "has no repository"},
		"a repository of 300 characters": {"quay.io/" + strings.Repeat("a", 300), "more than 255"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := reference.Parse(tt.in)
			if err == nil {
				t.Fatalf("Parse(%q) = %v, want an error", tt.in, got)
			}
			if !strings.Contains(err.Error(), tt.wantError) {
				t.Errorf("error %q does not say %q", err, tt.wantError)
			}
			if len(err.Error()) > 400 {
				t.Errorf("error of %d characters", len(err.Error()))
			}
		})
	}
}

func TestParseTag(t *testing.T) {
	tests := map[string]struct {
		in        string
		want      string
		wantError string
	}{
		"a tag":                    {in: "debian:12", want: "docker.io/library/debian:12"},
		"the default tag":          {in: "quay.io/a/b", want: "quay.io/a/b:latest"},
		"a digest never moves":     {in: "debian@" + digest, wantError: "such as docker.io/library/debian:stable"},
		"neither with a tag":       {in: "debian:12@" + digest, wantError: "such as docker.io/library/debian:12"},
		"what Parse refuses it is": {in: "debian:", wantError: "no tag"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := reference.ParseTag(tt.in)
			if tt.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantError) {
					t.Fatalf("ParseTag(%q) = %v, %v; want an error that says %q", tt.in, got, err, tt.wantError)
				}
				return
			}
			if err != nil || got.Name() != tt.want {
				t.Errorf("ParseTag(%q) = %v, %v; want %s", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestSpellings(t *testing.T) {
	ref := reference.Reference{Repository: "registry:5000/a/b", Tag: "v1"}
	pinned := reference.Reference{Repository: "registry:5000/a/b", Digest: digest}
	got := map[string]string{
		"Name":              ref.Name(),
		"Name, no tag":      pinned.Name(),
		"Pinned":            ref.Pinned("sha256:aa"),
		"TaggedPinned":      ref.TaggedPinned("sha256:aa"),
		"WithTag":           pinned.WithTag("v2").String(),
		"String":            ref.String(),
		"String, no tag":    pinned.String(),
		"Host":              ref.Host(),
		"String, zero":      reference.Reference{}.String(),
		"ShortDigest":       reference.ShortDigest(digest),
		"ShortDigest, less": reference.ShortDigest("sha256:ab"),
		"ShortDigest, none": reference.ShortDigest(""),
	}
	want := map[string]string{
		"Name":              "registry:5000/a/b:v1",
		"Name, no tag":      "registry:5000/a/b",
		"Pinned":            "registry:5000/a/b@sha256:aa",
		"TaggedPinned":      "registry:5000/a/b:v1@sha256:aa",
		"WithTag":           "registry:5000/a/b:v2",
		"String":            "registry:5000/a/b:v1",
		"String, no tag":    "registry:5000/a/b@" + digest,
		"Host":              "registry:5000",
		"String, zero":      "",
		"ShortDigest":       "0123456789ab",
		"ShortDigest, less": "ab",
		"ShortDigest, none": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ref.IsZero() || !(reference.Reference{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"debian", "debian:12", "Docker.io/debian", "registry:5000/a/b:v1", "[::1]:5000/a", "a@" + digest,
		"a:b@" + digest, "localhost/a", "LOCALHOST/a", "a:5000", "10.0.0.1:80/a", "x/", "/x", "@", ":", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := reference.Parse(s)
		if err != nil {
			if !ref.IsZero() {
				t.Errorf("Parse(%q) = %v with error %v", s, ref, err)
			}
			return
		}
		again, err := reference.Parse(ref.String())
		if err != nil || again != ref {
			t.Errorf("Parse(%q) = %+v, but Parse(%q) = %+v, %v", s, ref, ref.String(), again, err)
		}
		if ref.Host() == "" || (ref.Tag == "" && ref.Digest == "") {
			t.Errorf("Parse(%q) = %+v lacks a part", s, ref)
		}
	})
}
