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

// Credentials is the keychain of the named Secrets of a namespace; see
// Credentials.For.
func (a Access) Credentials(ctx context.Context, namespace string, secrets []string) (Keychain, error) {
	return a.Secrets.For(ctx, namespace, secrets)
}

// ForgetCredentials has the named Secrets read anew; see Credentials.Forget.
func (a Access) ForgetCredentials(namespace string, secrets []string) {
	a.Secrets.Forget(namespace, secrets)
}
