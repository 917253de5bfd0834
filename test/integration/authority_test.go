// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// The rights that a lineage can ask for, each as a role grants it.
var (
	createRuns        = right("tekton.dev", "pipelineruns", "create")
	patchDeployments  = right("apps", "deployments", "patch")
	patchStatefulSets = right("apps", "statefulsets", "patch")
	patchDaemonSets   = right("apps", "daemonsets", "patch")
	getPullSecret     = right("", "secrets", "get", "pull")
	getPushSecret     = right("", "secrets", "get", "push")
	createPods        = right("", "pods", "create")

	everyRight = []rbacv1.PolicyRule{
		createRuns, patchDeployments, patchStatefulSets, patchDaemonSets, getPullSecret, getPushSecret, createPods,
	}
)

func right(group, resource, verb string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names,
	}
}

// The ways in which the tests change a lineage. Each is used alone or after others.
type change = func(*v1alpha1.ImageLineage)

func followed(*v1alpha1.ImageLineage) {}

func withParent(l *v1alpha1.ImageLineage) {
	l.Spec.From = []v1alpha1.Parent{{Name: "base", Image: "registry.example.com/base:1"}}
}

func withBuild(l *v1alpha1.ImageLineage) {
	withParent(l)
	l.Spec.Build = &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{
		Spec: runtime.RawExtension{Raw: []byte(`{"pipelineRef":{"name":"build"}}`)},
	}}
}

func withOtherBuild(l *v1alpha1.ImageLineage) {
	l.Spec.Build.PipelineRun.Spec.Raw = []byte(`{"pipelineRef":{"name":"other"}}`)
}

func withOtherParent(l *v1alpha1.ImageLineage) {
	l.Spec.From[0].Image = "registry.example.com/other:1"
}

func withPullSecret(l *v1alpha1.ImageLineage) {
	l.Spec.PullSecrets = append(l.Spec.PullSecrets, v1alpha1.SecretReference{Name: "pull"})
}

func withPushSecret(l *v1alpha1.ImageLineage) {
	l.Spec.Build.PushSecrets = []v1alpha1.SecretReference{{Name: "push"}}
}

func withServiceAccount(l *v1alpha1.ImageLineage) { l.Spec.ServiceAccountName = "builder" }

func withOtherServiceAccount(l *v1alpha1.ImageLineage) { l.Spec.ServiceAccountName = "other" }

func withRollout(l *v1alpha1.ImageLineage) {
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
}

func withRolloutNone(l *v1alpha1.ImageLineage) {
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutNone}
}

func withMirror(l *v1alpha1.ImageLineage) {
	l.Spec.Mirror = &v1alpha1.Mirror{Image: "registry.example.com/mirror/web", PushSecrets: []v1alpha1.SecretReference{{Name: "push"}}}
}

func withOtherMirror(l *v1alpha1.ImageLineage) { l.Spec.Mirror.Image = "elsewhere.example.com/web" }

// aged has a digest wait before it is taken.
func aged(age string) change {
	return func(l *v1alpha1.ImageLineage) {
		minAge := v1alpha1.Duration(age)
		l.Spec.Poll = &v1alpha1.Poll{MinAge: &minAge}
	}
}

func approve(digest string) change {
	return func(l *v1alpha1.ImageLineage) {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, v1alpha1.ApproveAnnotation, digest)
	}
}

func approvalNeeded(l *v1alpha1.ImageLineage) { l.Spec.Build.Approval = v1alpha1.ApprovalRequired }

// choosing has a lineage follow the highest of some tags.
func choosing(versions string) change {
	return func(l *v1alpha1.ImageLineage) {
		l.Spec.Image = "registry.example.com/shop/web"
		l.Spec.Tags = &v1alpha1.TagPolicy{SemVer: versions}
	}
}

func withEverything(l *v1alpha1.ImageLineage) {
	withBuild(l)
	withPullSecret(l)
	withPushSecret(l)
	withServiceAccount(l)
	withRollout(l)
}

func suspended(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true }

func resumed(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false }

func labelled(l *v1alpha1.ImageLineage) { l.Labels = map[string]string{"team": "shop"} }

func rebuild(token string) change {
	return func(l *v1alpha1.ImageLineage) {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, v1alpha1.RebuildAnnotation, token)
	}
}

func checkNow(l *v1alpha1.ImageLineage) {
	metav1.SetMetaDataAnnotation(&l.ObjectMeta, v1alpha1.CheckAnnotation, "now")
}

func all(changes ...change) change {
	return func(l *v1alpha1.ImageLineage) {
		for _, c := range changes {
			c(l)
		}
	}
}

