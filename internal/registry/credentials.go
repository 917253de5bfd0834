// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretAge is how long the content of a Secret or ServiceAccount is used before
// it is read again.
const secretAge = 5 * time.Minute

// CredentialSource says where credentials come from. The zero value gives none.
type CredentialSource struct {
	// Namespace of everything that is named.
	Namespace string
	// Secrets by name, in the order in which they count.
	Secrets []string
	// ServiceAccount whose imagePullSecrets count after Secrets; empty for none.
	ServiceAccount string
}

// Getter reads one object by name; a client.Reader that reads past the cache is
// one. Reading by name needs no right to list, and keeps no other Secret in memory.
type Getter interface {
	// Get reads an object; a missing one is an apierrors.IsNotFound error.
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
}

// Credentials reads pull secrets and ServiceAccounts, and keeps each for five
// minutes. It is safe for concurrent use.
type Credentials struct {
	reader   Getter
	secrets  *recall[types.NamespacedName, pullSecret]
	accounts *recall[types.NamespacedName, []string]
}

// pullSecret is the part of a Secret that is of use here.
type pullSecret struct {
	entries []entry
	// unusable is why there are none; nil where there may be some.
	unusable *Error
}

// NewCredentials makes Credentials that read with the reader.
func NewCredentials(reader Getter, clock clock.PassiveClock) *Credentials {
	return &Credentials{
		reader:   reader,
		secrets:  newRecall[types.NamespacedName, pullSecret](clock),
		accounts: newRecall[types.NamespacedName, []string](clock),
	}
}

// For is the keychain of a source. All credentials for a repository are tried in
// turn, the most specific first, and of the same address in the order of the
// Secrets.
//
// A named Secret that is missing or of no use, and a missing ServiceAccount, is an
// error of class Unauthorized that names it. Of the Secrets that the ServiceAccount
// names, such ones are passed over, as the kubelet does: they are often left over.
func (c *Credentials) For(ctx context.Context, from CredentialSource) (Keychain, error) {
	var entries []entry
	for _, name := range from.Secrets {
		secret, err := c.secret(ctx, types.NamespacedName{Namespace: from.Namespace, Name: name}, true)
		if err != nil {
			return Keychain{}, err
		}
		if secret.unusable != nil {
			return Keychain{}, secret.unusable
		}
		entries = append(entries, secret.entries...)
	}
	if from.ServiceAccount != "" {
		names, err := c.account(ctx, types.NamespacedName{Namespace: from.Namespace, Name: from.ServiceAccount})
		if err != nil {
			return Keychain{}, err
		}
		for _, name := range names {
			secret, err := c.secret(ctx, types.NamespacedName{Namespace: from.Namespace, Name: name}, false)
			if err != nil {
				return Keychain{}, err
			}
			entries = append(entries, secret.entries...)
		}
	}
	return newKeychain(entries), nil
}

// Forget drops what is kept of a source, so that it is read anew: the registry
// refused it, and it may have been renewed.
func (c *Credentials) Forget(from CredentialSource) {
	account := types.NamespacedName{Namespace: from.Namespace, Name: from.ServiceAccount}
	named, _ := c.accounts.get(account)
	c.accounts.drop(account)
	for _, names := range [][]string{from.Secrets, named} {
		for _, name := range names {
			c.secrets.drop(types.NamespacedName{Namespace: from.Namespace, Name: name})
		}
	}
}

// secret is the content of a Secret. That it is of no use is kept as well, and where
// a user named the Secret looked at again: it is what the user is about to mend.
func (c *Credentials) secret(ctx context.Context, key types.NamespacedName, named bool) (pullSecret, error) {
	if kept, ok := c.secrets.get(key); ok && (kept.unusable == nil || !named) {
		return kept, nil
	}
	read := &corev1.Secret{}
	secret := pullSecret{}
	switch err := c.reader.Get(ctx, key, read); {
	case apierrors.IsNotFound(err):
		secret.unusable = readingError(Unauthorized, "Secret", key, "it does not exist")
	case err != nil:
		return pullSecret{}, unread("Secret", key, err)
	default:
		secret = contentOf(key, read)
	}
	c.secrets.put(key, secret, secretAge)
	return secret, nil
}

// account is the names of the pull secrets of a ServiceAccount.
func (c *Credentials) account(ctx context.Context, key types.NamespacedName) ([]string, error) {
	if kept, ok := c.accounts.get(key); ok {
		return kept, nil
	}
	read := &corev1.ServiceAccount{}
	if err := c.reader.Get(ctx, key, read); apierrors.IsNotFound(err) {
		return nil, readingError(Unauthorized, "ServiceAccount", key, "it does not exist")
	} else if err != nil {
		return nil, unread("ServiceAccount", key, err)
	}
	names := make([]string, 0, len(read.ImagePullSecrets))
	for _, secret := range read.ImagePullSecrets {
		if secret.Name != "" {
			names = append(names, secret.Name)
		}
	}
	c.accounts.put(key, names, secretAge)
	return names, nil
}

// contentOf is the credentials of a Secret, or why it has none.
func contentOf(key types.NamespacedName, read *corev1.Secret) pullSecret {
	field, ok := dockerConfigKeys[read.Type]
	if !ok {
		return pullSecret{unusable: readingError(Unauthorized, "Secret", key, fmt.Sprintf(
			"its type is %q; it has to be %s or %s", read.Type, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg))}
	}
	if len(read.Data[field]) == 0 {
		return pullSecret{unusable: readingError(Unauthorized, "Secret", key, "its key "+field+" is empty")}
	}
	entries, err := parseDockerConfig(read.Type, read.Data[field])
	if err != nil {
		return pullSecret{unusable: readingError(Unauthorized, "Secret", key, "its key "+field+" is no Docker configuration")}
	}
	return pullSecret{entries: entries}
}

// unread is the error for an object that could not be read, and may be there.
func unread(kind string, key types.NamespacedName, err error) *Error {
	if apierrors.IsForbidden(err) {
		return readingError(Unauthorized, kind, key, "the operator may not read it: the namespace needs the Role of config/tenant")
	}
	return readingError(Unavailable, kind, key, "the cluster's API does not answer")
}

func readingError(class Class, kind string, key types.NamespacedName, cause string) *Error {
	return &Error{Class: class, Op: "reading " + kind + " " + key.String(), cause: cause}
}
