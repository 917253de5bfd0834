// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// claimant has revisions 1 (x), 2 (y) and 3 (z, current), an hour apart.
func claimant(edits ...func(*Claimant)) Claimant {
	var history []v1alpha1.Revision
	for i, d := range []v1alpha1.Digest{z, y, x} {
		r := built(int64(3-i), d, a)
		r.Accepted = metav1.NewMicroTime(now.Add(-time.Duration(i+1) * time.Hour))
		history = append(history, r)
	}
	cl := Claimant{Name: "web", Reference: webRef, Acts: true, Current: &history[0], History: history}
	for _, edit := range edits {
		edit(&cl)
	}
	return cl
}

func runs(image string, edits ...func(*Workload)) Workload {
	w := Workload{
		Kind: "Deployment", Namespace: "shop", Name: "web", Created: now.Add(-24 * time.Hour), Health: Healthy,
		Containers: []Container{{Name: "app", Image: image, SetAt: now.Add(-24 * time.Hour)}},
	}
	for _, edit := range edits {
		edit(&w)
	}
	return w
}

func remembers(to v1alpha1.Digest, revision int64) func(*Workload) {
	return func(w *Workload) {
		w.Remembered = map[string]Remembered{"app": {Lineage: "web", To: webRef.TaggedPinned(string(to)), Revision: revision}}
	}
}

func setAt(t time.Time, by string) func(*Workload) {
	return func(w *Workload) { w.Containers[0].SetAt, w.Containers[0].SetBy = t, by }
}

func podsRun(digests ...v1alpha1.Digest) func(*Workload) {
	return func(w *Workload) { w.Containers[0].Running = digests }
}

func started(t time.Time) func(*Workload) {
	return func(w *Workload) { w.Containers[0].Newest = t }
}

func unreported(w *Workload) { w.Containers[0].Unreported = true }

func health(h Health) func(*Workload) { return func(w *Workload) { w.Health = h } }

