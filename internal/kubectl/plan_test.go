// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package kubectl

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/preview"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

var (
	debian = v1alpha1.Digest("sha256:" + strings.Repeat("1", 64))
	web    = v1alpha1.Digest("sha256:" + strings.Repeat("2", 64))
)

// objects are platform/debian, and shop/web on it with a Deployment that runs its tag.
func objects(t *testing.T) []client.Object {
	t.Helper()
	revision := func(digest v1alpha1.Digest, origin v1alpha1.Origin) v1alpha1.Revision {
		return v1alpha1.Revision{
			Revision: 1, Digest: digest, Identities: plan.IdentityOf(digest), Origin: origin,
			Accepted: metav1.NewMicroTime(time.Now().Add(-time.Hour)),
		}
	}
	made := func(namespace, name, image string, current v1alpha1.Revision) *v1alpha1.ImageLineage {
		l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		l.Spec.Image = v1alpha1.ImageReference(image)
		l.Status.Current, l.Status.History = &v1alpha1.CurrentRevision{Revision: current}, []v1alpha1.Revision{current}
		return l
	}
	base := made("platform", "debian", "docker.io/library/debian:12", revision(debian, v1alpha1.OriginFollowed))
	base.Spec.AllowedChildren = &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "apps"}},
	}}
	build := &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{Spec: runtime.RawExtension{
		Raw: []byte(`{"pipelineRef": {"name": "build"}, "params": [{"name": "IMAGE", "value": "$(lineage.output)"}]}`),
	}}}
	current := revision(web, v1alpha1.OriginBuilt)
	current.BuiltFrom = []v1alpha1.BuiltFrom{{Name: "base", Reference: "docker.io/library/debian:12", Digest: debian, Identities: plan.IdentityOf(debian)}}
	var err error
	if current.Template, err = tekton.TemplateHash(build); err != nil {
		t.Fatal(err)
	}
	app := made("shop", "web", "registry.example.com/shop/web:stable", current)
	app.Spec.From = []v1alpha1.Parent{{Name: "base", LineageRef: &v1alpha1.LineageReference{Namespace: "platform", Name: "debian"}}}
	app.Spec.Build, app.Spec.Rollout = build, &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}

	labels := map[string]string{"app": "web"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example.com/shop/web:stable"}}}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{Spec: spec},
	}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: labels}, Spec: spec}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "app", Image: spec.Containers[0].Image, ImageID: "registry.example.com/shop/web@" + string(web),
	}}
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "platform"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"tier": "apps"}}},
		base, app, deployment, pod,
	}
}

// cluster is an API server that refuses to list or get what is forbidden: "all TYPE" of
// all namespaces, or "TYPE" at all.
func cluster(t *testing.T, forbidden ...string) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(c client.Client, o runtime.Object, namespace string) error {
		kinds, err := c.GroupVersionKindFor(o)
		if err != nil {
			return err
		}
		kind := strings.TrimSuffix(kinds.Kind, "List")
		if slices.Contains(forbidden, kind) || namespace == "" && slices.Contains(forbidden, "all "+kind) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, "", nil)
		}
		return nil
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects(t)...).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			options := &client.ListOptions{}
			if err := refuse(c, list, options.ApplyOptions(opts).Namespace); err != nil {
				return err
			}
			return c.List(ctx, list, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := refuse(c, o, key.Namespace); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
}

const (
	builds   = "shop/web  ParentChanged: base: 111111111111 → new"
	restarts = "shop  deployment/web  app (web)"
)

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		forbidden []string
		moved     string
		output    string
		want      []string // what the text tells
		wantNot   []string
		wantErr   string
	}{
		"a lineage of another namespace":  {moved: "platform/debian", want: []string{"If docker.io/library/debian:12 moved", builds, restarts}},
		"an image, as people write it":    {moved: "debian:12", want: []string{"If docker.io/library/debian:12 moved", builds, restarts}},
		"a lineage of this namespace":     {moved: "web", want: []string{"if it was rebuilt", restarts}},
		"a lineage that is not there":     {moved: "platform/web", wantErr: "there is no ImageLineage platform/web"},
		"an image without a tag":          {moved: "docker.io/library/debian", wantErr: "write a lineage as NAME or NAMESPACE/NAME, or an image with its tag"},
		"an image that is none":           {moved: "Debian:12", wantErr: "--if-moved: "},
		"another format":                  {moved: "web", output: "yaml", wantErr: "--output yaml: write json"},
		"the pods may not be read":        {forbidden: []string{"Pod"}, moved: "debian:12", want: []string{builds, "the workloads of namespace shop"}, wantNot: []string{restarts}},
		"namespaces may not be read":      {forbidden: []string{"Namespace"}, moved: "debian:12", want: []string{"shop/web  Unknown: whether platform/debian admits namespace shop"}, wantNot: []string{builds}},
		"one namespace's may be read":     {forbidden: []string{"all ImageLineage"}, moved: "web", want: []string{"shop/web", "lineages of other namespaces could not be read"}},
		"lineages may not be read at all": {forbidden: []string{"ImageLineage"}, moved: "web", wantErr: "listing ImageLineages: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := showPlan(t.Context(), &out, cluster(t, tt.forbidden...), "shop", tt.moved, tt.output)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it lacks %q:\n%s", want, out.String())
				}
			}
			for _, not := range tt.wantNot {
				if strings.Contains(out.String(), not) {
					t.Errorf("it tells %q, which cannot be known:\n%s", not, out.String())
				}
			}
		})
	}
}

func TestPlanAsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := showPlan(t.Context(), &out, cluster(t), "shop", "platform/debian", "json"); err != nil {
		t.Fatal(err)
	}
	var got preview.Preview
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := preview.Preview{Moved: "docker.io/library/debian:12", Stages: []preview.Stage{
		{Takes: []preview.Take{{Lineage: "platform/debian", Image: "docker.io/library/debian:12"}}},
		{
			Builds: []preview.Build{{
				Lineage: "shop/web", Image: "registry.example.com/shop/web:stable",
				Reasons: []string{v1alpha1.ReasonParentChanged}, Message: "base: 111111111111 → new",
			}},
			Moves: []preview.Move{{Workload: "deployment/web", Namespace: "shop", Containers: []preview.Container{{Name: "app", Lineage: "web"}}}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preview (-want +got):\n%s", diff)
	}
}

// TestATemplateThatCannotBeUsed is no build that would begin.
func TestATemplateThatCannotBeUsed(t *testing.T) {
	l, ok := objects(t)[3].(*v1alpha1.ImageLineage)
	if !ok {
		t.Fatal("the fourth object is no lineage")
	}
	l.Spec.Build.PipelineRun.Spec.Raw = []byte(`{"params": [{"name": "A", "value": "$(lineage.nothing)"}]}`)
	m := memberOf(l)
	if m.TemplateProblem == nil || m.TemplateProblem.Reason != v1alpha1.ReasonInvalidSpec {
		t.Errorf("problem %+v", m.TemplateProblem)
	}
}
