// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var _ = register(map[string]driver{
	"a workload that is deleted in the middle of its rollout": {
		cause: func(w *world) { w.moveBaseTo("base two", crashes) },
		cure:  func(w *world) { w.deleteDeployment(subject) },
		ends: func(w *world) {
			l := w.waitReady(subject, v1alpha1.ReasonUpToDate)
			c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionRolledOut)
			if c.Reason != v1alpha1.ReasonNoWorkloads || l.Status.Rollout != nil {
				w.t.Errorf("its workload is gone: %s", describe(l))
			}
			w.wantRuns(subject, 2)
			w.wantGeneration(neighbour, 2) // by its own cascade
		},
	},
	"a workload that is scaled to zero": {
		cause: func(w *world) {
			w.waitRolledOut(w.moveBase("base two"))
			w.scale(subject, 0)
		},
		// Its template is moved all the same, so that it starts on the right image.
		lasts: func(w *world) {
			w.waitFor(subject, "built on the new base", w.builtOn(w.moveBase("base three")))
			w.waitImages(subject, map[string]string{"app": "app:1"})
			w.waitSaid(v1alpha1.ReasonRolloutPending, []string{"deployment/app", "scaled to zero"})
		},
		cure: func(w *world) { w.scale(subject, 1) },
		ends: func(w *world) {
			w.waitRolledOut(w.shows("base:1"))
			w.wantRunning(subject, w.shows("app:1"))
			w.wantGeneration(subject, 5) // made, moved, scaled, moved, scaled
		},
	},
	"a workload that is renamed": {
		cause: (*world).rename,
		ends: func(w *world) {
			w.waitRolledOut(w.shows("base:1"))
			w.wantRunning("newest", w.shows("app:1"))
			// It found the current image under the tag: a patch would only restart it.
			w.wantGeneration("newest", 1)
			w.waitRolledOut(w.moveBase("base three"))
			w.waitImages("newest", map[string]string{"app": "app:1"})
			w.wantGeneration("newest", 2)
		},
	},
	"a workload that somebody else edits in the middle of its rollout": {
		cause: func(w *world) {
			w.moveBaseTo("base two", crashes)
			w.waitSaid(v1alpha1.ReasonRollingOut, []string{"deployment/app"})
			w.addEnv(subject, "somebody")
			w.kubelet.behave(subject, runs)
		},
		ends: func(w *world) {
			w.waitRolledOut(w.shows("base:1"))
			w.wantBoth(subject)
			w.wantGeneration(subject, 3) // made, moved, edited
			w.waitRolledOut(w.moveBase("base three"))
			w.wantBoth(subject)
			w.wantGeneration(subject, 4)
		},
	},
	"a workload that a policy does not let us change": {
		cause: func(w *world) {
			w.deny("apps", "deployments", "object.metadata.name != 'app' || !object.spec.template.spec.containers[0].image.contains('@')", "no images by digest", w.probeImage)
			w.moveBase("base two")
		},
		lasts: func(w *world) {
			if image := w.imageOf(subject); image != w.image("app:1") {
				w.t.Errorf("the Deployment runs %s", image)
			}
		},
		cure: func(w *world) {
			w.allowAgain("deployments", w.probeImage)
			// The controller of rollouts comes again in a minute of real time, or with any
			// change of its workload, if the minute is over.
			w.move(2 * time.Minute)
			w.touch(subject)
		},
		ends: func(w *world) { w.waitImages(subject, map[string]string{"app": "app:1"}) },
	},
	"an image that crash-loops": {
		cause: func(w *world) {
			w.moveBaseTo("base two", crashes)
			// Long before the deadline, which is ten minutes by default.
			w.waitSaid(v1alpha1.ReasonRollingOut, []string{"deployment/app", "container app exits with code 1"})
			w.kubelet.deadline(subject)
		},
		lasts: (*world).stuck,
		// Nothing but another image makes it good.
		cure: func(w *world) { w.moveBase("base three") },
		ends: (*world).unstuck,
	},
	"an image that cannot be pulled": {
		cause: func(w *world) { w.moveBaseTo("base two", cannotPull) },
		lasts: (*world).stuck,
		cure:  func(w *world) { w.moveBase("base three") },
		ends:  (*world).unstuck,
	},
})

// moveBaseTo pushes a base on which the subject's image behaves so, has it seen, and
// waits until the Deployment is asked to run that image.
func (w *world) moveBaseTo(content string, b podBehaviour) {
	w.t.Helper()
	base := w.push("base:1", content)
	bad := w.builtBy(subject, "base", base)
	w.kubelet.behave(subject, b.on(bad))
	w.check("base")
	w.waitFor(subject, "published", func(l *v1alpha1.ImageLineage) bool { return current(l) == bad })
	w.waitImages(subject, map[string]string{"app": "app:1"})
}

