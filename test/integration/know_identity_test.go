// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// release is what an index of two platforms is made of. Who changes one field changes
// the digest of the index, and what else that changes differs.
type release struct {
	// amd64 and arm64 are the layers of the platforms.
	amd64, arm64 string
	// label is in the configuration of both images.
	label string
	// note is an annotation of the index.
	note string
}

// pushRelease puts an index under a tag.
func (w *world) pushRelease(of string, r release) v1alpha1.Digest {
	w.t.Helper()
	index := mutate.Annotations(empty.Index, map[string]string{"note": r.note}).(v1.ImageIndex)
	for _, platform := range [][2]string{{"amd64", r.amd64}, {"arm64", r.arm64}} {
		architecture, content := platform[0], platform[1]
		img, err := makePlatform(architecture, content, r.label)
		if err != nil {
			w.t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	ref, err := name.ParseReference(w.behind(w.image(of)), name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		w.t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	return v1alpha1.Digest(digest.String())
}

func makePlatform(architecture, content, label string) (v1.Image, error) {
	img, err := makeImage(content)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config.Labels = map[string]string{"built": label}
	return mutate.ConfigFile(img, config)
}

// changeOn says what counts as a change of a lineage's image.
func changeOn(l *v1alpha1.ImageLineage, kind v1alpha1.IdentityKind, platforms ...v1alpha1.Platform) *v1alpha1.ImageLineage {
	l.Spec.Poll.ChangeOn, l.Spec.Poll.Platforms = kind, platforms
	return l
}

// identityOf is the identity of a kind that the current image has; empty without one.
func identityOf(l *v1alpha1.ImageLineage, kind v1alpha1.IdentityKind) string {
	if l.Status.Current == nil {
		return ""
	}
	for _, identity := range l.Status.Current.Identities {
		if identity.Kind == kind {
			return identity.Value
		}
	}
	return ""
}

// waitKnown waits until a child knows the digest of its parent, and is at rest.
func (w *world) waitKnown(child string, of v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(child, "at rest beside "+string(of), func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && len(l.Status.From) == 1 && l.Status.From[0].Accepted == of
	})
}

// waitAllCurrent waits until a digest is current, and the lineage's one workload counts
// as being on it.
func (w *world) waitAllCurrent(name string, digest v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, "rolled out on "+string(digest), func(l *v1alpha1.ImageLineage) bool {
		return current(l) == digest && l.Status.Rollout != nil && l.Status.Rollout.Summary == "1/1" &&
			meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReady)
	})
}

func TestWhatCountsAsAChange(t *testing.T) {
	first := release{amd64: "amd64 one", arm64: "arm64 one", label: "monday", note: "one"}
	with := func(change func(*release)) release {
		r := first
		change(&r)
		return r
	}
	tests := map[string]struct {
		kind      v1alpha1.IdentityKind
		platforms []v1alpha1.Platform
		// quiet changes the digest alone, and loud what counts.
		quiet, loud release
	}{
		"a label is no content, a layer is": {
			kind:  v1alpha1.IdentityContent,
			quiet: with(func(r *release) { r.label = "tuesday" }),
			loud:  with(func(r *release) { r.arm64 = "arm64 two" }),
		},
		"an annotation of the index is no platform's image, a label is": {
			kind:  v1alpha1.IdentityPlatforms,
			quiet: with(func(r *release) { r.note = "two" }),
			loud:  with(func(r *release) { r.label = "tuesday" }),
		},
		"a platform that nobody runs does not count": {
			kind: v1alpha1.IdentityPlatforms, platforms: []v1alpha1.Platform{"linux/amd64"},
			quiet: with(func(r *release) { r.arm64 = "arm64 two" }),
			loud:  with(func(r *release) { r.amd64 = "amd64 two" }),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			start := w.pushRelease("base:1", first)
			base := changeOn(w.followed("base", "base:1"), tc.kind, tc.platforms...)
			base.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
			w.create(base, w.deployment("tool", "base:1"), w.produced("app", "app:1", "base"))
			w.start(0)
			w.waitKnown("app", start)
			before := w.waitAllCurrent("base", start)

			quiet := w.pushRelease("base:1", tc.quiet)
			w.check("base")
			after := w.waitAllCurrent("base", quiet)
			child := w.waitKnown("app", quiet)
			if after.Status.Current.Revision.Revision != 2 || identityOf(after, tc.kind) == "" || identityOf(after, tc.kind) != identityOf(before, tc.kind) {
				t.Errorf("want a second revision that is the same by %s: %s", tc.kind, describe(after))
			}
			if child.Status.Current.BuiltFrom[0].Digest != start || w.generationOf("tool") != 1 {
				t.Errorf("the child is built from %s, and the workload was written %d times: %s",
					child.Status.Current.BuiltFrom[0].Digest, w.generationOf("tool"), describe(child))
			}
			w.wantRuns("app", 1)

			loud := w.pushRelease("base:1", tc.loud)
			w.check("base")
			w.waitAllCurrent("base", loud)
			child = w.waitKnown("app", loud)
			if got := child.Status.Current.BuiltFrom[0].Digest; got != loud {
				t.Errorf("the child is built from %s, want the newest, %s", got, loud)
			}
			if got, want := w.imageOf("tool"), w.image("base:1@"+string(loud)); got != want {
				t.Errorf("the workload has %s, want %s", got, want)
			}
			w.wantRuns("app", 2)

			// One that is pinned keeps its digest, too.
			w.pushRelease("base:1", first)
			w.check("base")
			w.waitAllCurrent("base", start)
			w.waitKnown("app", start)
			w.pushRelease("base:1", tc.quiet)
			w.check("base")
			w.waitAllCurrent("base", quiet)
			w.waitKnown("app", quiet)
			if got, want := w.imageOf("tool"), w.image("base:1@"+string(start)); got != want {
				t.Errorf("the workload has %s, want %s", got, want)
			}
			w.wantRuns("app", 3)
		})
	}
}

