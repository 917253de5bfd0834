// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
	runsofcluster "github.com/imagelineage/imagelineage/internal/tekton"
)

// The times after which the operator does something by itself, and a little more.
const (
	checkedAgain   = 2 * time.Hour    // a tag, while all is well
	askedAgain     = time.Minute      // a registry, after its first failures: 10 s, 20 s, 40 s
	publishedAgain = 31 * time.Second // an image that could not be published
	permittedAgain = 61 * time.Second // one whose push is not allowed
)

// followedThrough makes a followed subject, whose tag exists, meet a fault at once.
func followedThrough(f fault) driver {
	return driver{
		arrange: func(w *world) {
			w.push("app:1", "app one")
			w.faults.set(subject, f)
		},
		cause: func(w *world) { w.create(w.followed(subject, "app:1")) },
		cure:  func(w *world) { w.faults.clear(subject); w.asksAgainAfter(askedAgain) },
	}
}

var _ = register(map[string]driver{
	"404: the tag does not exist": {
		arrange: func(*world) {},
		cause:   func(w *world) { w.create(w.followed(subject, "app:1")) },
		cure:    func(w *world) { w.push("app:1", "app one"); w.move(checkedAgain) },
	},
	"404 in words that are no registry's: hidden from us": followedThrough(hidden404()),
	"403":                        followedThrough(answers(http.StatusForbidden, "DENIED")),
	"500":                        followedThrough(answers(http.StatusInternalServerError, "UNKNOWN")),
	"no answer at all":           followedThrough(hangs()),
	"a web page with status 200": followedThrough(answersHTML()),
	"401": {
		arrange: func(w *world) {
			w.push("app:1", "app one")
			w.faults.set(subject, wantsPassword("new"))
			w.create(w.pullSecret("old"))
		},
		cause: func(w *world) { w.create(withSecret(w.followed(subject, "app:1"))) },
		// The renewed Secret is noticed when the registry refuses the old one again.
		cure: func(w *world) { w.renew("new"); w.asksAgainAfter(askedAgain) },
	},
	"a pull Secret that is missing": {
		arrange: func(w *world) {
			w.push("app:1", "app one")
			w.faults.set(subject, wantsPassword("right"))
		},
		cause: func(w *world) { w.create(withSecret(w.followed(subject, "app:1"))) },
		lasts: func(w *world) {
			if n := w.questions(); n != 0 {
				w.t.Errorf("the registry was asked %d times without the credentials that the spec names", n)
			}
		},
		cure: func(w *world) { w.create(w.pullSecret("right")); w.asksAgainAfter(askedAgain) },
	},
	"429, with the wish to be left alone": {
		arrange: func(w *world) {
			w.push("app:1", "app one")
			w.push("beside:1", "beside")
			w.create(w.pullSecret("its own"))
			w.faults.set(subject, answers(http.StatusTooManyRequests, "TOOMANYREQUESTS", "Retry-After", "120"))
		},
		// A registry limits each account by itself, and is left alone under that one. The
		// neighbour has none.
		cause: func(w *world) { w.create(withSecret(w.followed(subject, "app:1"))) },
		lasts: func(w *world) {
			asked := w.questions()
			w.move(60 * time.Second)
			// A new tag is checked by the same schedule: when it is, the others that are due are.
			w.create(w.followed("beside", "beside:1"))
			w.waitReady("beside", v1alpha1.ReasonUpToDate)
			if n := w.questions() - asked; n != 0 {
				w.t.Errorf("asked %d times within a minute, of two in which it wants to be left alone", n)
			}
			w.asksAgainAfter(70 * time.Second)
		},
		cure: func(w *world) { w.faults.clear(subject); w.asksAgainAfter(130 * time.Second) },
	},
	"no digest header: it works all the same": {
		arrange: func(w *world) { w.faults.set(subject, noDigestHeader()); w.atRest() },
		cause:   func(w *world) { w.moveBase("base two") },
		lasts:   func(w *world) { w.waitRolledOut(w.shows("base:1")) },
		ends:    func(w *world) { w.wantRuns(subject, 2); w.wantPublished(2) },
	},
	"no right to push: said before the first run": {
		arrange: func(w *world) { w.base(); w.faults.set(subject, refusesWrites(http.StatusForbidden, "DENIED")) },
		cause:   func(w *world) { w.create(w.produced(subject, "app:1", "base")) },
		lasts: func(w *world) {
			w.asksAgainAfter(permittedAgain)
			w.wantRuns(subject, 0)
		},
		cure: func(w *world) { w.faults.clear(subject); w.asksAgainAfter(permittedAgain) },
		ends: func(w *world) { w.wantRuns(subject, 1); w.wantPublished(1) },
	},
	"a tag that vanishes is put back": {
		cause: func(w *world) { w.untag("app:1"); w.move(checkedAgain) },
		lasts: (*world).unmoved,
		ends:  func(w *world) { w.wantRuns(subject, 1); w.wantPublished(2) },
	},
	// A run has ended, and its manifest is read in order to be put under the tag: only
	// that answer has a body.
	"a connection that breaks in the middle of an answer": {
		cause: func(w *world) {
			w.faults.set(subject, onMethod(http.MethodGet, resetsInBody()))
			w.moveBase("base two")
		},
		lasts: (*world).unpublished,
		cure:  func(w *world) { w.faults.clear(subject); w.asksAgainAfter(publishedAgain) },
		ends:  (*world).publishedOnce,
	},
	"a registry that is down for the whole of a publish": {
		cause: func(w *world) {
			w.tekton.behave(subject, holds)
			w.moveBase("base two")
			w.waitFor(subject, "building", func(l *v1alpha1.ImageLineage) bool { return l.Status.Run.Outcome == "" })
			w.faults.set(subject, answers(http.StatusServiceUnavailable, "UNAVAILABLE"))
			w.tekton.behave(subject, builds)
		},
		lasts: func(w *world) {
			for range 3 {
				w.asksAgainAfter(publishedAgain)
			}
			w.unpublished()
		},
		cure: func(w *world) { w.faults.clear(subject); w.asksAgainAfter(publishedAgain) },
		ends: (*world).publishedOnce,
	},
	"a registry that is down for the whole of a rollout: nothing goes back": {
		cause: func(w *world) {
			w.kubelet.behave(subject, cannotPull)
			w.faults.set(subject, downOncePut("1"))
			w.moveBase("base two")
		},
		lasts: (*world).stays,
		cure: func(w *world) {
			w.faults.clear(subject)
			w.kubelet.behave(subject, runs)
			w.asksAgainAfter(checkedAgain)
		},
		ends: func(w *world) {
			w.waitResolved(metav1.ConditionTrue, v1alpha1.ReasonResolved)
			w.publishedOnce()
			w.unmoved()
		},
	},
	"more builds are due than may run at once": crowded(),
})

