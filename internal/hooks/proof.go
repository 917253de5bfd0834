// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Nexus signs with; as an HMAC it is not broken
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strings"
)

// errUnproven is the error of a request that does not prove its origin.
var errUnproven = errors.New("the origin is not proven")

// proof is how a sender proves who it is.
type proof interface {
	// verify fails with errUnproven where the request proves nothing, and with
	// another error where the secret or the body cannot be read. token is what
	// follows the hook's name in the path; body reads the body.
	verify(r *http.Request, token string, body func() ([]byte, error)) error
	// secret is the file that the proof lives from.
	secret() secretFile
}

// newProof makes the proof of a valid configuration.
func newProof(c Config) proof {
	switch {
	case c.Proof.HMAC != nil:
		signed := hmacProof{key: secretFile(c.Proof.HMAC.SecretFile), header: c.hmacHeader(), prefix: "sha256=", hash: sha256.New}
		if c.Source == Nexus {
			signed.prefix, signed.hash = "sha1=", sha1.New
		}
		return signed
	case c.Proof.Bearer != nil:
		return bearerProof{token: secretFile(c.Proof.Bearer.SecretFile), header: c.bearerHeader()}
	case c.Proof.Basic != nil:
		return basicProof{username: c.Proof.Basic.Username, password: secretFile(c.Proof.Basic.PasswordFile)}
	default:
		return pathProof{token: secretFile(c.Proof.Path.SecretFile)}
	}
}

// signatureHeaders are where the sources that sign put their signatures.
var signatureHeaders = map[Source]string{
	GHCR:  "X-Hub-Signature-256",
	JFrog: jfrogHeader,
	Nexus: "X-Nexus-Webhook-Signature",
}

// jfrogHeader holds JFrog's secret or, where it is told to sign, its signature.
const jfrogHeader = "X-JFrog-Event-Auth"

// hmacHeader is empty where neither the configuration nor the source names one.
func (c Config) hmacHeader() string {
	return cmp.Or(c.Proof.HMAC.Header, signatureHeaders[c.Source])
}

func (c Config) bearerHeader() string {
	if c.Source == JFrog {
		return cmp.Or(c.Proof.Bearer.Header, jfrogHeader)
	}
	return cmp.Or(c.Proof.Bearer.Header, "Authorization")
}

// hmacProof is a signature of the body.
type hmacProof struct {
	key    secretFile
	header string
	prefix string
	hash   func() hash.Hash
}

func (p hmacProof) secret() secretFile { return p.key }

// verify reads the body of requests that bring a signature of the right form
// only.
func (p hmacProof) verify(r *http.Request, _ string, body func() ([]byte, error)) error {
	signature, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get(p.header), p.prefix))
	if err != nil || len(signature) != p.hash().Size() {
		return errUnproven
	}
	key, err := p.key.read()
	if err != nil {
		return err
	}
	content, err := body()
	if err != nil {
		return err
	}
	mac := hmac.New(p.hash, key)
	mac.Write(content)
	if !hmac.Equal(signature, mac.Sum(nil)) {
		return errUnproven
	}
	return nil
}

// bearerProof is a fixed header.
type bearerProof struct {
	token  secretFile
	header string
}

func (p bearerProof) secret() secretFile { return p.token }

func (p bearerProof) verify(r *http.Request, _ string, _ func() ([]byte, error)) error {
	given := r.Header.Get(p.header)
	if scheme, rest, found := strings.Cut(given, " "); found && strings.EqualFold(scheme, "Bearer") {
		given = rest
	}
	return compare(p.token, given)
}

// basicProof is HTTP's basic authentication.
type basicProof struct {
	username string
	password secretFile
}

func (p basicProof) secret() secretFile { return p.password }

func (p basicProof) verify(r *http.Request, _ string, _ func() ([]byte, error)) error {
	username, password, _ := r.BasicAuth()
	err := compare(p.password, password)
	// Compared second, and in any case: the time tells nothing of the name.
	if !equal([]byte(username), []byte(p.username)) {
		err = cmp.Or(err, errUnproven)
	}
	return err
}

// pathProof is a secret in the path.
type pathProof struct{ token secretFile }

func (p pathProof) secret() secretFile { return p.token }

func (p pathProof) verify(_ *http.Request, token string, _ func() ([]byte, error)) error {
	return compare(p.token, token)
}

func compare(want secretFile, given string) error {
	secret, err := want.read()
	if err != nil {
		return err
	}
	if !equal(secret, []byte(strings.TrimSpace(given))) {
		return errUnproven
	}
	return nil
}
