// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

const webImage = "registry.example.com/shop/web:stable"

// pod runs the container web from webImage, and reports imageID.
func pod(imageID string, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: webImage}}},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "web", ImageID: imageID}},
		},
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func TestRunning(t *testing.T) {
	full := func(digest string) string { return "registry.example.com/shop/web@" + digest }
	phase := func(phase corev1.PodPhase) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Phase = phase }
	}
	ofController := func(kind string, uid types.UID) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, UID: uid, Controller: new(true)}}
		}
	}
	tests := map[string]struct {
		kind           string
		pods           []corev1.Pod
		want           []v1alpha1.Digest
		wantUnreported bool
	}{
		"no pods": {},
		"the digest of each pod, each once and sorted": {
			pods: []corev1.Pod{pod(full(digestB)), pod(full(digestA)), pod(full(digestB))},
			want: []v1alpha1.Digest{v1alpha1.Digest(digestA), v1alpha1.Digest(digestB)},
		},
		"cri-dockerd's form": {
			pods: []corev1.Pod{pod("docker-pullable://" + full(digestA))}, want: []v1alpha1.Digest{v1alpha1.Digest(digestA)},
		},
		"a bare digest is of the configuration": {
			pods: []corev1.Pod{pod(digestA)}, wantUnreported: true,
		},
		"nonsense behind the @": {pods: []corev1.Pod{pod(full("latest"))}, wantUnreported: true},
		"one pod tells and one does not": {
			pods: []corev1.Pod{pod(full(digestA)), pod("", phase(corev1.PodPending))},
			want: []v1alpha1.Digest{v1alpha1.Digest(digestA)}, wantUnreported: true,
		},
		"no status at all": {
			pods: []corev1.Pod{pod("", func(p *corev1.Pod) { p.Status = corev1.PodStatus{} })}, wantUnreported: true,
		},
		"pods that end, or are not the workload's": {
			pods: []corev1.Pod{
				pod(full(digestB), phase(corev1.PodFailed)),
				pod(full(digestB), phase(corev1.PodSucceeded)),
				pod(full(digestB), func(p *corev1.Pod) { p.DeletionTimestamp = &later }),
				pod(full(digestB), func(p *corev1.Pod) { p.Spec.Containers[0].Image = webImage + "@" + digestB }),
				pod(full(digestB), func(p *corev1.Pod) { p.Spec.Containers[0].Name = "other" }),
				pod(full(digestB), func(p *corev1.Pod) { p.Labels = nil }),
				pod(full(digestB), func(p *corev1.Pod) { p.Namespace = "prod" }),
				pod(full(digestB), ofController("Job", "u-9")),
			},
		},
		"a Deployment's pods are a ReplicaSet's": {
			pods: []corev1.Pod{pod(full(digestA), ofController("ReplicaSet", "u-2"))},
			want: []v1alpha1.Digest{v1alpha1.Digest(digestA)},
		},
		"a StatefulSet's pods are its own": {
			kind: "StatefulSet",
			pods: []corev1.Pod{
				pod(full(digestA), ofController("StatefulSet", "u-1")), pod(full(digestB), ofController("StatefulSet", "u-9")),
			},
			want: []v1alpha1.Digest{v1alpha1.Digest(digestA)},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := plan.Workload{
				Kind: "Deployment", Namespace: "shop", UID: "u-1",
				Containers: []plan.Container{{Name: "web", Image: webImage}},
			}
			if tc.kind != "" {
				w.Kind = tc.kind
			}
			selector, err := Selector(web())
			if err != nil {
				t.Fatal(err)
			}
			got := Running(w, selector, tc.pods).Containers[0]
			if diff := cmp.Diff(tc.want, got.Running, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Running (-want +got):\n%s", diff)
			}
			if got.Unreported != tc.wantUnreported {
				t.Errorf("Unreported = %v, want %v", got.Unreported, tc.wantUnreported)
			}
			if w.Containers[0].Running != nil || w.Containers[0].Unreported {
				t.Error("the workload that was given is modified")
			}
		})
	}
}

func TestRunningOfInitContainers(t *testing.T) {
	w := plan.Workload{
		Kind: "Deployment", Namespace: "shop",
		Containers: []plan.Container{{Name: "init", Init: true, Image: webImage}},
	}
	selector, err := Selector(web())
	if err != nil {
		t.Fatal(err)
	}
	p := pod("", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: webImage}}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", ImageID: "r@" + digestA}}
	})
	got := Running(w, selector, []corev1.Pod{p}).Containers[0]
	if len(got.Running) != 1 || got.Running[0] != v1alpha1.Digest(digestA) || got.Unreported {
		t.Errorf("Running = %v, Unreported = %v; want [%s]", got.Running, got.Unreported, digestA)
	}
}