// questions are how often the registry was asked for the subject's repository.
func (w *world) questions() int { return w.faults.requests("", "/"+subject+"/") }

// asksAgainAfter lets time pass, and waits until the registry was asked again.
func (w *world) asksAgainAfter(d time.Duration) {
	w.t.Helper()
	asked := w.questions()
	w.move(d)
	err := eventually(w.t.Context(), func(context.Context) (bool, error) { return w.questions() > asked, nil })
	if err != nil {
		w.t.Fatalf("after %v the registry was not asked again: %s", d, describe(w.lineage(subject)))
	}
}

// wantPublished checks how often the operator wrote the subject's tag.
func (w *world) wantPublished(want int) {
	w.t.Helper()
	if got := w.faults.requests(http.MethodPut, "/"+subject+"/manifests/1"); got != want {
		w.t.Errorf("the tag was written %d times, want %d: %s", got, want, describe(w.lineage(subject)))
	}
}

// unpublished checks that the second run is not repeated, and shows nowhere yet.
func (w *world) unpublished() {
	w.t.Helper()
	w.wantRuns(subject, 2)
	w.wantPublished(1)
	w.unmoved()
}

// publishedOnce checks that the second run was published, and rolled out.
func (w *world) publishedOnce() {
	w.t.Helper()
	w.waitRolledOut(w.shows("base:1"))
	w.wantRuns(subject, 2)
	w.wantPublished(2)
}

