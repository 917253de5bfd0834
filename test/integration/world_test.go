// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
)

// world is what surrounds the operator in a test: a registry in memory, a
// namespace of its own and one of somebody else, and stand-ins for Tekton and for
// the kubelet. Each of them fails when it is told to.
type world struct {
	t         *testing.T
	host      string // the registry with its faults, as specs name it
	direct    string // the same registry, without them
	namespace string
	other     string

	clock   *movableClock
	faults  *faults
	wire    *wire // nil where the operator reaches the API server by itself
	tekton  tekton
	kubelet kubelet

	// flags change the options of operators that are started after that.
	flags     []func(*operator.Options)
	processes []*process
}

func newWorld(t *testing.T, options ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, namespace: newNamespace(t), other: newNamespace(t), clock: newMovableClock()}
	w.faults, w.host, w.direct = newFaults(t)
	for _, option := range options {
		option(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.drive(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// image is the full reference of a repository:tag of the world's registry.
func (w *world) image(of string) string { return w.host + "/" + of }

// behind is the same reference by the way without faults.
func (w *world) behind(image string) string {
	if rest, ok := strings.CutPrefix(image, w.host+"/"); ok {
		return w.direct + "/" + rest
	}
	return image
}

// push puts an image under a tag. The same content gives the same digest.
func (w *world) push(of, content string, base ...string) v1alpha1.Digest {
	w.t.Helper()
	img, err := makeImage(content, base...)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := pushImage(w.behind(w.image(of)), img); err != nil {
		w.t.Fatal(err)
	}
	digest, err := digestOf(img)
	if err != nil {
		w.t.Fatal(err)
	}
	return digest
}

// makeImage makes an image with the base, a name and a digest, in its annotations.
func makeImage(content string, base ...string) (v1.Image, error) {
	layer := static.NewLayer([]byte(content), types.OCIUncompressedLayer)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, err
	}
	if len(base) == 2 {
		img = mutate.Annotations(img, map[string]string{
			"org.opencontainers.image.base.name": base[0], "org.opencontainers.image.base.digest": base[1],
		}).(v1.Image)
	}
	return img, nil
}

func digestOf(img v1.Image) (v1alpha1.Digest, error) {
	digest, err := img.Digest()
	return v1alpha1.Digest(digest.String()), err
}

func pushImage(image string, img v1.Image) error {
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, img)
}

// shows is the digest that a tag shows; empty where it does not exist.
func (w *world) shows(of string) v1alpha1.Digest {
	w.t.Helper()
	ref, err := name.ParseReference(w.behind(w.image(of)), name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := remote.Head(ref)
	if err != nil {
		return ""
	}
	return v1alpha1.Digest(found.Digest.String())
}

// retag puts a digest that the repository has under a tag, as a person would.
func (w *world) retag(of string, digest v1alpha1.Digest) {
	w.t.Helper()
	tag, err := name.NewTag(w.behind(w.image(of)), name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := remote.Get(tag.Context().Digest(string(digest)))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Tag(tag, found); err != nil {
		w.t.Fatal(err)
	}
}

// untag removes a tag.
func (w *world) untag(of string) {
	w.t.Helper()
	ref, err := name.ParseReference(w.behind(w.image(of)), name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Delete(ref); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := admin.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lineage reads a lineage.
func (w *world) lineage(name string) *v1alpha1.ImageLineage {
	w.t.Helper()
	l := &v1alpha1.ImageLineage{}
	if err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, l); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// edit changes a lineage.
func (w *world) edit(name string, change func(*v1alpha1.ImageLineage)) {
	w.t.Helper()
	l := w.lineage(name)
	before := l.DeepCopy()
	change(l)
	if err := admin.Patch(w.t.Context(), l, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// check has the operator ask the registry now.
func (w *world) check(name string) {
	w.t.Helper()
	w.edit(name, func(l *v1alpha1.ImageLineage) {
		if l.Annotations == nil {
			l.Annotations = map[string]string{}
		}
		l.Annotations[v1alpha1.CheckAnnotation] += "+"
	})
}

// waitFor waits until a lineage is as wanted, and says what it is if it never is.
func (w *world) waitFor(name, what string, is func(*v1alpha1.ImageLineage) bool) *v1alpha1.ImageLineage {
	w.t.Helper()
	var l *v1alpha1.ImageLineage
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		l = w.lineage(name)
		return is(l), nil
	})
	if err != nil {
		w.t.Fatalf("%s: never %s: %s", name, what, describe(l))
	}
	return l
}

// waitReady waits for a reason of Ready.
func (w *world) waitReady(name, reason string) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, reason, func(l *v1alpha1.ImageLineage) bool { return ready(l) == reason })
}

func ready(l *v1alpha1.ImageLineage) string {
	for _, c := range l.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.ObservedGeneration == l.Generation {
			return c.Reason
		}
	}
	return ""
}

func describe(l *v1alpha1.ImageLineage) string {
	var out strings.Builder
	for _, c := range l.Status.Conditions {
		fmt.Fprintf(&out, "\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, r := range l.Status.History {
		fmt.Fprintf(&out, "\n  revision %d %s %s", r.Revision, r.Origin, r.Digest)
	}
	fmt.Fprintf(&out, "\n  run %+v\n  from %+v\n  rollout %+v\n  observed %+v", l.Status.Run, l.Status.From, l.Status.Rollout, l.Status.Observed)
	return out.String()
}

// current is the digest that a lineage's children and workloads get.
func current(l *v1alpha1.ImageLineage) v1alpha1.Digest {
	if l.Status.Current == nil {
		return ""
	}
	return l.Status.Current.Digest
}

// followed makes a followed lineage.
func (w *world) followed(name, image string) *v1alpha1.ImageLineage {
	interval := v1alpha1.Duration("1h")
	return &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.ImageLineageSpec{
			Image: v1alpha1.ImageReference(w.image(image)), Poll: &v1alpha1.Poll{Interval: &interval},
		},
	}
}

// tracked makes a lineage with a parent and without a build.
func (w *world) tracked(name, image string, parents ...string) *v1alpha1.ImageLineage {
	l := w.followed(name, image)
	for i, parent := range parents {
		use := v1alpha1.ParentBase
		if i > 0 {
			use = v1alpha1.ParentBuilder
		}
		from := v1alpha1.Parent{Name: v1alpha1.ParentName(fmt.Sprintf("p%d", i)), As: use}
		if strings.Contains(parent, ":") {
			from.Image = v1alpha1.ImageReference(w.image(parent))
		} else {
			from.LineageRef = &v1alpha1.LineageReference{Name: v1alpha1.ObjectName(parent)}
		}
		l.Spec.From = append(l.Spec.From, from)
	}
	return l
}

// produced makes a lineage that is built, with a template that the stand-in for
// Tekton understands.
func (w *world) produced(name, image string, parents ...string) *v1alpha1.ImageLineage {
	l := w.tracked(name, image, parents...)
	l.Spec.Build = &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{Spec: runtime.RawExtension{Raw: []byte(
		`{"pipelineRef": {"name": "build"}, "params": [
			{"name": "BASE", "value": "$(lineage.from.p0.reference)"},
			{"name": "IMAGE", "value": "$(lineage.output)"}]}`,
	)}}}
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	return l
}

// deployment runs an image.
func (w *world) deployment(name, image string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: w.image(image)}}},
			},
		},
	}
}
