// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"net/http"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

var _ = register(map[string]driver{
	"a release that is pushed during our run wins": {
		cause: func(w *world) {
			w.building()
			w.push("app:1", "a release")
			w.tekton.behave(subject, builds)
		},
		lasts: func(w *world) { w.releaseWins("a release") },
		ends:  func(w *world) { w.releaseWins("a release") },
	},
	"two releases that are pushed during our run: the newer wins": {
		cause: func(w *world) {
			w.building()
			first := w.push("app:1", "a release")
			w.check(subject)
			w.waitFor(subject, "on the first release", func(l *v1alpha1.ImageLineage) bool { return current(l) == first })
			// The second one the operator meets only as it publishes.
			w.push("app:1", "a newer release")
			w.tekton.behave(subject, builds)
		},
		lasts: func(w *world) { w.releaseWins("a newer release") },
		ends:  func(w *world) { w.releaseWins("a newer release") },
	},
	"a release that lands between our read and our write is overwritten, and kept under its digest": {
		cause: (*world).releaseInBetween,
		ends: func(w *world) {
			w.check(subject)
			w.waitFor(subject, "checked", func(l *v1alpha1.ImageLineage) bool { return l.Status.Handled != nil && l.Status.Handled.Check == "+" })
			w.rebuilt("2/1 Published", 2)
		},
	},
	"a tag that a person puts back to an older revision stays there": {
		cause: func(w *world) {
			first := w.shows("app:1")
			w.waitRolledOut(w.moveBase("base two"))
			w.retag("app:1", first)
			w.check(subject)
		},
		lasts: (*world).rolledBack,
		cure:  func(w *world) { w.move(2 * time.Hour) }, // the tag is looked at again
		ends: func(w *world) {
			w.rolledBack()
			// The base that the person left is still there. A newer one ends the hold.
			w.waitRolledOut(w.moveBase("base three"))
			w.wantRun("4/1 Published", 3)
		},
	},
	"a base that moves there, back, and there again": {
		cause: func(w *world) {
			for _, content := range []string{"base two", "base one", "base two"} {
				moved := w.moveBase(content)
				w.waitFor("base", "seen to be on "+content, func(l *v1alpha1.ImageLineage) bool { return current(l) == moved })
			}
		},
		ends: func(w *world) {
			l := w.waitRolledOut(w.shows("base:1"))
			if tag := w.shows("app:1"); tag != current(l) {
				w.t.Errorf("the tag shows %s: %s", tag, describe(l))
			}
			// One for each time that the base was seen to move, and the first.
			if n := w.runsOf(subject); n > 4 {
				w.t.Errorf("%d runs, want 4 at most: %s", n, describe(l))
			}
		},
	},
})

// releaseWins waits until the subject and its Deployment are on what somebody else has
// pushed, and checks that the run that was in flight changed nothing.
func (w *world) releaseWins(content string) {
	w.t.Helper()
	tag := w.shows("app:1")
	if release := w.push("aside:1", content); tag != release {
		w.t.Errorf("the tag shows %s, want %s, %s: %s", tag, content, release, describe(w.lineage(subject)))
	}
	w.waitFor(subject, "rolled out on "+content, func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonBuiltFromUnknown && current(l) == tag && l.Status.Rollout.Summary == "1/1"
	})
	if image := w.imageOf(subject); image != w.image("app:1")+"@"+string(tag) {
		w.t.Errorf("the Deployment runs %s, want the release %s", image, tag)
	}
	w.wantRun("2/1 Superseded", 2)
	w.wantPublished(1)
}

// releaseInBetween pushes a release when the operator has read the tag and is about to
// write it. No registry can tell us of it: that is the window that is documented.
func (w *world) releaseInBetween() {
	w.t.Helper()
	release, err := makeImage("a release in between")
	if err != nil {
		w.t.Fatal(err)
	}
	digest, err := digestOf(release)
	if err != nil {
		w.t.Fatal(err)
	}
	landed := w.faults.before(http.MethodPut, "/app/manifests/1", func() {
		if err := pushImage(w.behind(w.image("app:1")), release); err != nil {
			w.t.Error(err)
		}
	})
	l := w.waitRolledOut(w.moveBase("base two"))
	select {
	case <-landed:
	default:
		w.t.Error("the tag was not written")
	}
	if tag := w.shows("app:1"); tag != current(l) || tag == digest {
		w.t.Errorf("the tag shows %s, want ours: %s", tag, describe(l))
	}
	if got := w.shows("app@" + string(digest)); got != digest {
		w.t.Error("the release cannot be pulled by its digest any more")
	}
}

// rolledBack waits until the subject and its Deployment are on the first image again, and
// checks that nothing was built for it.
func (w *world) rolledBack() {
	w.t.Helper()
	l := w.waitFor(subject, "rolled back", func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonHeldByUser && l.Status.Current.Origin == v1alpha1.OriginRolledBack && l.Status.Rollout.Summary == "1/1"
	})
	first := l.Status.History[len(l.Status.History)-1].Digest
	if tag := w.shows("app:1"); tag != first || current(l) != first || !strings.HasSuffix(w.imageOf(subject), "@"+string(first)) {
		w.t.Errorf("the tag shows %s and the Deployment runs %s, want the first image: %s", tag, w.imageOf(subject), describe(l))
	}
	w.wantRun("2/1 Published", 2)
}