// unmoved checks that the tag shows the current image, and that the Deployment, whose
// image is named by its tag at first, runs it.
func (w *world) unmoved() {
	w.t.Helper()
	is := current(w.lineage(subject))
	if got := w.shows("app:1"); got != is {
		w.t.Errorf("the tag shows %q, want %q", got, is)
	}
	if got := w.imageOf(subject); got != w.image("app:1") && got != w.image("app:1")+"@"+string(is) {
		w.t.Errorf("the Deployment runs %s, want %s", got, is)
	}
}

// stays lets the registry be down for hours, and checks that nothing goes back.
func (w *world) stays() {
	w.t.Helper()
	before := w.waitFor(subject, "built on the new base", w.builtOn(w.shows("base:1")))
	// It fails three times, and for hours: that is told, and changes nothing.
	for range 3 {
		w.asksAgainAfter(checkedAgain)
	}
	w.waitResolved(metav1.ConditionFalse, v1alpha1.ReasonRegistryUnreachable)
	after := w.waitReady(subject, v1alpha1.ReasonRollingOut)
	if current(after) != current(before) || after.Status.Current.Revision.Revision != 2 {
		w.t.Errorf("another image is current: %s", describe(after))
	}
	if got, want := w.imageOf(subject), w.image("app:1")+"@"+string(current(before)); got != want {
		w.t.Errorf("the Deployment runs %s, want %s", got, want)
	}
	w.wantRuns(subject, 2)
	w.wantPublished(2)
}

// waitResolved waits until it is told whether the subject's tag can be read.
func (w *world) waitResolved(status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	w.waitFor(subject, "Resolved "+reason, func(l *v1alpha1.ImageLineage) bool {
		is := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionResolved)
		return is != nil && is.Status == status && is.Reason == reason
	})
}

// downOncePut is a registry that goes down right after a tag was written.
func downOncePut(tag string) fault {
	var down atomic.Bool
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if down.Load() {
			answers(http.StatusServiceUnavailable, "UNAVAILABLE")(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+tag) {
			down.Store(true)
		}
	}
}

// wantsPassword is a registry that lets only those in who have one.
func wantsPassword(password string) fault {
	return only(func(r *http.Request) bool {
		_, got, _ := r.BasicAuth()
		return got != password
	}, answers(http.StatusUnauthorized, "UNAUTHORIZED"))
}

// pullSecretName is the Secret that withSecret names.
const pullSecretName = "registry"

func withSecret(l *v1alpha1.ImageLineage) *v1alpha1.ImageLineage {
	l.Spec.PullSecrets = []v1alpha1.SecretReference{{Name: pullSecretName}}
	return l
}

// pullSecret holds a password for the world's registry.
func (w *world) pullSecret(password string) *corev1.Secret {
	w.t.Helper()
	login := map[string]string{"username": "somebody", "password": password}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{w.host: login}})
	if err != nil {
		w.t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: pullSecretName},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: config},
	}
}

// renew puts another password into the Secret.
func (w *world) renew(password string) {
	w.t.Helper()
	if err := admin.Update(w.t.Context(), w.pullSecret(password)); err != nil {
		w.t.Fatal(err)
	}
}

