// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

const (
	simNamespace    = "sim"
	simRegistryHost = "registry.example.com/"
	// simBuilds is the budget: as tight as can be.
	simBuilds = 1
)

// simLineage is a lineage of the simulation: followed, or built from others.
type simLineage struct {
	name string
	from []string
}

// simFleet is the fleet of most stories. other and its application have nothing to do
// with the rest.
var simFleet = []simLineage{
	{"base", nil},
	{"other", nil},
	{"mid", []string{"base"}},
	{"web", []string{"mid"}},
	{"api", []string{"mid"}},
	{"alone", []string{"other"}},
}

// sim is a world that moves by the choices of a seed: one step at a time, and never
// by itself. The same seed tells the same story.
type sim struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Time
	scheme *runtime.Scheme
	api    client.WithWatch
	// fleet is what there is, parents first, and builds the budget.
	fleet  []simLineage
	builds int
	// processes are the operators: one, or two for a while.
	processes []*process
	// tags are the registry.
	tags map[string]string
	// layers are those of an image, by its digest.
	layers map[string]string
	// annotated tells what images say of their base, by their digest.
	annotated map[string]plan.BaseAnnotation
	// reason is what Tekton says of the end of runs.
	reason string
	// alike are the lineages whose image is the same whatever it is made of.
	alike map[string]bool
	// packages counts what was mended of that which is installed into images, and cached
	// is what it was when something was first built.
	packages int
	cached   map[string]int
	// story is what happened, for a failure to tell.
	story      []string
	reconciles int
	pushes     int
	book       book
}

func newSim(t *testing.T, seed int64) *sim {
	t.Helper()
	return newSimOf(t, seed, simBuilds, simFleet)
}

func newSimOf(t *testing.T, seed int64, builds int, fleet []simLineage) *sim {
	t.Helper()
	s := &sim{
		fleet: fleet, builds: builds,
		t: t, rng: rand.New(rand.NewSource(seed)), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		scheme: runtime.NewScheme(), tags: map[string]string{}, book: newBook(),
		annotated: map[string]plan.BaseAnnotation{}, alike: map[string]bool{},
		layers: map[string]string{}, cached: map[string]int{},
	}
	utilruntime.Must(clientgoscheme.AddToScheme(s.scheme))
	utilruntime.Must(v1alpha1.AddToScheme(s.scheme))
	utilruntime.Must(tekton.AddToScheme(s.scheme))
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: simNamespace}},
	}
	crd := tekton.CRD()
	crd.SetName(tekton.CRDName)
	s.api = fake.NewClientBuilder().WithScheme(s.scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.ImageLineage{}, &pipelinev1.PipelineRun{}).
		WithInterceptorFuncs(s.watchWrites()).Build()
	for _, l := range fleet {
		if len(l.from) == 0 {
			s.push(l.name)
		}
		s.mustCreate(s.lineage(l))
	}
	s.processes = []*process{newProcess(s)}
	return s
}

// Now implements clock.PassiveClock: time passes with every look at it.
func (s *sim) Now() time.Time {
	s.now = s.now.Add(time.Millisecond)
	return s.now
}

// Since implements clock.PassiveClock.
func (s *sim) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

func simImage(name string) string { return simRegistryHost + name + ":1" }

// produced are the names of the lineages that are built.
func (s *sim) produced() []string {
	var names []string
	for _, l := range s.fleet {
		if len(l.from) > 0 {
			names = append(names, l.name)
		}
	}
	return names
}

func (s *sim) lineage(of simLineage) *v1alpha1.ImageLineage {
	name := of.name
	l := &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Namespace: simNamespace, Name: name, UID: types.UID("uid-" + name), Generation: 1},
		Spec:       v1alpha1.ImageLineageSpec{Image: v1alpha1.ImageReference(simImage(name))},
	}
	for i, parent := range of.from {
		l.Spec.From = append(l.Spec.From, simParent(i, parent))
		l.Spec.Build = &v1alpha1.Build{PipelineRun: v1alpha1.PipelineRunTemplate{Spec: runtime.RawExtension{Raw: []byte(simTemplate("1", of.from...))}}}
	}
	return l
}

