// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// secretAge is how long a Secret's content is used before it is read again.
const secretAge = 5 * time.Minute

// SecretReader reads one Secret by name. Reading by name needs no right to list,
// and keeps no other Secret in memory.
type SecretReader interface {
	// Get reads a Secret; a missing one is an apierrors.IsNotFound error.
	Get(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Credentials reads pull secrets and keeps each for five minutes. It is safe for
// concurrent use.
type Credentials struct {
	reader SecretReader
	clock  clock.PassiveClock

	mu    sync.Mutex
	kept  map[types.NamespacedName]keptSecret
	swept time.Time
}

// keptSecret is the part of a Secret that is of use here.
type keptSecret struct {
	secret corev1.Secret
	read   time.Time
}

// NewCredentials makes Credentials that read with the reader.
func NewCredentials(reader SecretReader, clock clock.PassiveClock) *Credentials {
	return &Credentials{reader: reader, clock: clock, kept: map[types.NamespacedName]keptSecret{}, swept: clock.Now()}
}

// For is the keychain of the named Secrets of a namespace; of two Secrets with
// credentials for the same repository, the first counts. No names give the
// anonymous keychain. A Secret that is missing or of no use is an error of class
// Unauthorized that names it.
func (c *Credentials) For(ctx context.Context, namespace string, names []string) (Keychain, error) {
	if len(names) == 0 {
		return Keychain{}, nil
	}
	secrets := make([]corev1.Secret, 0, len(names))
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	for _, name := range names {
		secret, err := c.secret(ctx, types.NamespacedName{Namespace: namespace, Name: name})
		if err != nil {
			return Keychain{}, err
		}
		secrets = append(secrets, secret)
		_ = encoder.Encode(secret.Data) // maps are encoded in the order of their keys
	}
	chain, err := kubernetes.NewFromPullSecrets(ctx, secrets)
	if err != nil {
		return Keychain{}, secretError(Unauthorized, namespace, strings.Join(names, ", "), "they cannot be used together")
	}
	return Keychain{Hash: hex.EncodeToString(hash.Sum(nil)), chain: chain}, nil
}

// Forget drops what is kept of the named Secrets, so that they are read anew:
// the registry refused them, and they may have been renewed.
func (c *Credentials) Forget(namespace string, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		delete(c.kept, types.NamespacedName{Namespace: namespace, Name: name})
	}
}

func (c *Credentials) secret(ctx context.Context, key types.NamespacedName) (corev1.Secret, error) {
	if kept, ok := c.keptSecret(key); ok {
		return kept, nil
	}
	read, err := c.reader.Get(ctx, key.Namespace, key.Name)
	switch {
	case apierrors.IsNotFound(err):
		return corev1.Secret{}, secretError(Unauthorized, key.Namespace, key.Name, "it does not exist")
	case apierrors.IsForbidden(err):
		return corev1.Secret{}, secretError(Unauthorized, key.Namespace, key.Name, "the operator may not read it")
	case err != nil:
		return corev1.Secret{}, secretError(Unavailable, key.Namespace, key.Name, "the cluster's API does not answer")
	}
	secret, err := pullSecret(ctx, key, read)
	if err != nil {
		return corev1.Secret{}, err
	}
	c.keep(key, secret)
	return secret, nil
}

func (c *Credentials) keptSecret(key types.NamespacedName) (corev1.Secret, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.kept[key]
	return kept.secret, ok && c.clock.Since(kept.read) < secretAge
}

func (c *Credentials) keep(key types.NamespacedName, secret corev1.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if now.Sub(c.swept) >= secretAge {
		c.swept = now
		for old, kept := range c.kept {
			if now.Sub(kept.read) >= secretAge {
				delete(c.kept, old)
			}
		}
	}
	c.kept[key] = keptSecret{secret: secret, read: now}
}

// pullSecretKeys are the keys that hold credentials, by the type of the Secret.
var pullSecretKeys = map[corev1.SecretType]string{
	corev1.SecretTypeDockerConfigJson: corev1.DockerConfigJsonKey,
	corev1.SecretTypeDockercfg:        corev1.DockerConfigKey,
}

// pullSecret is the part of a Secret that holds credentials, once it is certain
// that they can be read. The library would pass over a Secret of another type.
func pullSecret(ctx context.Context, key types.NamespacedName, read *corev1.Secret) (corev1.Secret, error) {
	field, ok := pullSecretKeys[read.Type]
	if !ok {
		return corev1.Secret{}, secretError(Unauthorized, key.Namespace, key.Name, fmt.Sprintf(
			"its type is %q; it has to be %s or %s", read.Type, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg))
	}
	secret := corev1.Secret{Type: read.Type, Data: map[string][]byte{field: read.Data[field]}}
	if len(secret.Data[field]) == 0 {
		return corev1.Secret{}, secretError(Unauthorized, key.Namespace, key.Name, "its key "+field+" is empty")
	}
	if _, err := kubernetes.NewFromPullSecrets(ctx, []corev1.Secret{secret}); err != nil {
		return corev1.Secret{}, secretError(Unauthorized, key.Namespace, key.Name, "its key "+field+" is no Docker configuration")
	}
	return secret, nil
}

func secretError(class Class, namespace, name, cause string) *Error {
	return &Error{Class: class, Op: "reading Secret " + namespace + "/" + name, cause: cause}
}