// crowded is an operator that may run two builds at once. One run never ends, and a
// second one not before two lineages wait for its place.
func crowded() driver {
	const limit, late = 2, "late"
	var live *liveRuns
	return driver{
		// It counts the runs of the whole cluster, those that other worlds have left
		// behind included: none may come or go meanwhile.
		alone: true,
		arrange: func(w *world) {
			w.limitBuilds(limit)
			live = w.watchRuns()
			w.atRest()
			w.waitNeighbour(w.shows("near-base:1"))
			w.push("hogs:1", "hogs one")
			w.create(w.followed("hogs", "hogs:1"))
		},
		cause: func(w *world) {
			for _, hog := range []string{"hog", "hog2"} {
				w.tekton.behave(hog, holds)
				w.create(w.produced(hog, hog+":1", "hogs"))
				w.waitReady(hog, v1alpha1.ReasonBuilding)
			}
			w.moveBase("base two")
		},
		lasts: func(w *world) {
			w.create(w.produced(late, late+":1", "base"))
			w.waitReady(late, v1alpha1.ReasonQueued)
			w.wantRuns(subject, 1)
			// The place that becomes free is the subject's, which came first; the neighbour
			// comes third, and one place is enough for all three.
			w.tekton.behave(subject, holds)
			w.tekton.behave("hog2", builds)
			w.waitFor(subject, "building", func(*v1alpha1.ImageLineage) bool { return w.runsOf(subject) == 2 })
			w.waitReady("hog2", v1alpha1.ReasonUpToDate)
			w.waitReady(late, v1alpha1.ReasonQueued)
			w.wantRuns(late, 0)
			w.tekton.behave(subject, builds)
		},
		cure: func(w *world) { w.tekton.behave("hog", builds) },
		ends: func(w *world) {
			for _, name := range []string{late, "hog", "hog2"} {
				w.waitReady(name, v1alpha1.ReasonUpToDate)
				w.wantRuns(name, 1)
			}
			w.waitRolledOut(w.shows("base:1"))
			w.wantRuns(subject, 2)
			if most := live.most(w); most != limit {
				w.t.Errorf("%d runs were live at once, want %d", most, limit)
			}
		},
	}
}

// limitBuilds limits how many runs of this world may be live at once.
func (w *world) limitBuilds(limit int) {
	w.t.Helper()
	reader, err := client.New(restConfig, client.Options{Scheme: operator.Scheme()})
	if err != nil {
		w.t.Fatal(err)
	}
	others, err := runsofcluster.ListLive(w.t.Context(), reader)
	if err != nil {
		w.t.Fatal(err)
	}
	w.flags = append(w.flags, func(o *operator.Options) { o.MaxConcurrentBuilds = limit + len(others) })
}

// liveRuns follows the runs of a world by a watch, which tells of them in the order
// in which the API server has stored them.
type liveRuns struct {
	mu   sync.Mutex
	live map[string]bool
	max  int
}

func (w *world) watchRuns() *liveRuns {
	w.t.Helper()
	watcher, err := client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		w.t.Fatal(err)
	}
	events, err := watcher.Watch(w.t.Context(), pipelineRuns(), client.InNamespace(w.namespace))
	if err != nil {
		w.t.Fatal(err)
	}
	l, done := &liveRuns{live: map[string]bool{}}, make(chan struct{})
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			l.note(event)
		}
	}()
	w.t.Cleanup(func() { events.Stop(); <-done })
	return l
}

func (l *liveRuns) note(event watch.Event) {
	run, ok := event.Object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if event.Type == watch.Deleted || ended(run) {
		delete(l.live, run.GetName())
	} else {
		l.live[run.GetName()] = true
	}
	l.max = max(l.max, len(l.live))
}

// most waits until all runs have ended, and tells how many were live at once at most.
func (l *liveRuns) most(w *world) int {
	w.t.Helper()
	most, now := 0, 0
	err := eventually(w.t.Context(), func(context.Context) (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		most, now = l.max, len(l.live)
		return now == 0, nil
	})
	if err != nil {
		w.t.Errorf("%d runs do not end", now)
	}
	return most
}
