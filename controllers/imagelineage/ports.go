// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// Poller tells what tags show. It remembers answers; asking it costs nothing.
type Poller interface {
	// Follow says which tags an owner wants checked, replacing what it said before.
	Follow(owner types.NamespacedName, targets []registry.Target)
	// Forget ends all that an owner follows.
	Forget(owner types.NamespacedName)
	// Latest is the last answer for an owner's tag; nil before the first.
	Latest(owner types.NamespacedName, ref reference.Reference) *plan.Observation
	// Listing is the last answer for the tags of an owner's repository; nil before
	// the first.
	Listing(owner types.NamespacedName, ref reference.Reference) *plan.Listing
	// Check asks the registry now.
	Check(refs ...reference.Reference)
}

// Registry confirms and publishes images.
type Registry interface {
	// Credentials reads what a source names.
	Credentials(ctx context.Context, from registry.CredentialSource) (registry.Keychain, error)
	// ForgetCredentials has a source read anew: it was refused.
	ForgetCredentials(from registry.CredentialSource)
	// MayPush is nil where the keychain may write to a repository.
	MayPush(ctx context.Context, ref reference.Reference, keychain registry.Keychain) error
	// Confirm is the digest that a tag shows now, by its own registry's word.
	Confirm(ctx context.Context, ref reference.Reference, keychain registry.Keychain) (string, error)
	// Describe tells what the manifest of a digest says of itself.
	Describe(ctx context.Context, ref reference.Reference, digest string, detail registry.Detail, keychain registry.Keychain) (registry.Description, error)
	// Publish puts a digest under a tag that still shows what is expected.
	Publish(ctx context.Context, ref reference.Reference, digest, expected string, keychain registry.Keychain) (registry.Published, error)
}

// Copies are made of digests, in the background.
type Copies interface {
	// Ensure asks for a copy, and tells how far it is.
	Ensure(owner types.NamespacedName, request registry.CopyRequest) registry.CopyState
	// Forget drops all requests of an owner.
	Forget(owner types.NamespacedName)
}

// Runs creates and deletes PipelineRuns.
type Runs interface {
	// Create makes a run; one that exists already is a success.
	Create(ctx context.Context, run *unstructured.Unstructured) error
	// Validate asks the cluster whether it would take the run.
	Validate(ctx context.Context, run *unstructured.Unstructured) error
	// Delete removes a run; one that is gone is a success.
	Delete(ctx context.Context, namespace, name string) error
}
