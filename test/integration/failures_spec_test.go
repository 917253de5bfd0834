// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var _ = register(map[string]driver{
	"an unknown variable": {
		arrange: (*world).base,
		cause: func(w *world) {
			w.create(withTemplate(w.produced(subject, "app:1", "base"), "build", "$(lineage.nonsense)"))
		},
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Build = w.produced(subject, "app:1", "base").Spec.Build })
		},
	},
	"a PipelineRun that a policy refuses": {
		arrange: func(w *world) {
			w.base()
			w.deny("tekton.dev", "pipelineruns", "object.spec.?pipelineRef.?name.orValue('') != 'forbidden'", "no forbidden pipelines", w.probeRun)
		},
		cause: func(w *world) {
			w.create(withTemplate(w.produced(subject, "app:1", "base"), "forbidden", "$(lineage.output)"))
		},
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			w.allowAgain("pipelineruns", w.probeRun)
			w.move(refusedAgain)
		},
	},
	"a parent that does not exist, and appears later": {
		arrange: func(*world) {},
		cause:   func(w *world) { w.create(w.produced(subject, "app:1", "base")) },
		cure:    (*world).base,
	},
	"a parent that does not allow this child": {
		arrange: (*world).otherBase,
		cause:   func(w *world) { w.create(w.ofOther(w.produced(subject, "app:1", "base"))) },
		cure:    func(w *world) { w.allow(v1alpha1.NamespacesAll) },
	},
	"a parent that stops allowing it while a run is in flight": {
		arrange: func(w *world) { w.otherBase(); w.allow(v1alpha1.NamespacesAll) },
		cause: func(w *world) {
			w.tekton.behave(subject, holds)
			w.create(w.ofOther(w.produced(subject, "app:1", "base")))
			w.waitFor(subject, "told of its run", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run != nil })
			w.allow(v1alpha1.NamespacesSame)
			w.waitReady(subject, v1alpha1.ReasonParentNotAllowed)
			w.tekton.behave(subject, builds)
		},
		lasts: (*world).withheld,
		cure:  func(w *world) { w.allow(v1alpha1.NamespacesAll) },
		ends:  func(w *world) { w.wantRuns(subject, 1) },
	},
	"a cycle through an image parent": {
		arrange: (*world).base,
		cause: func(w *world) {
			w.create(w.produced("left", "left:1", "base", "app:1"), w.produced(subject, "app:1", "left"))
		},
		lasts: func(w *world) { w.wantRuns(subject, 0); w.wantRuns("left", 0) },
		cure: func(w *world) {
			w.edit("left", func(l *v1alpha1.ImageLineage) { l.Spec.From = l.Spec.From[:1] })
		},
	},
	"a cycle through a followed lineage that stands for a produced reference": {
		arrange: (*world).base,
		cause: func(w *world) {
			w.create(w.followed("alias", "app:1"), w.produced(subject, "app:1", "alias"))
		},
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.From[0].LineageRef.Name = "base" })
		},
	},
	"an unparsable image": {
		arrange: (*world).base,
		cause: func(w *world) {
			l := w.produced(subject, "app:1", "base")
			l.Spec.Image = "registry.example.com/Not_A_Repository:1"
			w.create(l)
		},
		cure: func(w *world) {
			if err := admin.Delete(w.t.Context(), w.lineage(subject)); err != nil {
				w.t.Fatal(err)
			}
			w.create(w.produced(subject, "app:1", "base"))
		},
	},
	"an unparsable image of a parent": {
		arrange: (*world).base,
		cause: func(w *world) {
			l := w.produced(subject, "app:1", "base:1")
			l.Spec.From[0].Image = "registry.example.com/Not_A_Repository:1"
			w.create(l)
		},
		cure: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.From[0].Image = v1alpha1.ImageReference(w.image("base:1")) })
		},
	},
	"two lineages that produce one reference": {
		arrange: func(w *world) {
			w.base()
			w.create(w.produced("first", "app:1", "base"))
			w.start(0)
			w.waitReady("first", v1alpha1.ReasonUpToDate)
		},
		cause: func(w *world) { w.create(w.produced(subject, "app:1", "base")) },
		lasts: func(w *world) { w.wantRuns(subject, 0) },
		cure: func(w *world) {
			if err := admin.Delete(w.t.Context(), w.lineage("first")); err != nil {
				w.t.Fatal(err)
			}
		},
	},
	"two lineages in one pod: both work": {
		arrange: func(w *world) {
			w.base()
			pair := w.deployment(subject, "app:1")
			pair.Spec.Template.Spec.Containers = append(pair.Spec.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: w.image("proxy:1")})
			w.create(w.produced(subject, "app:1", "base"), w.produced("proxy", "proxy:1", "base"), pair)
			w.start(0)
			for _, name := range []string{subject, "proxy"} {
				w.waitFor(name, "published", func(l *v1alpha1.ImageLineage) bool { return l.Status.Current != nil })
				w.waitRunning(name, w.shows(name+":1"))
			}
		},
		cause: func(w *world) { w.moveBase("base two") },
		ends: func(w *world) {
			w.waitFor("proxy", "built on the new base", w.builtOn(w.shows("base:1")))
			w.waitFor(subject, "built on the new base", w.builtOn(w.shows("base:1")))
			w.waitImages(subject, map[string]string{"app": "app:1", "proxy": "proxy:1"})
		},
	},
	"two tags of one repository in one namespace: neither touches the other's pods": {
		arrange: func(w *world) {
			w.base()
			w.push("base2:1", "base2 one")
			w.create(w.followed("base2", "base2:1"), w.produced(subject, "app:1", "base"), w.produced("app2", "app:2", "base2"),
				w.deployment(subject, "app:1"), w.deployment("app2", "app:2"))
			w.start(0)
			w.waitRolledOut(w.shows("base:1"))
			w.waitReady("app2", v1alpha1.ReasonUpToDate)
		},
		cause: func(w *world) { w.moveBase("base two") },
		ends: func(w *world) {
			w.waitRolledOut(w.shows("base:1"))
			if got := w.generationOf("app2"); got != 1 {
				w.t.Errorf("the Deployment of the other tag was written: generation %d", got)
			}
			w.wantRuns("app2", 1)
		},
	},
	"a lineage that is deleted during its run": {
		cause: func(w *world) {
			w.tekton.behave(subject, holds)
			w.moveBase("base two")
			w.waitFor(subject, "building", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run.Outcome == "" })
			if err := admin.Delete(w.t.Context(), w.lineage(subject)); err != nil {
				w.t.Fatal(err)
			}
			w.tekton.behave(subject, builds)
		},
		// Whoever declares it again takes on what is there, and builds nothing for that.
		cure: func(w *world) {
			if got, kept := w.shows("app:1"), w.imageOf(subject); kept != w.image("app:1") || got == "" {
				w.t.Errorf("the tag shows %q and the Deployment runs %s", got, kept)
			}
			w.create(w.produced(subject, "app:1", "base"))
			w.waitReady(subject, v1alpha1.ReasonSourceUnknown)
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "1"} })
		},
	},
	"a parent that is deleted during a run": {
		cause: func(w *world) {
			w.tekton.behave(subject, holds)
			w.moveBase("base two")
			w.waitFor(subject, "building", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run.Outcome == "" })
			if err := admin.Delete(w.t.Context(), w.lineage("base")); err != nil {
				w.t.Fatal(err)
			}
			w.waitReady(subject, v1alpha1.ReasonParentNotFound)
			w.tekton.behave(subject, builds)
		},
		lasts: (*world).withheld,
		cure:  func(w *world) { w.create(w.followed("base", "base:1")) },
		ends:  func(w *world) { w.wantRuns(subject, 2) },
	},
	"a thousand lineages at once": {
		options: []func(*world){atAnyRate},
		arrange: (*world).base,
		cause:   (*world).thousand,
		ends:    (*world).thousandAtRest,
	},
})

