// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// mirrorRegistry is a second registry, which the operator copies to.
type mirrorRegistry struct {
	*faults

	host, direct string
}

// newMirror starts a second registry for the world's operators.
func (w *world) newMirror() mirrorRegistry {
	w.t.Helper()
	var m mirrorRegistry
	m.faults, m.host, m.direct = newFaults(w.t)
	w.flags = append(w.flags, func(o *operator.Options) { o.PlainHTTPRegistries = append(o.PlainHTTPRegistries, m.host) })
	return m
}

// mirrorOf is spec.mirror with a repository of the mirror.
func (m mirrorRegistry) mirrorOf(repository string) *v1alpha1.Mirror {
	return &v1alpha1.Mirror{Image: v1alpha1.ImageReference(m.host + "/" + repository)}
}

// has is whether a repository has a digest, under the tag that keeps it there.
func (m mirrorRegistry) has(t *testing.T, copied string) bool {
	t.Helper()
	kept, digest := m.kept(t, copied)
	found, err := remote.Get(kept)
	return err == nil && found.Digest.String() == digest
}

// kept is the tag of a copy, by the way round the faults, and its digest.
func (m mirrorRegistry) kept(t *testing.T, copied string) (tag name.Tag, digest string) {
	t.Helper()
	ref, err := reference.Parse(copied)
	if err != nil {
		t.Fatalf("%q is no reference: %v", copied, err)
	}
	tag, err = name.NewTag(strings.Replace(ref.Name(), m.host, m.direct, 1), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return tag, ref.Digest
}

// isCopy is whether a reference is a digest's copy in a repository of the mirror.
func (m mirrorRegistry) isCopy(copied, repository string, digest v1alpha1.Digest) bool {
	return strings.HasPrefix(copied, m.host+"/"+repository+":") && strings.HasSuffix(copied, "@"+string(digest))
}

// pinned is a copy as a build gets it: by its digest alone.
func pinned(t *testing.T, copied string) string {
	t.Helper()
	ref, err := reference.Parse(copied)
	if err != nil {
		t.Fatalf("%q is no reference: %v", copied, err)
	}
	return ref.Pinned(ref.Digest)
}

// basesOf are the parameters BASE of a lineage's runs, by the number of the revision.
func (w *world) basesOf(lineage string) map[string]string {
	w.t.Helper()
	found := pipelineRuns()
	if err := admin.List(w.t.Context(), found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LineageLabel: lineage}); err != nil {
		w.t.Fatal(err)
	}
	bases := map[string]string{}
	for i := range found.Items {
		run := &found.Items[i]
		bases[run.GetAnnotations()[v1alpha1.NumberAnnotation]] = paramsOf(run)["BASE"]
	}
	return bases
}

var _ = register(map[string]driver{
	"a mirror that is down: the image before stays current": mirrorAnswers(http.StatusServiceUnavailable, "UNAVAILABLE"),
	"a mirror that lets nobody push: a person has to act":   mirrorAnswers(http.StatusForbidden, "DENIED"),
})

// mirrorAnswers has a mirror answer so while the image moves. It is in the same registry,
// so that its faults can be set.
func mirrorAnswers(status int, code string) driver {
	return driver{
		arrange: func(w *world) {
			w.push("app:1", "app one")
			l := w.rolledOut(subject, "app:1")
			l.Spec.Mirror = &v1alpha1.Mirror{Image: v1alpha1.ImageReference(w.image("kept/app"))}
			w.create(l)
			w.start(0)
			w.waitAt(w.shows("app:1"))
		},
		cause: func(w *world) {
			w.faults.set("kept/app", answers(status, code))
			w.push("app:1", "app two")
			w.check(subject)
		},
		lasts: func(w *world) {
			w.push("app:before", "app one")
			if l := w.lineage(subject); current(l) != w.shows("app:before") {
				w.t.Errorf("want the image before: %s", describe(l))
			}
		},
		cure: func(w *world) { w.faults.clear("kept/app"); w.move(askedAgain) },
		ends: func(w *world) { w.waitAt(w.shows("app:1")) },
	}
}

func TestChildrenAreBuiltOnTheMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.newMirror()
	first := w.pushRelease("base:1", release{amd64: "amd64 one", arm64: "arm64 one"})
	base := w.followed("base", "base:1")
	base.Spec.Mirror = m.mirrorOf("kept/base")
	w.create(base, w.produced("app", "app:1", "base"))
	// It is in the mirror before anybody hears of it.
	m.set("kept/base", answers(http.StatusServiceUnavailable, "UNAVAILABLE"))
	w.start(0)
	if l := w.waitReady("base", v1alpha1.ReasonMirroring); l.Status.Current != nil {
		t.Errorf("it is current, and not in the mirror: %s", describe(l))
	}
	m.clear("kept/base")
	w.move(askedAgain)
	w.waitKnown("app", first)
	one := w.lineage("base").Status.Current
	if !m.isCopy(one.Mirror, "kept/base", first) || !m.has(t, one.Mirror) {
		t.Errorf("the copy of %s is said to be %q", first, one.Mirror)
	}

	// While the mirror is down, everything stays as it was.
	m.set("kept/base", answers(http.StatusServiceUnavailable, "UNAVAILABLE"))
	second := w.pushRelease("base:1", release{amd64: "amd64 two", arm64: "arm64 one"})
	w.check("base")
	l := w.waitFor("base", "failing to copy", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonMirroring && strings.Contains(message(l), "cannot be copied")
	})
	for _, word := range []string{m.host, "503", "tried again"} {
		if !strings.Contains(message(l), word) {
			t.Errorf("it says %q, want %q", message(l), word)
		}
	}
	if current(l) != first || meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("want the first image, and nobody to act: %s", describe(l))
	}
	w.wantRuns("app", 1)
	m.clear("kept/base")
	w.move(askedAgain)
	w.waitKnown("app", second)

	// What happens to the original breaks no build.
	w.faults.set("base", answers(http.StatusServiceUnavailable, "UNAVAILABLE"))
	w.edit("app", func(l *v1alpha1.ImageLineage) { l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "now"} })
	w.waitFor("app", "built anew", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run.Number == 3 && l.Status.Run.Outcome != "" })
	two := w.lineage("base").Status.Current
	if !m.isCopy(two.Mirror, "kept/base", second) {
		t.Errorf("the copy of %s is said to be %q", second, two.Mirror)
	}
	want := map[string]string{"1": pinned(t, one.Mirror), "2": pinned(t, two.Mirror), "3": pinned(t, two.Mirror)}
	if diff := cmp.Diff(want, w.basesOf("app")); diff != "" {
		t.Errorf("bases of the runs (-want +got):\n%s", diff)
	}
}

// TestAnImageThatSaysItIsBuiltOnTheMirror: its annotations prove its base.
func TestAnImageThatSaysItIsBuiltOnTheMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.newMirror()
	first := w.push("base:1", "base one")
	base := w.followed("base", "base:1")
	base.Spec.Mirror = m.mirrorOf("kept/base")
	w.push("app:1", "app one", string(base.Spec.Mirror.Image), string(first))
	w.create(base, w.tracked("app", "app:1", "base"))
	w.start(0)
	l := w.waitReady("app", v1alpha1.ReasonUpToDate)
	if from := l.Status.Current.BuiltFrom; len(from) != 1 || from[0].Digest != first {
		t.Errorf("built from %+v, want %s", from, first)
	}
}

