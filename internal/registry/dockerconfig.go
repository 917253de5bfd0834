// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"encoding/json"
	"maps"
	gopath "path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
)

// entry is a credential of a Docker configuration, with the repositories that it
// is for.
type entry struct {
	candidate

	// host, where each part between two dots may be a pattern; a port has to be the
	// repository's own. The names of Docker Hub are one.
	host string
	// path that a repository's path begins with, with a slash before it; empty for
	// all of the host. As for the kubelet, /team is the beginning of /teammates.
	path string
}

// key is what orders entries.
func (e entry) key() string { return e.host + e.path }

// matches is whether the entry is for a repository.
func (e entry) matches(host, path string) bool {
	if !strings.HasPrefix("/"+path, e.path) {
		return false
	}
	if host != dockerHub {
		return matchesPattern(e.host, host)
	}
	return slices.ContainsFunc(dockerHubNames, func(name string) bool { return matchesPattern(e.host, name) })
}

// matchesPattern compares the parts of a host one by one: *.example.com is for
// a.example.com, and neither for example.com nor for b.a.example.com.
func matchesPattern(pattern, host string) bool {
	if pattern == host {
		return true
	}
	bare, bareHost := hostname(pattern), hostname(host)
	if pattern[len(bare):] != host[len(bareHost):] {
		return false // another port
	}
	patterns, parts := strings.Split(bare, "."), strings.Split(bareHost, ".")
	if len(patterns) != len(parts) {
		return false
	}
	for i, part := range parts {
		if ok, err := gopath.Match(patterns[i], part); err != nil || !ok {
			return false
		}
	}
	return true
}

// dockerHubNames are the hosts under which pull secrets hold credentials for
// Docker Hub; docker login writes https://index.docker.io/v1/.
var dockerHubNames = []string{dockerHub, "index.docker.io", "registry-1.docker.io"}

// dockerConfigKeys are the keys that hold a Docker configuration, by the type of the Secret.
var dockerConfigKeys = map[corev1.SecretType]string{
	corev1.SecretTypeDockerConfigJson: corev1.DockerConfigJsonKey,
	corev1.SecretTypeDockercfg:        corev1.DockerConfigKey,
}

// parseDockerConfig reads the entries of a Docker configuration, in an order of
// their own, without those that hold no credential or name no host. The older
// form, dockercfg, is only the inner part of the newer one.
func parseDockerConfig(kind corev1.SecretType, raw []byte) ([]entry, error) {
	var config struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	into := any(&config)
	if kind == corev1.SecretTypeDockercfg {
		into = &config.Auths
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, err
	}
	var entries []entry
	for _, address := range slices.Backward(slices.Sorted(maps.Keys(config.Auths))) {
		with := candidateOf(config.Auths[address])
		host, path := splitAddress(address)
		if host != "" && with != anonymous {
			entries = append(entries, entry{candidate: with, host: host, path: path})
		}
	}
	return entries, nil
}

// splitAddress takes apart what a Docker configuration calls a registry: a host or
// the beginning of a repository, perhaps with a scheme. /v1/ and /v2/ behind the host are
// the API's address and no part of a repository.
func splitAddress(address string) (host, path string) {
	for _, scheme := range []string{"https://", "http://"} {
		address = strings.TrimPrefix(address, scheme)
	}
	host, path, _ = strings.Cut(address, "/")
	for _, version := range []string{"v1", "v2"} {
		if path == version {
			path = ""
		}
		path = strings.TrimPrefix(path, version+"/")
	}
	if path != "" {
		path = "/" + path
	}
	host = strings.ToLower(host)
	if slices.Contains(dockerHubNames, host) {
		host = dockerHub
	}
	return host, path
}