// withTemplate gives a lineage a template of one param for a pipeline.
func withTemplate(l *v1alpha1.ImageLineage, pipeline, value string) *v1alpha1.ImageLineage {
	l.Spec.Build.PipelineRun.Spec = runtime.RawExtension{Raw: []byte(fmt.Sprintf(
		`{"pipelineRef": {"name": %q}, "params": [{"name": "IMAGE", "value": %q}, {"name": "BASE", "value": "$(lineage.from.p0.reference)"}]}`, pipeline, value))}
	return l
}

// builtOn is true for a lineage whose current image stems from a base.
func (w *world) builtOn(base v1alpha1.Digest) func(*v1alpha1.ImageLineage) bool {
	return func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Current != nil && len(l.Status.Current.Roots) == 1 && l.Status.Current.Roots[0].Digest == base
	}
}

// withheld checks that the subject's run has ended, and nothing came of it.
func (w *world) withheld() {
	w.t.Helper()
	before := current(w.lineage(subject))
	w.waitFor(subject, "with a run that ended unpublished", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Run != nil && l.Status.Run.Finished != nil && l.Status.Run.Outcome == ""
	})
	if got := w.shows("app:1"); got != before {
		w.t.Errorf("the tag shows %q, want %q: the image is withheld", got, before)
	}
}

