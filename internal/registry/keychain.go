// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// maxCandidates is how many credentials are tried at most for one repository.
// Where sixteen are refused, one more is no cure.
const maxCandidates = 16

// Keychain holds the credentials of some Secrets. The zero value is anonymous.
type Keychain struct {
	// Hash is set by Client.Narrow: keychains with equal Hash ask alike. It is empty
	// where no credential is for the registries in question.
	Hash string

	// entries, the most specific first.
	entries []entry
	// narrowed are the candidates by repository, in place of entries.
	narrowed map[string][]candidate
}

// newKeychain orders entries as the kubelet does: by their address backwards, so
// that of two that begin alike the longer one comes first, and a host before a
// pattern for it. Entries for the same address stay in the order of their Secrets.
func newKeychain(entries []entry) Keychain {
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(b.key(), a.key()) })
	return Keychain{entries: entries}
}

// candidates are the credentials for a repository, in the order in which they are
// tried, each once.
func (k Keychain) candidates(ref reference.Reference) []candidate {
	if k.narrowed != nil {
		return k.narrowed[ref.Repository]
	}
	var found []candidate
	for _, e := range k.entries {
		if len(found) == maxCandidates {
			break
		}
		if e.matches(ref.Host(), path(ref)) && !slices.Contains(found, e.candidate) {
			found = append(found, e.candidate)
		}
	}
	return found
}

// narrow keeps the candidates for some repositories, and nothing else.
func (k Keychain) narrow(refs ...reference.Reference) Keychain {
	narrowed := Keychain{narrowed: map[string][]candidate{}}
	lists := make([][]string, 0, len(refs))
	for _, ref := range refs {
		found := k.candidates(ref)
		if len(found) > 0 {
			narrowed.narrowed[ref.Repository] = found
		}
		lists = append(lists, hashesOf(found))
	}
	if len(narrowed.narrowed) > 0 {
		narrowed.Hash = hashOf(lists)
	}
	return narrowed
}

// candidate is a credential to ask with. Candidates are equal where they say the same.
type candidate struct {
	username, password, identityToken, registryToken string
}

// anonymous is to ask without a credential.
var anonymous candidate

func candidateOf(config authn.AuthConfig) candidate {
	return candidate{
		username: config.Username, password: config.Password,
		identityToken: config.IdentityToken, registryToken: config.RegistryToken,
	}
}

func (c candidate) authenticator() authn.Authenticator {
	if c == anonymous {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: c.username, Password: c.password,
		IdentityToken: c.identityToken, RegistryToken: c.registryToken,
	})
}

// hash tells candidates apart without telling what they are; it is empty for the
// anonymous one.
func (c candidate) hash() string {
	if c == anonymous {
		return ""
	}
	return hashOf([]string{c.username, c.password, c.identityToken, c.registryToken})
}

func hashesOf(candidates []candidate) []string {
	hashes := make([]string, 0, len(candidates))
	for _, c := range candidates {
		hashes = append(hashes, c.hash())
	}
	return hashes
}

// hashOf hashes strings. Encoded, they cannot run into each other; writing to a hash
// and encoding strings do not fail.
func hashOf(what any) string {
	hash := sha256.New()
	_ = json.NewEncoder(hash).Encode(what)
	return hex.EncodeToString(hash.Sum(nil))
}
