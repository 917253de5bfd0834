// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
)

// hookSecret proves that a notification is the registry's.
const hookSecret = "a secret that nobody guesses"

// receiveHooks has the world's operators receive a registry's notifications, and tells
// where.
func (w *world) receiveHooks() (url string) {
	w.t.Helper()
	file := w.configure()
	secret := filepath.Join(filepath.Dir(file.path), "secret")
	if err := os.WriteFile(secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	file.write("hooks: [{name: registry, source: Distribution, proof: {bearer: {secretFile: secret}}}]\n")
	// Nobody else listens there until the operator does: the kernel gives each free port
	// once in a round.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.flags = append(w.flags, func(o *operator.Options) { o.HooksAddress = address })
	return "http://" + address + "/hooks/registry"
}

// notify sends what the CNCF distribution registry does when a tag was pushed, and tells
// the status of the answer; 0 without one.
func (w *world) notify(url, secret, repository, tag string, digest v1alpha1.Digest) int {
	w.t.Helper()
	body := fmt.Sprintf(`{"events": [{
		"id": "320678d8-ca14-430f-8bb6-4ca139cd83f7", "timestamp": "2026-01-09T14:44:26.4-08:00", "action": "push",
		"target": {
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 708, "digest": %[4]q, "length": 708,
			"repository": %[2]q, "url": "http://%[1]s/v2/%[2]s/manifests/%[4]s", "tag": %[3]q},
		"request": {"id": "6df24a34", "addr": "192.0.2.1:39542", "host": %[1]q, "method": "PUT", "useragent": "test"},
		"source": {"addr": "registry:5000", "instanceID": "a53db899"}}]}`, w.host, repository, tag, digest)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v2+json")
	request.Header.Set("Authorization", "Bearer "+secret)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestAPushThatIsNotified moves a lineage at once, by a clock that stands still.
func TestAPushThatIsNotified(t *testing.T) {
	w := newWorld(t)
	url := w.receiveHooks()
	w.push("app:1", "app one")
	w.push("beside:1", "beside one")
	first := w.push("db:15.3", "db 15.3")
	w.create(w.followed(subject, "app:1"), w.followed("beside", "beside:1"), w.chosen("db", "db", v1alpha1.TagPolicy{SemVer: "15.x"}))
	w.start(0)
	w.waitReady(subject, v1alpha1.ReasonUpToDate)
	w.waitReady("beside", v1alpha1.ReasonUpToDate)
	w.waitChosen("db", "15.3", first)
	notify := func(secret, repository, tag string, digest v1alpha1.Digest, want int) {
		t.Helper()
		var got int
		err := eventually(t.Context(), func(context.Context) (bool, error) {
			got = w.notify(url, secret, repository, tag, digest)
			return got != 0, nil // it listens a moment after it leads
		})
		if err != nil || got != want {
			t.Errorf("a push of %s:%s: answer %d, want %d", repository, tag, got, want)
		}
	}
	asked := w.questions()

	moved := w.push("app:1", "app two")
	notify("a secret that somebody guessed", "app", "1", moved, http.StatusUnauthorized)
	notify("", "app", "1", moved, http.StatusUnauthorized)
	// Of another one with a proof it is heard, and the first is not asked for.
	beside := w.push("beside:1", "beside two")
	notify(hookSecret, "beside", "1", beside, http.StatusAccepted)
	w.waitFor("beside", "moved", func(l *v1alpha1.ImageLineage) bool { return current(l) == beside })
	if n := w.questions() - asked; n != 0 || current(w.lineage(subject)) == moved {
		t.Errorf("asked %d times because of who proved nothing: %s", n, describe(w.lineage(subject)))
	}

	began := time.Now()
	notify(hookSecret, "app", "1", moved, http.StatusAccepted)
	w.waitAt(moved)
	t.Logf("moved %v after the notification", time.Since(began))

	// What a notification says is not believed: the registry is asked.
	notify(hookSecret, "app", "1", unknownDigest, http.StatusAccepted)
	// A new tag is found by who chooses among the tags of its repository.
	second := w.push("db:15.4", "db 15.4")
	notify(hookSecret, "db", "15.4", second, http.StatusAccepted)
	w.waitChosen("db", "15.4", second)
	if l := w.lineage(subject); current(l) != moved {
		t.Errorf("a notification was believed: %s", describe(l))
	}
}