// otherBase makes the base in another namespace, where it allows nobody.
func (w *world) otherBase() {
	w.t.Helper()
	w.push("base:1", "base one")
	base := w.followed("base", "base:1")
	base.Namespace = w.other
	w.create(base)
}

// ofOther has a lineage name its parent in the other namespace.
func (w *world) ofOther(l *v1alpha1.ImageLineage) *v1alpha1.ImageLineage {
	l.Spec.From[0].LineageRef.Namespace = v1alpha1.NamespaceName(w.other)
	return l
}

// allow changes whom the other base allows.
func (w *world) allow(from v1alpha1.NamespacesFrom) {
	w.t.Helper()
	base := &v1alpha1.ImageLineage{}
	if err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.other, Name: "base"}, base); err != nil {
		w.t.Fatal(err)
	}
	before := base.DeepCopy()
	base.Spec.AllowedChildren = &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{From: from}}
	if err := admin.Patch(w.t.Context(), base, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// waitImages waits until each container of a Deployment runs what its tag shows.
func (w *world) waitImages(deployment string, tags map[string]string) {
	w.t.Helper()
	var d *appsv1.Deployment
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		d = w.readDeployment(deployment)
		for _, c := range d.Spec.Template.Spec.Containers {
			if c.Image != w.image(tags[c.Name])+"@"+string(w.shows(tags[c.Name])) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		w.t.Errorf("the containers run %+v", d.Spec.Template.Spec.Containers)
	}
}

// many is how many lineages are applied at once.
const many = 1000

func manyName(i int) string { return fmt.Sprintf("app-%04d", i) }

// atAnyRate lets the registry be asked as often as it takes: a thousand images at the
// rate of a private host take half a minute.
func atAnyRate(w *world) {
	w.configure().write("registries: {hosts: [{host: %q, plainHTTP: true, requestsPerSecond: 10000}]}", w.host)
}

// thousand declares a thousand lineages on images that exist, from many hands at once,
// and the subject among them.
func (w *world) thousand() {
	w.t.Helper()
	// One image under a thousand tags: the registry is not what is tried here.
	digest := w.push("many:0", "many")
	const hands = 8
	var group sync.WaitGroup
	for hand := range hands {
		group.Go(func() {
			for i := hand; i < many; i += hands {
				if i > 0 {
					w.retag(fmt.Sprintf("many:%d", i), digest)
				}
				w.create(w.produced(manyName(i), fmt.Sprintf("many:%d", i), "base"))
			}
		})
	}
	w.create(w.produced(subject, "app:1", "base"))
	group.Wait()
}

// thousandAtRest waits until all of them are taken on, and checks that nothing was
// built for it.
func (w *world) thousandAtRest() {
	w.t.Helper()
	var waiting int
	err := eventually(w.t.Context(), func(ctx context.Context) (bool, error) {
		found := &v1alpha1.ImageLineageList{}
		if err := admin.List(ctx, found, client.InNamespace(w.namespace)); err != nil {
			return false, err
		}
		waiting = many
		for i := range found.Items {
			if ready(&found.Items[i]) == v1alpha1.ReasonBuiltFromUnknown {
				waiting--
			}
		}
		return waiting == 0, nil
	})
	if err != nil {
		w.t.Errorf("%d of %d lineages were not taken on: the first is%s", waiting, many, describe(w.lineage(manyName(0))))
	}
	if n := w.runCount(); n != 3 { // two of the neighbour, and the subject's own
		w.t.Errorf("%d runs, want 3", n)
	}
}

// refusedAgain is more than the time after which a refusal is asked for again.
const refusedAgain = 11 * time.Minute

// pipelineRun is a run that no lineage has to do with.
func pipelineRun(namespace, name, pipeline string) *unstructured.Unstructured {
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"spec": map[string]any{"pipelineRef": map[string]any{"name": pipeline}},
	}}
	run.SetNamespace(namespace)
	run.SetName(name)
	return run
}
