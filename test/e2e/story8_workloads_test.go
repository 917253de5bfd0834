//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

// mended is the content of the image that ends the trouble.
const mended = "mended"

// oldPodStays checks that the failed rollout has taken nothing away: the pod of the image
// before still serves.
func (w *trouble) oldPodStays() {
	w.t.Helper()
	pods, err := w.pods(w.t.Context(), client.MatchingLabels{"app": subject})
	must(w.t, err)
	for i := range pods {
		is := pods[i].Status.ContainerStatuses
		if len(is) == 1 && is[0].Ready && strings.HasSuffix(is[0].ImageID, "@"+w.digests[subject+" "+first]) {
			return
		}
	}
	w.t.Errorf("no pod of %d runs the image before", len(pods))
}

// A vendor's image ends as soon as it is started.
var imageCrashes = driver{
	place:   "trouble-crash",
	follows: true,
	arrange: func(w *trouble) {
		w.push(subject, first)
		impatient := w.kin(subject)
		impatient.Deadline = 15
		w.declare(impatient)
		w.isOn(subject, first)
	},
	cause: func(w *trouble) {
		w.pushProgram(subject, later, "exit 5")
		w.look(subject)
	},
	lasts: (*trouble).oldPodStays,
	cure:  func(w *trouble) { w.move(subject, mended) },
	ends:  func(w *trouble) { w.isOn(subject, mended) },
}

// A vendor's image is there, and not for the machines of this cluster: every registry
// shows it, and no kubelet can pull it.
var imageNotPulled = driver{
	place:   "trouble-pull",
	follows: true,
	cause: func(w *trouble) {
		w.pushForeign()
		w.look(subject)
	},
	lasts: (*trouble).oldPodStays,
	cure:  func(w *trouble) { w.move(subject, mended) },
	ends:  func(w *trouble) { w.isOn(subject, mended) },
}

// pushForeign pushes the subject's image for another architecture only.
func (w *trouble) pushForeign() {
	w.t.Helper()
	image, err := live.Registry.Pull(w.t.Context(), live.BaseVersion(shop.FirstVersion))
	must(w.t, err)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}},
	})
	digest, err := live.Registry.PushIndex(w.t.Context(), w.tag(subject), index)
	must(w.t, err)
	w.digests[subject+" "+later] = digest
}