// What the policy says to one who lacks a right.
const (
	noRuns         = "spec.build: you may not create pipelineruns.tekton.dev in namespace NAMESPACE"
	noRebuild      = "metadata.annotations[imagelineage.dev/rebuild]: you may not create pipelineruns.tekton.dev in namespace NAMESPACE"
	noApproval     = "metadata.annotations[imagelineage.dev/approve]: you may not create pipelineruns.tekton.dev in namespace NAMESPACE"
	noDeployments  = "spec.rollout.mode: you may not patch deployments.apps in namespace NAMESPACE"
	noStatefulSets = "spec.rollout.mode: you may not patch statefulsets.apps in namespace NAMESPACE"
	noDaemonSets   = "spec.rollout.mode: you may not patch daemonsets.apps in namespace NAMESPACE"
	noPullSecret   = "spec.pullSecrets: you may not get the secret pull in namespace NAMESPACE"
	noPods         = "spec.serviceAccountName: you may not create pods in namespace NAMESPACE"
	noMirrorSecret = "spec.mirror.pushSecrets: you may not get the secret push in namespace NAMESPACE"
	noPushSecret   = "spec.build.pushSecrets: you may not get the secret push in namespace NAMESPACE"
)

// authorityCase is a user who writes a lineage.
type authorityCase struct {
	rights []rbacv1.PolicyRule
	// before is what an administrator made earlier; nil where the user creates it.
	before change
	// change is what the user does.
	change change
	// want is the refusal; empty where it is admitted.
	want string
}

// TestAuthorityToCreate is about new lineages: all that one asks for is checked.
func TestAuthorityToCreate(t *testing.T) {
	runAuthority(t, map[string]authorityCase{
		"following an image asks for nothing": {change: followed},
		"tracking an image asks for nothing":  {change: withParent},
		"counting workloads asks for nothing": {change: withRolloutNone},
		"all of it with every right":          {rights: everyRight, change: withEverything},

		"a build without the right to create runs": {
			rights: without(createRuns), change: withEverything, want: noRuns,
		},
		"a build that is suspended from the start": {
			change: all(withBuild, suspended), want: noRuns,
		},
		"a rollout without the right to patch deployments": {
			rights: without(patchDeployments), change: withEverything, want: noDeployments,
		},
		"a rollout without the right to patch statefulsets": {
			rights: without(patchStatefulSets), change: withEverything, want: noStatefulSets,
		},
		"a rollout without the right to patch daemonsets": {
			rights: without(patchDaemonSets), change: withEverything, want: noDaemonSets,
		},
		"a rollout of a followed image": {
			rights: without(patchDeployments), change: withRollout, want: noDeployments,
		},
		"a pull secret without the right to get it": {
			rights: without(getPullSecret), change: withEverything, want: noPullSecret,
		},
		"a pull secret of a followed image": {
			rights: []rbacv1.PolicyRule{getPushSecret}, change: withPullSecret, want: noPullSecret,
		},
		"a push secret without the right to get it": {
			rights: without(getPushSecret), change: withEverything, want: noPushSecret,
		},
		"a mirror without the right to get its secret": {
			rights: []rbacv1.PolicyRule{getPullSecret}, change: all(withPullSecret, withMirror), want: noMirrorSecret,
		},
		"a mirror with that right": {rights: []rbacv1.PolicyRule{getPushSecret}, change: withMirror},
		"a service account without the right to create pods": {
			rights: without(createPods), change: withEverything, want: noPods,
		},
		"a service account of a followed image": {
			rights: []rbacv1.PolicyRule{getPullSecret}, change: withServiceAccount, want: noPods,
		},
		"a service account of a followed image with the right to create pods": {
			rights: []rbacv1.PolicyRule{createPods}, change: withServiceAccount,
		},
		"the last of as many secrets as there can be": {
			rights: []rbacv1.PolicyRule{createRuns, right("", "secrets", "get", manySecrets[:15]...)},
			change: all(withBuild, withManySecrets),
			want:   "spec.build.pushSecrets: you may not get the secret s15 in namespace NAMESPACE",
		},
		"as many secrets as there can be": {
			rights: append([]rbacv1.PolicyRule{right("", "secrets", "get", manySecrets...)}, everyRight...),
			change: all(withBuild, withManySecrets, withRollout, rebuild("1")),
		},
	})
}

