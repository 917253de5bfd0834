// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import "context"

// Access is a Client together with the Credentials to ask with: all that it
// takes to confirm and publish an image for a lineage.
type Access struct {
	*Client

	// Secrets are read for the keychains.
	Secrets *Credentials
}

// Credentials is the keychain of a source; see Credentials.For.
func (a Access) Credentials(ctx context.Context, from CredentialSource) (Keychain, error) {
	return a.Secrets.For(ctx, from)
}

// ForgetCredentials has a source read anew; see Credentials.Forget.
func (a Access) ForgetCredentials(from CredentialSource) { a.Secrets.Forget(from) }
