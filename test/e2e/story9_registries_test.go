//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestStoryRegistries: what the operator does with registries, with real ones. The operator
// is installed anew first, to be told of pushes.
func TestStoryRegistries(t *testing.T) {
	begin(t)
	told := newHearing(t)
	for _, story := range []struct {
		title string
		tell  func(*testing.T)
	}{
		{"a push is told of", told.pushes},
		{"a forged notification moves nothing", told.forged},
		{"a mirror outlives the original", mirrorOutlives},
		{"the highest version is run", highestRuns},
	} {
		t.Run(story.title, func(t *testing.T) {
			t.Parallel()
			story.tell(t)
		})
	}
}

// newPlace makes a namespace for a subject.
func newPlace(t *testing.T, place string, follows bool) *trouble {
	t.Helper()
	w := &trouble{driver: driver{place: place, follows: follows}, t: t, digests: map[string]string{}}
	dumpWhenFailed(t, w.namespace(subject))
	w.claim(subject)
	return w
}

// signature is the type of an artifact that is attached to an image.
const signature = "application/vnd.example.signature"

// mirrorOutlives: a base is mirrored, and deleted where it came from, with all that it was
// made of. Its children are built all the same.
func mirrorOutlives(t *testing.T) {
	t.Helper()
	w := newPlace(t, "mirror", false)
	original, mirror := live.Image("mirror/"+subject+"-base"), live.Image("mirror/copies")
	digest, images, err := live.PushPlatforms(t.Context(), "mirror/"+subject+"-base:1",
		map[string]string{"content": first}, "amd64", "arm64", "s390x")
	must(t, err)
	w.digests[subject+" "+first] = digest
	signed, err := live.Registry.Attach(t.Context(), original+"@"+digest, signature, "signed")
	must(t, err)

	child := w.kin(subject)
	child.Mirror = mirror
	w.declare(child)
	w.isOn(subject, first)
	w.isBuiltOnCopy(mirror, images)
	attached, err := live.Registry.Referrers(t.Context(), mirror+"@"+digest)
	must(t, err)
	if !slices.Contains(attached, signed) {
		t.Errorf("%q is attached to the copy, want %s among it", attached, signed)
	}

	must(t, live.Registry.Delete(t.Context(), original, append(images, digest, signed)...))
	for _, reference := range []string{original + ":1", original + "@" + digest} {
		if shown, err := live.Registry.Digest(t.Context(), reference); err != nil || shown != "" {
			t.Fatalf("%s is there after it was deleted: %s, %v", reference, shown, err)
		}
	}
	w.look(subject)
	becomes(t, answerLimit, w.place, subject+"-base", func(l *v1alpha1.ImageLineage) error {
		// Nothing pulls the original any more, so that nothing is missing.
		return errors.Join(shows(l, digest), says(l, "Resolved=False TagAbsent"))
	})

	child.Edition = "another"
	w.declare(child)
	becomes(t, cascadeLimit, w.place, subject, func(l *v1alpha1.ImageLineage) error {
		if now := l.Status.Current.Revision.Revision; now != 2 {
			return fmt.Errorf("revision %d is current: %s", now, all(l.Status.Conditions))
		}
		return says(l, "Ready=True UpToDate")
	})
	w.isBuiltOnCopy(mirror, images)
}

// isBuiltOnCopy checks that the newest image of the subject was built on a copy of its base,
// an index of images: its status says so, and the image itself.
func (w *trouble) isBuiltOnCopy(mirror string, images []string) {
	w.t.Helper()
	copied := w.read(subject + "-base").Status.Current.Mirror
	tagged, digest, _ := strings.Cut(copied, "@")
	if !strings.HasPrefix(tagged, mirror+":") || digest != w.digests[subject+" "+first] {
		w.t.Errorf("the copy is %q, want one of %s in %s", copied, w.digests[subject+" "+first], mirror)
	}
	current := w.read(subject).Status.Current
	if got := current.BuiltFrom[0].Mirror; got != copied {
		w.t.Errorf("it was built from %q, want %q", got, copied)
	}
	base, on, err := live.Registry.BuiltOn(w.t.Context(), current.Reference)
	must(w.t, err)
	if base != mirror && !strings.HasPrefix(base, mirror+":") || !slices.Contains(images, on) {
		w.t.Errorf("the image says that it was built on %s of %s, want one of %s of %s", on, base, images, mirror)
	}
}

// highestRuns: a higher version appears, and a workload on a lower one moves to it; not to
// one that is out of the range.
func highestRuns(t *testing.T) {
	t.Helper()
	w := newPlace(t, "tags", true)
	repository := live.Image("tags/" + subject)
	w.digests[subject+" "+first] = w.pushTag(repository+":1.0", first, stays)
	versions := w.kin(subject)
	versions.Tag, versions.Tags = "1.0", ">=1.0 <2"
	w.declare(versions)
	w.isOn(subject, first)

	w.pushTag(repository+":2.0", "next", stays)
	higher := w.pushTag(repository+":1.1", later, stays)
	w.digests[subject+" "+later] = higher
	w.look(subject)
	w.isOn(subject, later)
	deployment := &appsv1.Deployment{}
	must(t, live.Client.Get(t.Context(), types.NamespacedName{Namespace: w.namespace(subject), Name: subject}, deployment))
	if got, want := deployment.Spec.Template.Spec.Containers[0].Image, repository+":1.1@"+higher; got != want {
		t.Errorf("the Deployment has %s, want %s", got, want)
	}
	pods, err := w.pods(t.Context(), client.MatchingLabels{"app": subject})
	must(t, err)
	if !slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		is := pod.Status.ContainerStatuses
		return len(is) == 1 && is[0].Ready && strings.HasSuffix(is[0].ImageID, "@"+higher)
	}) {
		t.Errorf("no pod of %d runs 1.1", len(pods))
	}
}
