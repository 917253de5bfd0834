// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// chosen makes a followed lineage of a repository, whose tag a policy chooses.
func (w *world) chosen(name, repository string, policy v1alpha1.TagPolicy) *v1alpha1.ImageLineage {
	l := w.followed(name, repository)
	l.Spec.Tags = &policy
	l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	return l
}

// listsWithout is a registry whose list of tags lacks one that it has.
func listsWithout(tag string) fault {
	return onPath("/tags/list", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		var list struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &list); err != nil {
			panic(err)
		}
		list.Tags = slices.DeleteFunc(list.Tags, func(listed string) bool { return listed == tag })
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
}

// waitChosen waits until a lineage has chosen a tag, which shows a digest.
func (w *world) waitChosen(name, tag string, digest v1alpha1.Digest) *v1alpha1.ImageLineage {
	w.t.Helper()
	return w.waitFor(name, "on tag "+tag, func(l *v1alpha1.ImageLineage) bool {
		return ready(l) == v1alpha1.ReasonUpToDate && current(l) == digest && l.Status.Current.Tag == tag
	})
}

// resolved is the condition that tells whether the registry's word can be read.
func resolved(l *v1alpha1.ImageLineage) metav1.Condition {
	if found := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionResolved); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// lists are how often the operator read the tags of a repository.
func (w *world) lists(repository string) int {
	return w.faults.requests(http.MethodGet, "/"+repository+"/tags/list")
}

// unusable makes a subject that chooses by a policy, which is corrected later.
func unusable(policy v1alpha1.TagPolicy) driver {
	return driver{
		arrange: func(w *world) { w.push("app:15.3", "app 15.3") },
		cause:   func(w *world) { w.create(w.chosen(subject, subject, policy)) },
		cure: func(w *world) {
			w.edit(subject, func(l *v1alpha1.ImageLineage) { l.Spec.Tags = &v1alpha1.TagPolicy{SemVer: "15.x"} })
		},
		ends: func(w *world) { w.waitChosen(subject, "15.3", w.shows("app:15.3")) },
	}
}

var _ = register(map[string]driver{
	"a range of versions that is none": unusable(v1alpha1.TagPolicy{SemVer: "fifteen"}),
	"a pattern that is none":           unusable(v1alpha1.TagPolicy{Pattern: "15.(", Order: v1alpha1.TagsAlphabetical}),
	"none of a repository's tags counts": {
		arrange: func(w *world) { w.push("app:15.3", "app 15.3") },
		cause:   func(w *world) { w.create(w.chosen(subject, subject, v1alpha1.TagPolicy{SemVer: "16.x"})) },
		lasts: func(w *world) {
			if l := w.lineage(subject); l.Status.Current != nil {
				w.t.Errorf("it has an image all the same: %s", describe(l))
			}
		},
		cure: func(w *world) { w.push("app:16.1", "app 16.1"); w.move(checkedAgain) },
		ends: func(w *world) { w.waitChosen(subject, "16.1", w.shows("app:16.1")) },
	},
	"a tag that a policy has chosen drops out of the list: no lower one is taken": {
		arrange: func(w *world) {
			w.push("app:15.3", "app 15.3")
			w.create(w.chosen(subject, subject, v1alpha1.TagPolicy{SemVer: "15.x"}), w.deployment(subject, "app:15.3"))
			w.start(0)
			w.waitChosen(subject, "15.3", w.shows("app:15.3"))
			w.push("app:15.4", "app 15.4")
			w.check(subject)
			w.waitChosen(subject, "15.4", w.shows("app:15.4"))
		},
		cause: (*world).offTheList,
		lasts: func(w *world) {
			l := w.waitChosen(subject, "15.4", w.shows("app:15.4"))
			if got, want := w.imageOf(subject), w.image("app:15.4@"+string(current(l))); got != want {
				w.t.Errorf("the Deployment has %s, want %s", got, want)
			}
		},
		cure: func(w *world) { w.faults.clear(subject); w.move(checkedAgain) },
		ends: func(w *world) { w.waitResolved(metav1.ConditionTrue, v1alpha1.ReasonResolved) },
	},
})