// builtBy is the digest of what the stand-in for Tekton makes for a lineage of a base.
func (w *world) builtBy(lineage, repo string, base v1alpha1.Digest) v1alpha1.Digest {
	w.t.Helper()
	from := w.image(repo + "@" + string(base))
	img, err := makeImage(fmt.Sprintf("%s on %s", lineage, from), from, string(base))
	if err != nil {
		w.t.Fatal(err)
	}
	digest, err := digestOf(img)
	if err != nil {
		w.t.Fatal(err)
	}
	return digest
}

// stuck: an image that does not run stays where it is, and the tag tells the same as
// the template. Whether anything is taken back is for a person to say.
func (w *world) stuck() {
	w.t.Helper()
	l := w.lineage(subject)
	if current(l) != w.shows("app:1") || l.Status.Current.Roots[0].Digest != w.shows("base:1") {
		w.t.Errorf("the tag shows %s: %s", w.shows("app:1"), describe(l))
	}
	w.waitImages(subject, map[string]string{"app": "app:1"})
	w.wantGeneration(subject, 2)
	w.wantRuns(subject, 2)
}

// unstuck: the next image runs, and the Deployment was written once for it.
func (w *world) unstuck() {
	w.t.Helper()
	w.waitRolledOut(w.shows("base:1"))
	w.wantRunning(subject, w.shows("app:1"))
	w.wantGeneration(subject, 3)
	w.wantRuns(subject, 3)
}

// rename replaces the Deployment twice by one of another name, as a new version of a
// chart may: while the subject is built, and in the middle of its rollout.
func (w *world) rename() {
	w.t.Helper()
	w.tekton.behave(subject, holds)
	base := w.moveBase("base two")
	w.waitFor(subject, "building", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run.Outcome == "" })
	w.create(w.deployment("newer", "app:1"))
	w.waitStatus("newer", 1, "NewReplicaSetAvailable")
	w.deleteDeployment(subject)

	// It pulled the former image, and is moved.
	w.kubelet.behave("newer", crashes.on(w.builtBy(subject, "base", base)))
	w.tekton.behave(subject, builds)
	w.waitSaid(v1alpha1.ReasonRollingOut, []string{"deployment/newer", "exits with code 1"})
	w.wantGeneration("newer", 2)
	w.create(w.deployment("newest", "app:1"))
	w.deleteDeployment("newer")
}

func (w *world) deleteDeployment(name string) {
	w.t.Helper()
	if err := admin.Delete(w.t.Context(), w.readDeployment(name)); err != nil {
		w.t.Fatal(err)
	}
}

// addEnv has somebody add an environment variable to a Deployment's first container.
func (w *world) addEnv(deployment, somebody string) {
	w.t.Helper()
	d := w.readDeployment(deployment)
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "LEVEL", Value: "debug"}}
	if err := admin.Patch(w.t.Context(), d, client.StrategicMergeFrom(before), client.FieldOwner(somebody)); err != nil {
		w.t.Fatal(err)
	}
}

// wantBoth: somebody's environment variable and our image are there, and nothing else
// is ours.
func (w *world) wantBoth(deployment string) {
	w.t.Helper()
	w.waitImages(deployment, map[string]string{"app": "app:1"})
	d := w.readDeployment(deployment)
	if env := d.Spec.Template.Spec.Containers[0].Env; len(env) != 1 || env[0].Value != "debug" {
		w.t.Errorf("the environment is %+v", env)
	}
	var owned []string
	for _, entry := range d.ManagedFields {
		if entry.Manager != v1alpha1.RolloutFieldManager {
			continue
		}
		fields := &fieldpath.Set{}
		if err := fields.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
			w.t.Fatal(err)
		}
		fields.Leaves().Iterate(func(p fieldpath.Path) { owned = append(owned, p.String()) })
	}
	slices.Sort(owned)
	want := []string{".metadata.annotations." + v1alpha1.RolloutAnnotation, `.spec.template.spec.containers[name="app"].image`}
	if diff := cmp.Diff(want, owned); diff != "" {
		w.t.Errorf("fields of %s (-want +got):\n%s", v1alpha1.RolloutFieldManager, diff)
	}
}

// wantRunning: a Deployment's pod is ready, and runs a digest.
func (w *world) wantRunning(deployment string, digest v1alpha1.Digest) {
	w.t.Helper()
	if c := w.containerOf(deployment); !c.Ready || !strings.HasSuffix(c.ImageID, "@"+string(digest)) {
		w.t.Errorf("%s does not run %s: %+v", deployment, digest, c)
	}
}

// wantGeneration: a Deployment's spec was written so often.
func (w *world) wantGeneration(deployment string, want int64) {
	w.t.Helper()
	if got := w.generationOf(deployment); got != want {
		w.t.Errorf("the spec of Deployment %s was written %d times, want %d", deployment, got, want)
	}
}

// touch writes an annotation on a Deployment.
func (w *world) touch(deployment string) {
	w.t.Helper()
	d := w.readDeployment(deployment)
	err := admin.Patch(w.t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"annotations": {"test.example.com/touched": "true"}}}`)))
	if err != nil {
		w.t.Fatal(err)
	}
}