func TestRoll(t *testing.T) {
	tag := webRef.Name()
	sibling := claimant(func(cl *Claimant) {
		cl.Name, cl.Reference = "web-next", webRef.WithTag("next")
	})
	tests := map[string]struct {
		workload  Workload
		claimants []Claimant
		want      string // container → digest's first character
		wantCount string
	}{
		"another revision of the tag is moved": {
			workload: runs(webRef.TaggedPinned(string(y)), remembers(y, 2)),
			want:     "app→3", wantCount: "drifted",
		},
		"the current digest is left alone": {
			workload: runs(webRef.TaggedPinned(string(z))), wantCount: "current",
		},
		"on its way to the current digest": {
			workload: runs(webRef.TaggedPinned(string(z)), health(Progressing)), wantCount: "progressing",
		},
		"the current digest missed its deadline": {
			workload: runs(webRef.TaggedPinned(string(z)), health(Failed)), wantCount: "failed",
		},
		"paused with the current digest": {
			workload: runs(webRef.TaggedPinned(string(z)), health(Pending)), wantCount: "pending",
		},
		"paused with an older digest is patched all the same": {
			workload: runs(webRef.TaggedPinned(string(y)), health(Pending), remembers(y, 2)),
			want:     "app→3", wantCount: "drifted",
		},
		"another tag of the repository is somebody else's": {
			workload: runs("registry.example.com/shop/web:canary"),
		},
		"another repository is somebody else's": {
			workload: runs("registry.example.com/shop/api:stable"),
		},
		"an image that cannot be parsed is nobody's": {
			workload: runs("registry.example.com/shop/web:sta ble"),
		},
		"the plain tag whose pods run the current digest is left alone": {
			workload: runs(tag, podsRun(z)), wantCount: "current",
		},
		"the plain tag whose pods run an older digest is moved": {
			workload: runs(tag, podsRun(y)), want: "app→3", wantCount: "drifted",
		},
		"the plain tag of which one pod is behind is moved": {
			workload: runs(tag, podsRun(y, z)), want: "app→3", wantCount: "drifted",
		},
		"the plain tag whose pods do not tell yet is waited for": {
			workload: runs(tag, podsRun(z), unreported), wantCount: "progressing",
		},
		"the plain tag without pods is waited for": {
			workload: runs(tag), wantCount: "progressing",
		},
		"the plain tag scaled to zero pulls the tag when it starts": {
			workload: runs(tag, health(Pending)), wantCount: "pending",
		},
		"a bare digest that is a revision of this lineage is moved": {
			workload: runs(webRef.Pinned(string(y)), remembers(y, 2)), want: "app→3", wantCount: "drifted",
		},
		"a bare digest that is a revision of two lineages is never touched": {
			workload: runs(webRef.Pinned(string(y))), claimants: []Claimant{claimant(), sibling}, wantCount: "unknown",
		},
		"a bare digest that nobody knows is never touched": {
			workload: runs(webRef.Pinned(string(a))), wantCount: "unknown",
		},
		"a digest that nobody knows, written since the last revision, may be a release": {
			workload: runs(webRef.TaggedPinned(string(a)), setAt(now, "ci")), wantCount: "unknown",
		},
		"the plain tag whose new pods run what nobody knows may be a release": {
			workload: runs(tag, podsRun(a), started(now)), wantCount: "unknown",
		},
		"the plain tag whose old pods run what nobody knows is moved": {
			workload: runs(tag, podsRun(a), started(earlier.Add(-time.Minute))), want: "app→3", wantCount: "drifted",
		},
		"what ran when the lineage was declared is left alone": {
			workload:  runs(tag, podsRun(a), started(earlier.Add(-time.Hour))),
			claimants: []Claimant{claimant(func(cl *Claimant) { cl.History = cl.History[:1] })}, wantCount: "unknown",
		},
		"somebody who takes back to the tag what we wrote is not fought": {
			workload: runs(tag, podsRun(y), remembers(z, 3), setAt(now, "argocd-controller")), wantCount: "held",
		},
		"what was taken back before is moved with the next revision": {
			workload: runs(tag, podsRun(x), remembers(y, 2), setAt(now, "argocd-controller")), want: "app→3", wantCount: "drifted",
		},
		"a digest behind the tag that nobody knows is drift": {
			workload: runs(webRef.TaggedPinned(string(a))), want: "app→3", wantCount: "drifted",
		},
		"two lineages of one tag: neither acts": {
			workload: runs(tag, podsRun(y)), claimants: []Claimant{claimant(), claimant(func(cl *Claimant) { cl.Name = "other" })},
			wantCount: "unknown",
		},
		"a person's undo of what we wrote is left alone": {
			workload: runs(webRef.TaggedPinned(string(x)), remembers(y, 2)), wantCount: "held",
		},
		"a person's undo that brings back our annotation too is left alone": {
			workload:  runs(webRef.TaggedPinned(string(y)), remembers(y, 2), setAt(now.Add(-30*time.Minute), "kubectl-rollout")),
			wantCount: "held",
		},
		"what we wrote, and somebody else wrote too before the newer one came, is drift": {
			workload: runs(webRef.TaggedPinned(string(y)), remembers(y, 2), setAt(now.Add(-90*time.Minute), "argocd-controller")),
			want:     "app→3", wantCount: "drifted",
		},
		"what we wrote is drift, whenever that was": {
			workload: runs(webRef.TaggedPinned(string(y)), remembers(y, 2), setAt(now.Add(-30*time.Minute), v1alpha1.RolloutFieldManager)),
			want:     "app→3", wantCount: "drifted",
		},
		"a person's move to a newer revision than we wrote is drift": {
			workload: runs(webRef.TaggedPinned(string(y)), remembers(x, 1)), want: "app→3", wantCount: "drifted",
		},
		"an older revision that was set before the newer one came is drift": {
			workload: runs(webRef.TaggedPinned(string(y)), setAt(now.Add(-90*time.Minute), "kubectl")),
			want:     "app→3", wantCount: "drifted",
		},
		"an older revision that was set after the newer one came is a person's": {
			workload: runs(webRef.TaggedPinned(string(y)), setAt(now.Add(-30*time.Minute), "kubectl")), wantCount: "held",
		},
		"a workload created with an older revision is a person's": {
			workload: runs(webRef.TaggedPinned(string(y)), setAt(time.Time{}, ""), func(w *Workload) { w.Created = now }), wantCount: "held",
		},
		"a workload that another object controls is left alone": {
			workload: runs(tag, podsRun(y), func(w *Workload) { w.Controlled = true }),
		},
		"a lineage that does not act moves nothing": {
			workload: runs(tag, podsRun(y)), claimants: []Claimant{claimant(func(cl *Claimant) { cl.Acts = false })}, wantCount: "drifted",
		},
		"a lineage without a current image moves nothing": {
			workload:  runs(tag, podsRun(y)),
			claimants: []Claimant{claimant(func(cl *Claimant) { cl.Current, cl.History = nil, nil })}, wantCount: "unknown",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			claimants := tc.claimants
			if claimants == nil {
				claimants = []Claimant{claimant()}
			}
			if diff := cmp.Diff(tc.want, moves(Roll(tc.workload, claimants))); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			lineage := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
			if diff := cmp.Diff(tc.wantCount, counted(Tally(lineage, []Workload{tc.workload}, claimants))); diff != "" {
				t.Errorf("count (-want +got):\n%s", diff)
			}
		})
	}
}

func moves(changes []ImageChange) string {
	var out []string
	for _, change := range changes {
		hex := change.To[strings.Index(change.To, "sha256:")+len("sha256:"):]
		out = append(out, fmt.Sprintf("%s→%s", change.Container.Name, hex[:1]))
	}
	return strings.Join(out, " ")
}

func counted(c Count) string {
	for name, n := range map[string]int32{
		"current": c.Current, "progressing": c.Progressing, "pending": c.Pending, "drifted": c.Drifted,
		"failed": c.Failed, "held": c.Held, "unknown": c.Unknown,
	} {
		if n == c.Total && n > 0 {
			return name
		}
	}
	return ""
}