// TestAuthorityToUpdate is about changes: only what makes the operator do more, or do it
// differently, is checked.
func TestAuthorityToUpdate(t *testing.T) {
	runAuthority(t, map[string]authorityCase{
		"a label":                    {before: withEverything, change: labelled},
		"a check of the registry":    {before: withEverything, change: checkNow},
		"suspending":                 {before: withEverything, change: suspended},
		"resuming what only follows": {before: all(withPullSecret, suspended), change: resumed},
		"taking everything out": {before: withEverything, change: func(l *v1alpha1.ImageLineage) {
			l.Spec = v1alpha1.ImageLineageSpec{Image: l.Spec.Image}
		}},
		"taking the build out":         {before: withEverything, change: func(l *v1alpha1.ImageLineage) { l.Spec.Build = nil }},
		"taking the rollout out":       {before: withEverything, change: func(l *v1alpha1.ImageLineage) { l.Spec.Rollout = nil }},
		"taking a pull secret out":     {before: withPullSecret, change: func(l *v1alpha1.ImageLineage) { l.Spec.PullSecrets = nil }},
		"taking a service account out": {before: withServiceAccount, change: func(l *v1alpha1.ImageLineage) { l.Spec.ServiceAccountName = "" }},
		"the parents of a tracked one": {before: withParent, change: withOtherParent},
		"taking the rebuild annotation out": {
			before: all(withBuild, rebuild("1")), change: func(l *v1alpha1.ImageLineage) { l.Annotations = nil },
		},
		"a rebuild of what is never built": {before: withParent, change: rebuild("1")},
		"everything with every right": {
			rights: everyRight, before: followed, change: withEverything,
		},

		"a build added without the right to create runs": {before: withParent, change: withBuild, want: noRuns},
		"another template without the right to create runs": {
			before: withBuild, change: withOtherBuild, want: noRuns,
		},
		"another parent of a build without the right to create runs": {
			before: withBuild, change: withOtherParent, want: noRuns,
		},
		"resuming a build without the right to create runs": {
			before: all(withBuild, suspended), change: resumed, want: noRuns,
		},
		"a rebuild without the right to create runs": {
			before: withBuild, change: rebuild("1"), want: noRebuild,
		},
		"another rebuild without the right to create runs": {
			before: all(withBuild, rebuild("1")), change: rebuild("2"), want: noRebuild,
		},
		"a rebuild needs no other right": {
			rights: []rbacv1.PolicyRule{createRuns}, before: withEverything, change: rebuild("1"),
		},

		"a rollout added without the right to patch": {
			rights: without(patchDeployments), before: followed, change: withRollout, want: noDeployments,
		},
		"a rollout turned on without the right to patch": {
			rights: without(patchStatefulSets), before: withRolloutNone, change: withRollout, want: noStatefulSets,
		},
		"resuming a rollout without the right to patch": {
			rights: without(patchDaemonSets), before: all(withRollout, suspended), change: resumed, want: noDaemonSets,
		},
		"another template whose result would be rolled out": {
			rights: []rbacv1.PolicyRule{createRuns}, before: all(withBuild, withRollout), change: withOtherBuild,
			want: noDeployments,
		},

		"a pull secret added without the right to get it": {
			before: followed, change: withPullSecret, want: noPullSecret,
		},
		"a push secret added without the right to get it": {
			rights: without(getPushSecret), before: withBuild, change: withPushSecret, want: noPushSecret,
		},
		"another template whose result would be pushed with a secret": {
			rights: []rbacv1.PolicyRule{createRuns}, before: all(withBuild, withPushSecret), change: withOtherBuild,
			want: noPushSecret,
		},
		"a mirror added without the right to get its secret": {
			before: followed, change: withMirror, want: noMirrorSecret,
		},
		"another mirror that would be written with a secret": {
			before: withMirror, change: withOtherMirror, want: noMirrorSecret,
		},
		"another mirror that would be written with a pull secret": {
			rights: []rbacv1.PolicyRule{getPushSecret}, before: all(withPullSecret, withMirror), change: withOtherMirror, want: noPullSecret,
		},
		"other tags that would be copied with a secret": {
			before: all(choosing("1.x"), withMirror), change: choosing("2.x"), want: noMirrorSecret,
		},
		"other tags that would be copied, with that right": {
			rights: []rbacv1.PolicyRule{getPushSecret}, before: all(choosing("1.x"), withMirror), change: choosing("2.x"),
		},
		"taking a mirror out": {before: withMirror, change: func(l *v1alpha1.ImageLineage) { l.Spec.Mirror = nil }},
		"other tags that would be rolled out": {
			before: all(choosing("1.x"), withRollout), change: choosing("2.x"), want: noDeployments,
		},
		"other tags that are only counted": {before: choosing("1.x"), change: choosing("2.x")},
		"a digest approved that would be rolled out": {
			before: all(aged("72h"), withRollout), change: approve("sha256:1"), want: noDeployments,
		},
		"another digest approved that would be rolled out": {
			before: all(aged("72h"), approve("sha256:1"), withRollout), change: approve("sha256:2"), want: noDeployments,
		},
		"a digest approved that is only counted": {before: aged("72h"), change: approve("sha256:1")},
		"taking the approval out": {
			before: all(aged("72h"), approve("sha256:1"), withRollout), change: func(l *v1alpha1.ImageLineage) { l.Annotations = nil },
		},
		"a build approved without the right to create runs": {
			before: withBuild, change: approve("plan-1"), want: noApproval,
		},
		"another build approved without the right to create runs": {
			before: all(withBuild, approve("plan-1")), change: approve("plan-2"), want: noApproval,
		},
		"a build approved with that right": {rights: []rbacv1.PolicyRule{createRuns}, before: withBuild, change: approve("plan-1")},
		"a build approved that would be rolled out": {
			rights: []rbacv1.PolicyRule{createRuns}, before: all(withBuild, withRollout), change: approve("plan-1"), want: noDeployments,
		},
		"taking the approval of a build out": {
			before: all(withBuild, approve("plan-1")), change: func(l *v1alpha1.ImageLineage) { l.Annotations = nil },
		},
		"approval needed no more, without the right to create runs": {
			before: all(withBuild, approvalNeeded), change: func(l *v1alpha1.ImageLineage) { l.Spec.Build.Approval = "" }, want: noRuns,
		},
		"a shorter wait before a digest is rolled out": {
			before: all(aged("72h"), withRollout), change: aged("1h"), want: noDeployments,
		},
		"no wait before a digest is rolled out": {
			before: all(aged("72h"), withRollout), change: func(l *v1alpha1.ImageLineage) { l.Spec.Poll = nil }, want: noDeployments,
		},
		"a shorter wait before a digest is counted": {before: aged("72h"), change: aged("1h")},
		"workloads moved to the mirror": {
			before: all(withMirror, withRollout), change: func(l *v1alpha1.ImageLineage) { l.Spec.Rollout.UseMirror = true }, want: noDeployments,
		},
		"a service account added without the right to create pods": {
			before: followed, change: withServiceAccount, want: noPods,
		},
		"another service account without the right to create pods": {
			before: withServiceAccount, change: withOtherServiceAccount, want: noPods,
		},
		"another service account with the right to create pods": {
			rights: []rbacv1.PolicyRule{createPods}, before: withServiceAccount, change: withOtherServiceAccount,
		},
		"another template whose result would be pushed with a service account's secrets": {
			rights: []rbacv1.PolicyRule{createRuns}, before: all(withBuild, withServiceAccount), change: withOtherBuild, want: noPods,
		},
		"another parent that would be read with a service account's secrets": {
			before: all(withParent, withServiceAccount), change: withOtherParent, want: noPods,
		},
		"another parent that would be read with a secret": {
			before: all(withParent, withPullSecret), change: withOtherParent, want: noPullSecret,
		},
	})
}

