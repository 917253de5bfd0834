// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// cluster holds Secrets as namespace/name.
type cluster struct {
	mu      sync.Mutex
	secrets map[string]*corev1.Secret
	down    bool
	reads   int
}

func (c *cluster) Get(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if c.down {
		return nil, errors.New("connection refused to https://10.0.0.1")
	}
	secret, ok := c.secrets[namespace+"/"+name]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return secret, nil
}

func (c *cluster) set(key string, secret *corev1.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secrets == nil {
		c.secrets = map[string]*corev1.Secret{}
	}
	c.secrets[key] = secret
	if secret == nil {
		delete(c.secrets, key)
	}
}

func (c *cluster) readCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

func pullSecret(host, user, password string) *corev1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
		corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth),
	}}
}

func keychain(t *testing.T, host, user, password string) registry.Keychain {
	t.Helper()
	c := &cluster{secrets: map[string]*corev1.Secret{"shop/pull": pullSecret(host, user, password)}}
	k, err := registry.NewCredentials(c, clocktesting.NewFakePassiveClock(time.Now())).For(t.Context(), "shop", []string{"pull"})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCredentialsAreKeptForFiveMinutes(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	c := &cluster{}
	c.set("shop/pull", pullSecret("registry.example.com", "me", "one"))
	c.set("other/pull", pullSecret("registry.example.com", "me", "one"))
	credentials := registry.NewCredentials(c, clock)
	hash := func(namespace string) string {
		t.Helper()
		k, err := credentials.For(t.Context(), namespace, []string{"pull"})
		if err != nil {
			t.Fatal(err)
		}
		return k.Hash
	}
	one := hash("shop")
	if one == "" || hash("other") != one {
		t.Error("equal content in two namespaces has two hashes, or none")
	}
	c.set("shop/pull", pullSecret("registry.example.com", "me", "two"))
	clock.SetTime(clock.Now().Add(5*time.Minute - time.Second))
	if hash("shop") != one || c.readCount() != 2 {
		t.Error("the Secret was read again before five minutes had passed")
	}
	clock.SetTime(clock.Now().Add(time.Second))
	two := hash("shop")
	if two == one {
		t.Error("the Secret was not read again after five minutes")
	}
	c.set("shop/pull", pullSecret("registry.example.com", "me", "three"))
	credentials.Forget("shop", []string{"pull"})
	if hash("shop") == two {
		t.Error("the Secret was not read again after Forget")
	}
	if k, err := credentials.For(t.Context(), "shop", nil); err != nil || k.Hash != "" {
		t.Errorf("without names: %v, %v; want anonymous", k.Hash, err)
	}
}

func TestCredentialsThatCannotBeUsed(t *testing.T) {
	tests := map[string]struct {
		secret    *corev1.Secret
		down      bool
		wantClass registry.Class
		wantText  string
	}{
		"a missing Secret is named":      {nil, false, registry.Unauthorized, "Secret shop/pull: it does not exist"},
		"a Secret of another type":       {&corev1.Secret{Type: "Opaque"}, false, registry.Unauthorized, "kubernetes.io/dockerconfigjson"},
		"an empty Secret":                {&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}, false, registry.Unauthorized, "is empty"},
		"a cluster that does not answer": {nil, true, registry.Unavailable, "API does not answer"},
		"a Secret that is damaged": {&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
			corev1.DockerConfigJsonKey: []byte("{password"),
		}}, false, registry.Unauthorized, "no Docker configuration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &cluster{down: tt.down}
			c.set("shop/pull", tt.secret)
			_, err := registry.NewCredentials(c, clocktesting.NewFakePassiveClock(time.Now())).For(t.Context(), "shop", []string{"pull"})
			if registry.ClassOf(err) != tt.wantClass || !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("error %v, want %s that says %q", err, tt.wantClass, tt.wantText)
			}
			if strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "10.0.0.1") {
				t.Errorf("error tells too much: %v", err)
			}
		})
	}
}

func TestCredentialsAreSent(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	want := r.Push(t, ref)
	r.RequireBasic("me", "word")
	client := newClient(r.Host)
	if _, err := client.Head(t.Context(), ref, anonymous); registry.ClassOf(err) != registry.Unauthorized {
		t.Errorf("anonymously: %v", err)
	}
	if _, err := client.Head(t.Context(), ref, keychain(t, "elsewhere.example.com", "me", "word")); registry.ClassOf(err) != registry.Unauthorized {
		t.Errorf("with another registry's credentials: %v", err)
	}
	if got, err := client.Head(t.Context(), ref, keychain(t, r.Host, "me", "word")); err != nil || got != want {
		t.Errorf("Head = %s, %v; want %s", got, err, want)
	}
}