// TestAMirrorThatIsDeclaredLater: what is current is copied, and moves nothing.
func TestAMirrorThatIsDeclaredLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.newMirror()
	first := w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"), w.produced("app", "app:1", "base"), w.deployment("tool", "base:1"))
	w.start(0)
	w.waitKnown("app", first)
	w.edit("base", func(l *v1alpha1.ImageLineage) {
		l.Spec.Mirror, l.Spec.Rollout = m.mirrorOf("kept/base"), &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	})
	l := w.waitFor("base", "copied", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && m.isCopy(l.Status.Current.Mirror, "kept/base", first)
	})
	if l.Status.Current.Revision.Revision != 1 || len(l.Status.History) != 1 || !m.has(t, l.Status.Current.Mirror) {
		t.Errorf("want the first revision, with a copy: %s", describe(l))
	}
	w.waitKnown("app", first)
	w.wantRuns("app", 1)

	// Workloads keep their repository, unless they are asked to use the mirror.
	second := w.moveBase("base two")
	w.waitKnown("app", second)
	w.waitAllCurrent("base", second)
	if got, want := w.imageOf("tool"), w.image("base:1@"+string(second)); got != want {
		t.Errorf("the workload has %s, want %s", got, want)
	}
	w.edit("base", func(l *v1alpha1.ImageLineage) { l.Spec.Rollout.UseMirror = true })
	w.waitFor("base", "pulled from the mirror", func(l *v1alpha1.ImageLineage) bool {
		return w.imageOf("tool") == l.Status.Current.Mirror && l.Status.Rollout.Summary == "1/1" && ready(l) == v1alpha1.ReasonUpToDate
	})
	w.move(time.Minute)
	w.wantRuns("app", 2)

	// Another mirror: what names the copy in the former one is found, and moved.
	w.edit("base", func(l *v1alpha1.ImageLineage) { l.Spec.Mirror = m.mirrorOf("other/base") })
	w.waitFor("base", "pulled from the other mirror", func(l *v1alpha1.ImageLineage) bool {
		return m.isCopy(w.imageOf("tool"), "other/base", second) && l.Status.Rollout.Summary == "1/1" && ready(l) == v1alpha1.ReasonUpToDate
	})
	// None: with the next digest it moves to the original.
	w.edit("base", func(l *v1alpha1.ImageLineage) { l.Spec.Mirror, l.Spec.Rollout.UseMirror = nil, false })
	w.waitFor("base", "counted", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.ObservedGeneration == l.Generation && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1"
	})
	third := w.moveBase("base three")
	w.waitAllCurrent("base", third)
	if got, want := w.imageOf("tool"), w.image("base:1@"+string(third)); got != want {
		t.Errorf("the workload has %s, want %s", got, want)
	}
	w.waitKnown("app", third)
	w.wantRuns("app", 3)
}

// TestADeletedCopyIsMadeAgain: it is looked for once an hour, and made again as long as the
// source has the image; then it is said to be missing.
func TestADeletedCopyIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.newMirror()
	first := w.push("base:1", "base one")
	base := w.followed("base", "base:1")
	base.Spec.Mirror = m.mirrorOf("kept/base")
	w.create(base)
	w.start(0)
	copied := w.waitReady("base", v1alpha1.ReasonUpToDate).Status.Current.Mirror
	kept, _ := m.kept(t, copied)
	remove := func() {
		t.Helper()
		if err := remote.Delete(kept); err != nil {
			t.Fatal(err)
		}
		w.move(2 * time.Hour)
	}
	remove()
	w.waitFor("base", "copied again", func(*v1alpha1.ImageLineage) bool { return m.has(t, copied) })

	w.untag("base@" + string(first))
	remove()
	missing := func(l *v1alpha1.ImageLineage) bool {
		is := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionImageMissing)
		return is != nil && is.Reason == v1alpha1.ReasonDigestGone && strings.Contains(is.Message, m.host+"/kept/base")
	}
	w.waitFor("base", "missing", func(l *v1alpha1.ImageLineage) bool {
		if missing(l) {
			return true
		}
		w.move(5 * time.Minute) // both registries have to say so twice
		return false
	})
	w.push("base:again", "base one")
	w.move(2 * time.Hour)
	w.waitFor("base", "there again", func(l *v1alpha1.ImageLineage) bool { return !missing(l) && m.has(t, copied) })
}
