// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// login is a Secret of that name with a password for the world's registry.
func (w *world) login(name, password string) *corev1.Secret {
	secret := w.pullSecret(password)
	secret.Name = name
	return secret
}

// account is a ServiceAccount whose pods pull with these Secrets.
func (w *world) account(name string, secrets ...string) *corev1.ServiceAccount {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	for _, secret := range secrets {
		account.ImagePullSecrets = append(account.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	return account
}

// secretsNamed are references to Secrets.
func secretsNamed(names ...string) []v1alpha1.SecretReference {
	var refs []v1alpha1.SecretReference
	for _, name := range names {
		refs = append(refs, v1alpha1.SecretReference{Name: v1alpha1.ObjectName(name)})
	}
	return refs
}

// TestTheRightOfSeveralCredentials: each lineage finds the one that the registry takes.
func TestTheRightOfSeveralCredentials(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secrets []string
		account string
		want    string
	}{
		"that of a ServiceAccount":                              {account: "right", want: v1alpha1.ReasonUpToDate},
		"the second Secret, where the first is wrong":           {secrets: []string{"wrong", "right"}, want: v1alpha1.ReasonUpToDate},
		"the ServiceAccount's after a wrong Secret":             {secrets: []string{"wrong"}, account: "right", want: v1alpha1.ReasonUpToDate},
		"one that is missing beside the right one, as for pods": {account: "untidy", want: v1alpha1.ReasonUpToDate},
		"none of them":                           {secrets: []string{"wrong"}, account: "wrong", want: v1alpha1.ReasonUnauthorized},
		"a ServiceAccount that does not exist":   {account: "nobody", want: v1alpha1.ReasonUnauthorized},
		"a Secret of that name somewhere else":   {secrets: []string{"elsewhere"}, want: v1alpha1.ReasonUnauthorized},
		"nothing is named, and nothing is found": {want: v1alpha1.ReasonUnauthorized},
	}
	w := newWorld(t)
	digest := w.push("app:1", "app one")
	w.faults.set("app", wantsPassword("right"))
	elsewhere := w.login("elsewhere", "right")
	elsewhere.Namespace = w.other
	w.create(
		w.login("right", "right"), w.login("wrong", "wrong"), elsewhere,
		w.account("right", "right"), w.account("wrong", "wrong"), w.account("untidy", "missing", "wrong", "right"),
	)
	w.start(0)
	names := map[string]string{}
	for sentence, tc := range tests {
		l := w.followed("", "app:1")
		l.GenerateName = "app-"
		l.Spec.PullSecrets, l.Spec.ServiceAccountName = secretsNamed(tc.secrets...), v1alpha1.ObjectName(tc.account)
		w.create(l)
		names[sentence] = l.Name
	}
	for sentence, tc := range tests {
		l := w.waitReady(names[sentence], tc.want)
		if tc.want == v1alpha1.ReasonUpToDate && current(l) != digest {
			t.Errorf("%s: %s", sentence, describe(l))
		}
	}
}

// TestARenewedSecretIsNoticed: the registry refuses the old password, and nobody hears
// of it, since the Secret has the new one.
func TestARenewedSecretIsNoticed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(l *v1alpha1.ImageLineage){
		"of the lineage":        func(l *v1alpha1.ImageLineage) { withSecret(l) },
		"of its ServiceAccount": func(l *v1alpha1.ImageLineage) { l.Spec.ServiceAccountName = "puller" },
	}
	for name, use := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.push("app:1", "app one")
			w.faults.set(subject, wantsPassword("old"))
			w.create(w.pullSecret("old"), w.account("puller", pullSecretName))
			l := w.followed(subject, "app:1")
			use(l)
			w.create(l)
			w.start(0)
			w.waitReady(subject, v1alpha1.ReasonUpToDate)

			w.renew("new")
			w.faults.set(subject, wantsPassword("new"))
			moved := w.push("app:1", "app two")
			w.check(subject)
			w.waitAt(moved)
			if n := w.warningsOf(v1alpha1.ReasonUnauthorized); n != 0 {
				t.Errorf("the password that nobody has any more was told of %d times", n)
			}

			// Where the Secret is late, it is told, and noticed by itself.
			w.faults.set(subject, wantsPassword("newest"))
			moved = w.push("app:1", "app three")
			w.asksAgainAfter(checkedAgain)
			w.renew("newest")
			w.asksAgainAfter(askedAgain)
			w.waitAt(moved)
		})
	}
}

// waitAt waits until the subject's current image is a digest.
func (w *world) waitAt(digest v1alpha1.Digest) {
	w.t.Helper()
	w.waitFor(subject, "on "+string(digest), func(l *v1alpha1.ImageLineage) bool {
		return current(l) == digest && ready(l) == v1alpha1.ReasonUpToDate
	})
}