// simParent is an entry of spec.from: the base, or a builder.
func simParent(i int, parent string) v1alpha1.Parent {
	p := v1alpha1.Parent{Name: "base", As: v1alpha1.ParentBase, LineageRef: &v1alpha1.LineageReference{Name: v1alpha1.ObjectName(parent)}}
	if i > 0 {
		p.Name, p.As = v1alpha1.ParentName(fmt.Sprintf("builder%d", i)), v1alpha1.ParentBuilder
	}
	return p
}

// simTemplate tells a pipeline what to make, and what of.
func simTemplate(version string, from ...string) string {
	references := []string{"$(lineage.from.base.reference)"}
	for i := 1; i < len(from); i++ {
		references = append(references, fmt.Sprintf("$(lineage.from.builder%d.reference)", i))
	}
	base := strings.Join(references, "+")
	return `{"pipelineRef": {"name": "build"}, "params": [{"name": "VERSION", "value": "` + version + `"},
		{"name": "BASE", "value": "` + base + `"}, {"name": "IMAGE", "value": "$(lineage.output)"},
		{"name": "NO_CACHE", "value": "$(lineage.noCache)"}]}`
}

// push puts a new image under a tag, as somebody's CI would.
func (s *sim) push(name string) string {
	s.pushes++
	digest := digestOf(fmt.Sprintf("push %d", s.pushes))
	s.tags[simImage(name)] = digest
	s.book.pushed[digest] = true
	return digest
}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *sim) mustCreate(obj client.Object) {
	s.t.Helper()
	if err := s.api.Create(context.Background(), obj); err != nil {
		s.t.Fatal(err)
	}
}

// watchWrites has every write told to the caches, late, and to the book at once.
func (s *sim) watchWrites() interceptor.Funcs {
	tell := func(obj client.Object, gone bool) {
		for _, c := range s.changeOf(obj, gone) {
			s.book.wrote(s, c)
			for _, p := range s.processes {
				p.view.written(c)
			}
		}
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			options := client.CreateOptions{}
			options.ApplyOptions(opts)
			if len(options.DryRun) > 0 {
				return nil
			}
			obj.SetCreationTimestamp(metav1.NewTime(s.now))
			err := c.Create(ctx, obj, opts...)
			if err == nil {
				tell(obj, false)
			}
			return err
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			err := c.Delete(ctx, obj, opts...)
			if err == nil {
				tell(obj, true)
			}
			return err
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			err := c.Patch(ctx, obj, patch, opts...)
			if err == nil {
				tell(obj, false)
			}
			return err
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			err := c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			if err == nil {
				tell(obj, false)
			}
			return err
		},
	}
}

// changeOf is what watches tell of an object; nothing of kinds that nobody reads.
func (s *sim) changeOf(obj client.Object, gone bool) []change {
	kind := newView(s.scheme, s.rng).kindOf(obj)
	typed, err := s.scheme.New(kinds[kind])
	if err != nil {
		return nil
	}
	c := change{kind: kind, key: client.ObjectKeyFromObject(obj)}
	if !gone {
		c.now, _ = typed.(client.Object)
		if err := s.api.Get(context.Background(), c.key, c.now); err != nil {
			s.t.Fatal(err)
		}
	}
	return []change{c}
}

// everything is what a list shows.
func (s *sim) everything() []change {
	var all []change
	lineages, runs := &v1alpha1.ImageLineageList{}, &pipelinev1.PipelineRunList{}
	for _, list := range []client.ObjectList{lineages, runs} {
		if err := s.api.List(context.Background(), list); err != nil {
			s.t.Fatal(err)
		}
	}
	namespace, crd := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: simNamespace}}, tekton.CRD()
	crd.SetName(tekton.CRDName)
	all = append(all,
		change{kind: "Namespace", key: client.ObjectKeyFromObject(namespace), now: namespace},
		change{kind: "CustomResourceDefinition", key: client.ObjectKeyFromObject(crd), now: crd})
	for i := range lineages.Items {
		all = append(all, change{kind: "ImageLineage", key: client.ObjectKeyFromObject(&lineages.Items[i]), now: &lineages.Items[i]})
	}
	for i := range runs.Items {
		all = append(all, change{kind: "PipelineRun", key: client.ObjectKeyFromObject(&runs.Items[i]), now: &runs.Items[i]})
	}
	return all
}