// offTheList has the registry's list lack the highest tag, which is still there, and
// checks that it is told after the second list.
func (w *world) offTheList() {
	w.t.Helper()
	w.faults.set(subject, listsWithout("15.4"))
	listed := w.lists(subject)
	w.check(subject)
	w.waitResolved(metav1.ConditionFalse, v1alpha1.ReasonTagAbsent)
	if is := resolved(w.lineage(subject)); !strings.Contains(is.Message, "app:15.4") || w.lists(subject)-listed < 2 {
		w.t.Errorf("said after %d lists: %s", w.lists(subject)-listed, is.Message)
	}
}

func TestAPolicyChoosesTheTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.push("db:15.3", "db 15.3")
	w.push("db:16.1", "db 16.1")
	w.push("db:edge", "db edge")
	w.create(w.chosen("db", "db", v1alpha1.TagPolicy{SemVer: "15.x"}), w.deployment("old", "db:15.3"), w.deployment("major", "db:16.1"))
	w.start(0)
	l := w.waitChosen("db", "15.3", first)
	if got := l.Status.Rollout.Summary; got != "1/1" || w.generationOf("old") != 1 {
		t.Errorf("%s workloads, want the one that runs what the policy claims: %s", got, describe(l))
	}

	second := w.push("db:15.4", "db 15.4")
	w.check("db")
	l = w.waitChosen("db", "15.4", second)
	if got, want := w.imageOf("old"), w.image("db:15.4@"+string(second)); got != want {
		t.Errorf("the workload has %s, want %s: %s", got, want, describe(l))
	}
	if got := w.imageOf("major"); got != w.image("db:16.1") || w.generationOf("major") != 1 {
		t.Errorf("another major version was moved to %s", got)
	}

	// Where none counts any more, what is current stays.
	w.edit("db", func(l *v1alpha1.ImageLineage) { l.Spec.Tags.SemVer = "17.x" })
	w.waitFor("db", "told that none counts", func(l *v1alpha1.ImageLineage) bool { return ready(l) == v1alpha1.ReasonTagAbsent })
	listed := w.lists("db")
	w.check("db")
	if err := eventually(t.Context(), func(context.Context) (bool, error) { return w.lists("db") > listed, nil }); err != nil {
		t.Fatal("the list was not read again")
	}
	third := w.push("db:17.1", "db 17.1")
	w.check("db")
	if l := w.waitChosen("db", "17.1", third); l.Status.Current.Revision.Revision != 3 {
		t.Errorf("something was current in between: %s", describe(l))
	}
}

// TestATypingMistakeForgetsNothing: a policy that cannot be read is said, and all that is
// known of the lineage stays.
func TestATypingMistakeForgetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	baseline := w.push("base:1", "base one")
	first := w.push("db:15.3", "db 15.3")
	l := w.tracked("db", "db", "base")
	l.Spec.Tags = &v1alpha1.TagPolicy{SemVer: "15.x"}
	w.create(w.followed("base", "base:1"), l, w.tracked("child", "child:1", "db"), w.deployment("old", "db:15.3"))
	w.start(0)
	w.waitFor("db", "on its first tag", func(l *v1alpha1.ImageLineage) bool {
		return current(l) == first && ready(l) == v1alpha1.ReasonBuiltFromUnknown
	})
	w.moveBase("base two")
	before := w.waitReady("db", v1alpha1.ReasonOutdatedUpstream).Status
	w.edit("db", func(l *v1alpha1.ImageLineage) { l.Spec.Tags.SemVer = "fifteen" })
	after := w.waitReady("db", v1alpha1.ReasonInvalidSpec).Status
	if before.From[0].Baseline != baseline || before.Role != v1alpha1.RoleIntermediary || before.OutdatedSince == nil || before.Rollout == nil {
		t.Fatalf("not as arranged: %+v", before)
	}
	for _, s := range []*v1alpha1.ImageLineageStatus{&before, &after} {
		s.ObservedGeneration, s.Conditions = 0, nil
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("status before and after the mistake (-want +got):\n%s", diff)
	}
	w.edit("db", func(l *v1alpha1.ImageLineage) { l.Spec.Tags.SemVer = "15.x" })
	w.waitReady("db", v1alpha1.ReasonOutdatedUpstream)
}

