// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// cluster holds Secrets and ServiceAccounts as namespace/name.
type cluster struct {
	mu       sync.Mutex
	secrets  map[string]*corev1.Secret
	accounts map[string]*corev1.ServiceAccount
	down     bool
	// forbidden is the kind that may not be read: Secret or ServiceAccount.
	forbidden string
	reads     int
	// hangs is set where it answers nothing until its caller gives up.
	hangs atomic.Bool
}

func (c *cluster) Get(ctx context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if c.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	kind := reflect.TypeOf(object).Elem().Name()
	switch {
	case c.down:
		return errors.New("connection refused to https://10.0.0.1")
	case c.forbidden == kind:
		return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, key.Name, errors.New("no password for you"))
	}
	switch into := object.(type) {
	case *corev1.Secret:
		if found, ok := c.secrets[key.String()]; ok {
			found.DeepCopyInto(into)
			return nil
		}
	case *corev1.ServiceAccount:
		if found, ok := c.accounts[key.String()]; ok {
			found.DeepCopyInto(into)
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, key.Name)
}

// account makes a ServiceAccount that names pull secrets.
func (c *cluster) account(key string, secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = map[string]*corev1.ServiceAccount{}
	}
	made := &corev1.ServiceAccount{}
	for _, name := range secrets {
		made.ImagePullSecrets = append(made.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	c.accounts[key] = made
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

// pullSecret holds credentials, as address, user and password in turn.
func pullSecret(logins ...string) *corev1.Secret {
	auths := map[string]any{}
	for login := range slices.Chunk(logins, 3) {
		auth := base64.StdEncoding.EncodeToString([]byte(login[1] + ":" + login[2]))
		auths[login[0]] = map[string]string{"auth": auth}
	}
	raw, _ := json.Marshal(map[string]any{"auths": auths})
	return &corev1.Secret{
		Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: raw},
	}
}

func named(namespace string, secrets ...string) registry.CredentialSource {
	return registry.CredentialSource{Namespace: namespace, Secrets: secrets}
}

// keychain holds logins as pullSecret takes them, each in a Secret of its own.
func keychain(t *testing.T, logins ...string) registry.Keychain {
	t.Helper()
	c := &cluster{}
	var names []string
	for login := range slices.Chunk(logins, 3) {
		names = append(names, fmt.Sprintf("pull-%d", len(names)))
		c.set("shop/"+names[len(names)-1], pullSecret(login...))
	}
	k, err := registry.NewCredentials(c, clocktesting.NewFakePassiveClock(time.Now())).For(t.Context(), named("shop", names...))
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
	ref := reference.Reference{Repository: "registry.example.com/team/app", Tag: "stable"}
	hash := func(namespace string) string {
		t.Helper()
		k, err := credentials.For(t.Context(), named(namespace, "pull"))
		if err != nil {
			t.Fatal(err)
		}
		return newClient().Narrow(ref, k).Hash
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
	credentials.Forget(named("shop", "pull"))
	if hash("shop") == two {
		t.Error("the Secret was not read again after Forget")
	}
	if k, err := credentials.For(t.Context(), named("shop")); err != nil || newClient().Narrow(ref, k).Hash != "" {
		t.Errorf("without names: %v; want anonymous", err)
	}
}

func TestCredentialsThatCannotBeUsed(t *testing.T) {
	tests := map[string]struct {
		secret    *corev1.Secret
		account   bool // instead of the Secret, one is named that does not exist
		down      bool
		forbidden string
		wantClass registry.Class
		wantText  string
	}{
		"a missing Secret is named": {wantClass: registry.Unauthorized, wantText: "Secret shop/pull: it does not exist"},
		"a Secret of another type": {
			secret: &corev1.Secret{Type: "Opaque"}, wantClass: registry.Unauthorized, wantText: "kubernetes.io/dockerconfigjson",
		},
		"an empty Secret": {
			secret: &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}, wantClass: registry.Unauthorized, wantText: "is empty",
		},
		"a Secret that is damaged": {
			secret: &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
				corev1.DockerConfigJsonKey: []byte("{password"),
			}},
			wantClass: registry.Unauthorized, wantText: "no Docker configuration",
		},
		"a Secret that the operator may not read": {
			forbidden: "Secret", wantClass: registry.Unauthorized, wantText: "Secret shop/pull: the operator may not read it: the namespace needs the Role of config/tenant",
		},
		"a cluster that does not answer": {down: true, wantClass: registry.Unavailable, wantText: "API does not answer"},
		"a missing ServiceAccount is named": {
			account: true, wantClass: registry.Unauthorized, wantText: "ServiceAccount shop/builder: it does not exist",
		},
		"a ServiceAccount that the operator may not read": {
			account: true, forbidden: "ServiceAccount", wantClass: registry.Unauthorized,
			wantText: "ServiceAccount shop/builder: the operator may not read it: the namespace needs the Role of config/tenant",
		},
		"a ServiceAccount in a cluster that does not answer": {
			account: true, down: true, wantClass: registry.Unavailable, wantText: "API does not answer",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &cluster{down: tt.down, forbidden: tt.forbidden}
			c.set("shop/pull", tt.secret)
			from := named("shop", "pull")
			if tt.account {
				from = registry.CredentialSource{Namespace: "shop", ServiceAccount: "builder"}
			}
			_, err := registry.NewCredentials(c, clocktesting.NewFakePassiveClock(time.Now())).For(t.Context(), from)
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