// liveRuns are the runs that have not ended, as the API server knows them.
func (s *sim) liveRuns() []*pipelinev1.PipelineRun {
	runs := &pipelinev1.PipelineRunList{}
	if err := s.api.List(context.Background(), runs); err != nil {
		s.t.Fatal(err)
	}
	var live []*pipelinev1.PipelineRun
	for i := range runs.Items {
		if tekton.IsLive(&runs.Items[i]) {
			live = append(live, &runs.Items[i])
		}
	}
	slices.SortFunc(live, func(a, b *pipelinev1.PipelineRun) int { return strings.Compare(a.Name, b.Name) })
	return live
}

// image is what a run makes: a function of what it is made of. Without a cache it holds
// what is to be had now, and another date.
func (s *sim) image(run *pipelinev1.PipelineRun, params map[string]string) string {
	madeOf, date := run.Labels[v1alpha1.LineageLabel]+params["VERSION"]+params["BASE"], ""
	if s.alike[run.Labels[v1alpha1.LineageLabel]] {
		madeOf = run.Labels[v1alpha1.LineageLabel]
	}
	if _, known := s.cached[madeOf]; !known || params["NO_CACHE"] == "true" {
		s.cached[madeOf] = s.packages
	}
	if params["NO_CACHE"] == "true" {
		date = run.Name
	}
	layers := fmt.Sprintf("%s with %d", madeOf, s.cached[madeOf])
	digest := digestOf(layers + date)
	s.layers[digest] = layers
	return digest
}

// endRun ends some run. One that fails may have pushed all the same.
func (s *sim) endRun(mayFail bool) bool {
	live := s.liveRuns()
	if len(live) == 0 {
		return false
	}
	run := live[s.rng.Intn(len(live))]
	fails := mayFail && s.rng.Intn(4) == 0
	s.finish(run, fails, !fails || s.rng.Intn(2) == 0)
	return true
}

// finish ends a run.
func (s *sim) finish(run *pipelinev1.PipelineRun, fails, pushes bool) {
	before := run.DeepCopy()
	params := map[string]string{}
	for _, p := range run.Spec.Params {
		params[p.Name] = p.Value.StringVal
	}
	digest := s.image(run, params)
	if pushes {
		s.tags[params["IMAGE"]] = digest
	}
	status := corev1.ConditionTrue
	if fails {
		status = corev1.ConditionFalse
	} else {
		s.book.made[digest] = true
		run.Status.Results = []pipelinev1.PipelineRunResult{{Name: "IMAGE_DIGEST", Value: *pipelinev1.NewStructuredValues(digest)}}
	}
	now := metav1.NewTime(s.Now())
	run.Status.CompletionTime = &now
	run.Status.Status = duckv1.Status{Conditions: duckv1.Conditions{{
		Type: apis.ConditionSucceeded, Status: status, LastTransitionTime: apis.VolatileTime{Inner: now}, Reason: cmp.Or(s.reason, "Ended"),
	}}}
	if err := s.api.Status().Patch(context.Background(), run, client.MergeFrom(before)); err != nil {
		s.t.Fatal(err)
	}
	s.tell("run %s ends, fails %v", run.Name, fails)
}

func (s *sim) tell(format string, args ...any) {
	s.story = append(s.story, s.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// broken ends the simulation with the last part of its story.
func (s *sim) broken(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nthe story so far:\n  %s", fmt.Sprintf(format, args...), strings.Join(s.story[max(0, len(s.story)-60):], "\n  "))
}