// TestAnotherKindOfChangeBuildsNothing: who edits poll.changeOn has changed nothing yet.
func TestAnotherKindOfChangeBuildsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.pushRelease("base:1", release{amd64: "amd64", arm64: "arm64"})
	w.create(w.followed("base", "base:1"), w.produced("app", "app:1", "base"))
	w.start(0)
	w.waitKnown("app", digest)
	kinds := []v1alpha1.IdentityKind{v1alpha1.IdentityContent, v1alpha1.IdentityPlatforms, v1alpha1.IdentityIndex, v1alpha1.IdentityContent}
	for _, kind := range kinds {
		w.edit("base", func(l *v1alpha1.ImageLineage) { changeOn(l, kind) })
		w.waitFor("base", "known by "+string(kind), func(l *v1alpha1.ImageLineage) bool {
			return ready(l) == v1alpha1.ReasonUpToDate && identityOf(l, kind) != ""
		})
		child := w.waitFor("app", "compared by "+string(kind), func(l *v1alpha1.ImageLineage) bool {
			return ready(l) == v1alpha1.ReasonUpToDate && comparedBy(l) == kind
		})
		if got := child.Status.Current.Revision.Revision; got != 1 {
			t.Errorf("by %s: revision %d of the child, want none but the first: %s", kind, got, describe(child))
		}
	}
	// Each platform alone is another image than both of them.
	was := identityOf(w.lineage("base"), v1alpha1.IdentityContent)
	w.edit("base", func(l *v1alpha1.ImageLineage) { changeOn(l, v1alpha1.IdentityContent, "linux/arm64") })
	w.waitFor("base", "known by one platform", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && identityOf(l, v1alpha1.IdentityContent) != was
	})
	w.waitKnown("app", digest)
	w.wantRuns("app", 1)
	if got := w.lineage("base").Status.Current.Revision.Revision; got != 1 {
		t.Errorf("revision %d of the base, want none but the first", got)
	}
}

// TestAnotherKindMovesNothingThatWasTheSame: a child that is on an older digest of the
// same content stays on it when something else counts.
func TestAnotherKindMovesNothingThatWasTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.pushRelease("base:1", release{amd64: "amd64", arm64: "arm64", label: "monday"})
	base := changeOn(w.followed("base", "base:1"), v1alpha1.IdentityContent)
	base.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	w.create(base, w.deployment("tool", "base:1@"+string(first)), w.produced("app", "app:1", "base"))
	w.start(0)
	w.waitKnown("app", first)
	quiet := w.pushRelease("base:1", release{amd64: "amd64", arm64: "arm64", label: "tuesday"})
	w.check("base")
	w.waitKnown("app", quiet)
	w.edit("base", func(l *v1alpha1.ImageLineage) { changeOn(l, v1alpha1.IdentityPlatforms) })
	w.waitFor("app", "compared by platforms", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && comparedBy(l) == v1alpha1.IdentityPlatforms
	})
	w.waitAllCurrent("base", quiet)
	if n := w.generationOf("tool"); n != 1 {
		t.Errorf("the workload was written %d times, want never", n-1)
	}
	w.wantRuns("app", 1)
}

// comparedBy is what counts for a lineage's one parent.
func comparedBy(l *v1alpha1.ImageLineage) v1alpha1.IdentityKind {
	if len(l.Status.From) != 1 || l.Status.From[0].Accepted == "" {
		return ""
	}
	if identity := l.Status.From[0].Identity; identity != nil {
		return identity.Kind
	}
	return v1alpha1.IdentityIndex
}

// TestWhatIsKnownIsNotReadAgain: after a restart a check is one HEAD, whatever counts as
// a change.
func TestWhatIsKnownIsNotReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pushRelease("base:1", release{amd64: "amd64", arm64: "arm64"})
	w.create(changeOn(w.followed("base", "base:1"), v1alpha1.IdentityContent))
	before := w.start(0)
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	before.stop()
	read := w.faults.requests(http.MethodGet, "/base/")
	if read == 0 {
		t.Error("nothing was read of the image, want its configuration")
	}
	w.start(0)
	for range 2 {
		asked := w.faults.requests(http.MethodHead, "/base/")
		w.check("base")
		w.waitFor("base", "asked for", func(*v1alpha1.ImageLineage) bool { return w.faults.requests(http.MethodHead, "/base/") > asked })
	}
	w.waitFor("base", "answered", func(l *v1alpha1.ImageLineage) bool {
		return l.Status.Handled != nil && l.Status.Handled.Check == "++"
	})
	if n := w.faults.requests(http.MethodGet, "/base/") - read; n != 0 {
		t.Errorf("%d more requests for what is known", n)
	}
}

// TestAPlatformThatIsMissing: what was asked for cannot be compared, and is named.
func TestAPlatformThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.pushRelease("base:1", release{amd64: "amd64", arm64: "arm64"})
	w.create(changeOn(w.followed("base", "base:1"), v1alpha1.IdentityContent, "linux/s390x"))
	w.start(0)
	l := w.waitReady("base", v1alpha1.ReasonRegistryUnreachable)
	if !strings.Contains(message(l), "spec.poll.platforms") {
		t.Errorf("it says %q, want the name of the field", message(l))
	}
	w.edit("base", func(l *v1alpha1.ImageLineage) { l.Spec.Poll.Platforms = append(l.Spec.Poll.Platforms, "linux/arm64") })
	w.waitFor("base", "on its image", func(l *v1alpha1.ImageLineage) bool { return current(l) == digest })
}
