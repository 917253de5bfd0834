// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Keychain holds the credentials of some pull secrets. The zero value is
// anonymous. Two keychains with equal Hash hold the same credentials.
type Keychain struct {
	// Hash of the Secrets' content; empty for the anonymous keychain.
	Hash string

	chain authn.Keychain
}

// authenticator is the credential for a repository, and what tells it from
// others: a hash, empty where the repository is read anonymously. Tenants who
// have credentials for other registries only are alike to this one.
func (k Keychain) authenticator(ctx context.Context, ref reference.Reference) (authn.Authenticator, string, error) {
	if k.chain == nil {
		return authn.Anonymous, "", nil
	}
	for _, target := range targets(ref) {
		auth, err := authn.Resolve(ctx, k.chain, target)
		if err != nil {
			return nil, "", unusable(ref)
		}
		config, err := authn.Authorization(ctx, auth)
		if err != nil {
			return nil, "", unusable(ref)
		}
		if *config == (authn.AuthConfig{}) {
			continue
		}
		return auth, hashOf(config), nil
	}
	return authn.Anonymous, "", nil
}

func unusable(ref reference.Reference) *Error {
	return &Error{Class: Unauthorized, Host: ref.Host(), Op: "reading pull secrets", cause: "the credentials for this registry cannot be read"}
}

func hashOf(config *authn.AuthConfig) string {
	hash := sha256.New()
	// Encoded, the fields cannot run into each other; writing to a hash and
	// encoding strings do not fail.
	_ = json.NewEncoder(hash).Encode([]string{
		config.Username, config.Password, config.Auth, config.IdentityToken, config.RegistryToken,
	})
	return hex.EncodeToString(hash.Sum(nil))
}

// target is a repository as pull secrets name it.
type target struct{ host, path string }

// String implements authn.Resource.
func (t target) String() string { return t.host + "/" + t.path }

// RegistryStr implements authn.Resource.
func (t target) RegistryStr() string { return t.host }

// dockerHubNames are the hosts under which pull secrets hold credentials for
// Docker Hub; what docker login writes comes first.
var dockerHubNames = []string{"index.docker.io", "docker.io", "registry-1.docker.io"}

// targets are the names under which credentials for a reference are looked up.
func targets(ref reference.Reference) []authn.Resource {
	hosts := []string{ref.Host()}
	if ref.Host() == "docker.io" {
		hosts = dockerHubNames
	}
	found := make([]authn.Resource, 0, len(hosts))
	for _, host := range hosts {
		found = append(found, target{host: host, path: path(ref)})
	}
	return found
}