// TestATagThatIsGoneIsNotReplacedByALowerOne: neither the list nor the registry has it.
func TestATagThatIsGoneIsNotReplacedByALowerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("db:1.9", "db 1.9")
	highest := w.push("db:1.10", "db 1.10")
	w.create(w.chosen("db", "db", v1alpha1.TagPolicy{SemVer: ">=1.0 <2"}))
	w.start(0)
	w.waitChosen("db", "1.10", highest)
	w.untag("db:1.10")
	w.check("db")
	l := w.waitFor("db", "without its tag", func(l *v1alpha1.ImageLineage) bool { return resolved(l).Reason == v1alpha1.ReasonTagAbsent })
	if current(l) != highest || l.Status.Current.Revision.Revision != 1 {
		t.Errorf("it was rolled back: %s", describe(l))
	}
	higher := w.push("db:1.11", "db 1.11")
	w.check("db")
	w.waitChosen("db", "1.11", higher)
}

// TestOrdersOfTags: which of two tags is the higher one.
func TestOrdersOfTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	policies := map[string]v1alpha1.TagPolicy{
		"number":   {Pattern: `build-(\d+)`, Order: v1alpha1.TagsNumerical},
		"alphabet": {Pattern: `build-(.+)`, Order: v1alpha1.TagsAlphabetical},
		"version":  {Pattern: `v(.+)-slim`, SemVer: "1.x"},
	}
	want := map[string]string{"number": "build-10", "alphabet": "build-rc", "version": "v1.10-slim"}
	digests := map[string]v1alpha1.Digest{}
	for _, tag := range []string{"build-9", "build-10", "build-rc", "v1.9-slim", "v1.10-slim", "v1.11", "v2.0-slim"} {
		digests[tag] = w.push("db:"+tag, "db "+tag)
	}
	for name, policy := range policies {
		w.create(w.chosen(name, "db", policy))
	}
	w.start(0)
	for name, tag := range want {
		w.waitChosen(name, tag, digests[tag])
	}
	if n := w.lists("db"); n != 1 {
		t.Errorf("the list was read %d times for three lineages, want once", n)
	}
}

// TestAPolicyAtRestWritesNothing: it reads the list and the tag, and that is all.
func TestAPolicyAtRestWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push("db:15.3", "db 15.3")
	w.push("beside:1", "beside one")
	w.create(w.chosen("db", "db", v1alpha1.TagPolicy{SemVer: "15.x"}), w.deployment("old", "db:15.3"), w.followed("beside", "beside:1"))
	w.start(0)
	w.waitChosen("db", "15.3", digest)
	w.waitReady("beside", v1alpha1.ReasonUpToDate)
	untouched := w.versionsOf("db")
	for range 3 {
		listed := w.lists("db")
		w.move(checkedAgain)
		if err := eventually(t.Context(), func(context.Context) (bool, error) { return w.lists("db") > listed, nil }); err != nil {
			t.Fatal("the list was not read again")
		}
		// One that moves is written after what was asked before it.
		moved := w.push("beside:1", "beside at "+w.clock.Now().String())
		w.check("beside")
		w.waitFor("beside", "moved", func(l *v1alpha1.ImageLineage) bool { return current(l) == moved })
	}
	if now := w.versionsOf("db"); now != untouched {
		t.Errorf("it was %s, and is %s: %s", untouched, now, describe(w.lineage("db")))
	}
	if n := w.generationOf("old"); n != 1 {
		t.Errorf("the workload was written %d times, want never", n-1)
	}
}