// runAuthority lets a user of each case's rights do what the case says.
func runAuthority(t *testing.T, cases map[string]authorityCase) {
	t.Helper()
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t)
			user, err := newUser(t.Context(), namespace, namespace, tc.rights)
			if err != nil {
				t.Fatal(err)
			}
			lineage := &v1alpha1.ImageLineage{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace},
				Spec:       v1alpha1.ImageLineageSpec{Image: "registry.example.com/shop/web:stable"},
			}
			write := func() error { return user.Create(t.Context(), lineage) }
			if tc.before != nil {
				tc.before(lineage)
				if err := admin.Create(t.Context(), lineage.DeepCopy()); err != nil {
					t.Fatal(err)
				}
				if err := user.Get(t.Context(), client.ObjectKeyFromObject(lineage), lineage); err != nil {
					t.Fatal(err)
				}
				write = func() error { return user.Update(t.Context(), lineage) }
			}
			tc.change(lineage)

			got := ""
			if err := write(); err != nil {
				_, got, _ = strings.Cut(err.Error(), "denied request: ")
				if got == "" {
					t.Fatalf("refused, and not by the policy: %v", err)
				}
			}
			if want := strings.ReplaceAll(tc.want, "NAMESPACE", namespace); got != want {
				t.Errorf("want %q, got %q", want, got)
			}
		})
	}
}

// without returns every right but one.
func without(missing rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var rest []rbacv1.PolicyRule
	for _, rule := range everyRight {
		if rule.String() != missing.String() {
			rest = append(rest, rule)
		}
	}
	return rest
}

// manySecrets names as many Secrets as a lineage can: eight to pull, eight to push.
var manySecrets = []string{
	"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15",
}

func withManySecrets(l *v1alpha1.ImageLineage) {
	for i, name := range manySecrets {
		reference := v1alpha1.SecretReference{Name: v1alpha1.ObjectName(name)}
		if i < 8 {
			l.Spec.PullSecrets = append(l.Spec.PullSecrets, reference)
		} else {
			l.Spec.Build.PushSecrets = append(l.Spec.Build.PushSecrets, reference)
		}
	}
}