// TestRollMovesAllThatIsDueTogether: an application and a sidecar of two lineages
// cost one restart.
func TestRollMovesAllThatIsDueTogether(t *testing.T) {
	proxy := mustParse("registry.example.com/platform/proxy:2")
	w := runs(webRef.TaggedPinned(string(y)), remembers(y, 2), health(Progressing))
	w.Containers = append(w.Containers, Container{Name: "proxy", Init: true, Image: proxy.Name(), Running: []v1alpha1.Digest{a}})
	history := []v1alpha1.Revision{{Revision: 7, Digest: b}, {Revision: 6, Digest: a}}
	second := Claimant{Name: "proxy", Reference: proxy, Acts: true, Current: &history[0], History: history}

	got := Roll(w, []Claimant{claimant(), second})
	want := []ImageChange{
		{Container: w.Containers[0], To: webRef.TaggedPinned(string(z)), Memory: Remembered{
			Lineage: "web", From: webRef.TaggedPinned(string(y)), To: webRef.TaggedPinned(string(z)), Revision: 3,
		}},
		{Container: w.Containers[1], To: proxy.TaggedPinned(string(b)), Memory: Remembered{
			Lineage: "proxy", From: proxy.Name(), To: proxy.TaggedPinned(string(b)), Revision: 7,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestNotesNameTheTrouble(t *testing.T) {
	const crashes, late = "container app exits with code 1", "exceeded its progress deadline of 600 s: 1 out of 3 new replicas have been updated"
	const see = "; see: kubectl describe -n shop deployment/"
	current := webRef.TaggedPinned(string(z))
	stands := func(name string, health Health, message, trouble string) Workload {
		return runs(current, func(w *Workload) {
			w.Name, w.Health, w.HealthMessage, w.Trouble = name, health, message, trouble
		})
	}
	held := runs(webRef.TaggedPinned(string(x)), remembers(y, 2), func(w *Workload) { w.Name = "a-held" })
	heldNote := "deployment/a-held: container app was set back: it is left alone until its image changes again, or the lineage has a newer revision than was taken back"
	many := func(n int, w Workload) []Workload {
		return slices.Repeat([]Workload{w}, n)
	}
	tests := map[string]struct {
		workloads []Workload
		want      []string
	}{
		"a workload that failed": {
			workloads: []Workload{stands("web", Failed, late, crashes)},
			want:      []string{"deployment/web: " + late + ": " + crashes + see + "web"},
		},
		"a workload that failed for no reason that its pods tell": {
			workloads: []Workload{stands("web", Failed, late, "")},
			want:      []string{"deployment/web: " + late + see + "web"},
		},
		"a workload in trouble on its way, whose count of pods goes on": {
			workloads: []Workload{stands("web", Progressing, "1 of 3 updated replicas are available", crashes)},
			want:      []string{"deployment/web: " + crashes},
		},
		"a workload that the cluster does not let us change": {
			workloads: []Workload{runs(webRef.TaggedPinned(string(y)), func(w *Workload) { w.Refused = "no" })},
			want:      []string{"deployment/web: no"},
		},
		"a workload on its way": {
			workloads: []Workload{stands("web", Progressing, "1 of 3 updated replicas are available", "")},
		},
		"a healthy workload of which one pod is in trouble": {
			workloads: []Workload{stands("web", Healthy, "3 of 3 replicas are updated and available", crashes)},
		},
		"a healthy workload whose pod of the plain tag does not tell what it runs": {
			workloads: []Workload{runs(webRef.Name(), podsRun(z), unreported, func(w *Workload) { w.Trouble = crashes })},
			want:      []string{"deployment/web: " + crashes},
		},
		"a paused workload": {
			workloads: []Workload{stands("web", Pending, "scaled to zero", crashes)},
			want:      []string{"deployment/web: scaled to zero"},
		},
		"what failed goes first, then what is in trouble": {
			workloads: []Workload{
				held, stands("b", Progressing, "waiting", crashes), stands("c", Failed, late, crashes),
				stands("d", Progressing, "waiting", crashes), stands("e", Failed, late, ""),
			},
			want: []string{
				"deployment/c: " + late + ": " + crashes + see + "c", "deployment/e: " + late + see + "e",
				"deployment/b: " + crashes, "deployment/d: " + crashes, heldNote,
			},
		},
		"what failed has room among many others": {
			workloads: append(many(9, held), stands("web", Failed, late, "")),
			want:      append([]string{"deployment/web: " + late + see + "web"}, slices.Repeat([]string{heldNote}, 7)...),
		},
		"no more notes than the status holds": {
			workloads: many(9, stands("web", Failed, late, "")),
			want:      slices.Repeat([]string{"deployment/web: " + late + see + "web"}, 8),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			lineage := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
			got := Tally(lineage, tc.workloads, []Claimant{claimant()}).Notes
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}
