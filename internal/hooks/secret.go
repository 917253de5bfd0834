// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

const (
	// minSecret is the shortest secret, in characters: what can be guessed proves
	// nothing.
	minSecret = 16
	// maxSecret is how much of a secret's file is read, in bytes.
	maxSecret = 4 << 10
)

// secretFile is the path of a file that holds a secret.
type secretFile string

// read is the secret as it is now, without the white space at its ends. Reading
// it for each request costs microseconds, and there is nothing to keep up to date.
func (f secretFile) read() ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, fmt.Errorf("the secret cannot be read: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("the secret cannot be read: %w", err)
	}
	secret := bytes.TrimSpace(content)
	switch {
	case len(content) > maxSecret:
		return nil, fmt.Errorf("the secret in %s has more than %d bytes; is it the right file?", f, maxSecret)
	case utf8.RuneCount(secret) < minSecret:
		return nil, fmt.Errorf("the secret in %s has less than %d characters; make one with: openssl rand -hex 32", f, minSecret)
	}
	return secret, nil
}

// equal compares in a time that tells neither how much is right nor how long the
// secret is.
func equal(a, b []byte) bool {
	left, right := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(left[:], right[:]) == 1
}
