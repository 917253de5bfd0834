// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package operator

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestLeaderMark: the label of an earlier process goes, that of a leader comes,
// and what the API server refuses is tried again.
func TestLeaderMark(t *testing.T) {
	clock := awaitedClock{FakeClock: clocktesting.NewFakeClock(time.Now()), waits: make(chan struct{}, 1)}
	patches := make(chan string)
	answers := make(chan int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		patches <- r.Method + " " + r.URL.Path + " " + string(body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(<-answers)
		_, _ = io.WriteString(w, `{"apiVersion": "v1", "kind": "Pod"}`)
	}))
	defer server.Close()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	connected, err := client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: Scheme(), Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	elected := make(chan struct{})
	mark := &leaderMark{
		client: connected, pod: types.NamespacedName{Namespace: "system", Name: "operator-1"},
		elected: elected, clock: clock, log: logr.Discard(),
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- mark.Start(ctx) }()

	const pod = "PATCH /api/v1/namespaces/system/pods/operator-1 "
	want := func(label string) {
		t.Helper()
		if got := <-patches; got != pod+`{"metadata":{"labels":{"imagelineage.dev/leader":`+label+`}}}` {
			t.Errorf("the operator sent %s", got)
		}
	}
	want("null")
	answers <- http.StatusForbidden
	<-clock.waits
	clock.Step(markRetry)
	want("null")
	answers <- http.StatusOK
	close(elected)
	want(`"true"`)
	answers <- http.StatusOK
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// awaitedClock tells when somebody waits for it.
type awaitedClock struct {
	*clocktesting.FakeClock

	waits chan struct{}
}

func (c awaitedClock) After(d time.Duration) <-chan time.Time {
	after := c.FakeClock.After(d)
	c.waits <- struct{}{}
	return after
}
