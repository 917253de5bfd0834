// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package reference

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	// dockerHub is the host of references that name none, and the one spelling
	// of its aliases.
	dockerHub = "docker.io"
	// officialNamespace holds Docker Hub's images that are written as one word.
	officialNamespace = "library"
	// defaultTag is what a reference without tag and digest means.
	defaultTag = "latest"

	// maxRepository is the longest path of a repository, in characters; the
	// limit of the container runtimes for host and path together.
	maxRepository = 255
	maxPort       = 65535
)

// dockerHubAliases are the hosts that serve Docker Hub's images.
var dockerHubAliases = map[string]bool{
	"docker.io":            true,
	"index.docker.io":      true,
	"registry-1.docker.io": true,
}

// digestLength is the number of hex characters by algorithm: the two that the
// OCI image-spec registers.
var digestLength = map[string]int{"sha256": 64, "sha512": 128}

var (
	pathPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	hostPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	portPattern = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	hexPattern  = regexp.MustCompile(`^[0-9a-f]+$`)
)

// Parse reads any reference: debian is docker.io/library/debian:latest,
// repository@digest has no tag, repository:tag@digest has both. The error says
// what is wrong and how to write it; it is meant for the user's eyes.
func Parse(s string) (Reference, error) {
	ref, err := parse(s)
	if err != nil {
		return Reference{}, fmt.Errorf("image %q: %w", shorten(s), err)
	}
	return ref, nil
}

// ParseTag reads a reference that can move: repository:tag. A digest is refused,
// because it always means the same image; without a tag, latest is meant.
func ParseTag(s string) (Reference, error) {
	ref, err := Parse(s)
	if err != nil {
		return Reference{}, err
	}
	if ref.Digest != "" {
		return Reference{}, fmt.Errorf("image %q: a digest never moves; write repository:tag, such as %s",
			shorten(s), Reference{Repository: ref.Repository, Tag: cmp.Or(ref.Tag, "stable")}.Name())
	}
	return ref, nil
}

func parse(s string) (Reference, error) {
	switch {
	case s == "":
		return Reference{}, errors.New("is empty; write repository:tag, such as registry.example.com/team/app:stable")
	case strings.Contains(s, "://"):
		return Reference{}, errors.New("starts with a scheme; write it without, such as registry.example.com/team/app:stable")
	case strings.ContainsAny(s, " \t\r\n"):
		return Reference{}, errors.New("contains white space; remove it")
	}
	rest, digest, pinned := strings.Cut(s, "@")
	if pinned {
		if err := checkDigest(digest); err != nil {
			return Reference{}, err
		}
	}
	repository, tag, err := cutTag(rest)
	if err != nil {
		return Reference{}, err
	}
	if tag == "" && !pinned {
		tag = defaultTag
	}
	repository, err = canonicalRepository(repository)
	if err != nil {
		return Reference{}, err
	}
	return Reference{Repository: repository, Tag: tag, Digest: digest}, nil
}

// cutTag splits at the last colon, unless a slash follows: then the colon is
// that of the host's port.
func cutTag(s string) (repository, tag string, err error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Contains(s[colon:], "/") {
		return s, "", nil
	}
	repository, tag = s[:colon], s[colon+1:]
	if tag == "" {
		return "", "", errors.New("has no tag after the colon; write one, such as :stable")
	}
	if !tagPattern.MatchString(tag) {
		return "", "", fmt.Errorf("the tag %q is not one; "+
			"a tag has 1 to 128 letters, digits, '_', '.' and '-', and starts with neither '.' nor '-'", shorten(tag))
	}
	return repository, tag, nil
}

// canonicalRepository gives a repository its host, in lower case, and Docker
// Hub its one name.
func canonicalRepository(s string) (string, error) {
	host, path, found := strings.Cut(s, "/")
	if !found || !looksLikeHost(host) {
		host, path = dockerHub, s
	}
	host = strings.ToLower(host)
	if err := checkHost(host); err != nil {
		return "", err
	}
	if dockerHubAliases[host] {
		host = dockerHub
		if path != "" && !strings.Contains(path, "/") {
			path = officialNamespace + "/" + path
		}
	}
	if err := checkPath(path); err != nil {
		return "", err
	}
	if len(host)+1+len(path) > maxRepository {
		return "", fmt.Errorf("the repository has more than %d characters", maxRepository)
	}
	return host + "/" + path, nil
}

// looksLikeHost tells registry.example.com/app from team/app.
func looksLikeHost(word string) bool {
	return strings.ContainsAny(word, ".:") || strings.EqualFold(word, "localhost")
}

func checkHost(host string) error {
	name, port, hasPort := host, "", false
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		name, port, hasPort = host[:colon], host[colon+1:], true
	}
	if number, err := strconv.Atoi(port); hasPort && (err != nil || number > maxPort || !portPattern.MatchString(port)) {
		return fmt.Errorf("the port %q of the registry is not one; write 1 to %d", shorten(port), maxPort)
	}
	if literal, ok := strings.CutPrefix(name, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err == nil && address.Is6() && address.Zone() == "" && strings.HasSuffix(literal, "]") {
			return nil
		}
	}
	if !hostPattern.MatchString(name) {
		return fmt.Errorf("%q is not the name of a registry; write a DNS name or an address, such as registry.example.com:5000", shorten(host))
	}
	return nil
}

func checkPath(path string) error {
	if path == "" {
		return errors.New("has no repository; write one, such as registry.example.com/team/app:stable")
	}
	for word := range strings.SplitSeq(path, "/") {
		switch {
		case word == "":
			return errors.New("has an empty word in the repository; write exactly one '/' between two words")
		case strings.ToLower(word) != word:
			return fmt.Errorf("the repository has upper-case letters in %q; repositories are lower case", shorten(word))
		case !pathPattern.MatchString(word):
			return fmt.Errorf("%q cannot be part of a repository; "+
				"use lower-case letters and digits, with single '.', '_' or '-' between them", shorten(word))
		}
	}
	return nil
}

func checkDigest(digest string) error {
	algorithm, hex, found := strings.Cut(digest, ":")
	length, known := digestLength[algorithm]
	switch {
	case !found || !known:
		return fmt.Errorf("the digest %q is not one; write sha256: and 64 hex characters after the '@'", shorten(digest))
	case len(hex) != length || !hexPattern.MatchString(hex):
		return fmt.Errorf("the digest %q is not one; %s has %d characters of 0-9 and a-f", shorten(digest), algorithm, length)
	}
	return nil
}

// maxQuoted is how much of a user's text an error repeats, in bytes.
const maxQuoted = 100

func shorten(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
