// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package counting_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

const (
	references = 500
	interval   = 30 * time.Second
	// window is how long is counted: so long that the ±10 % by which every check is
	// moved are 1 % of the count at most.
	window    = 40 * interval
	tolerance = 0.01
)

// TestPollerRatios has the real poller ask by the real client, over HTTP, in time
// that goes by as fast as they are done with it. It is what "make bench-registry"
// measures, without what depends on the machine.
func TestPollerRatios(t *testing.T) {
	tests := map[string]struct{ followers int }{
		"one lineage for each reference":                                 {followers: 1},
		"a hundred lineages share each reference, for the same requests": {followers: 100},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host, poller := poll(t)
				for i := range references * tc.followers {
					owner := types.NamespacedName{Namespace: fmt.Sprintf("team-%d", i/references), Name: fmt.Sprintf("base-%d", i%references)}
					poller.Follow(owner, []registry.Target{{Reference: tag(t, host, i%references), Interval: interval}})
				}
				if got, want := wakings(poller, 2*interval), references*tc.followers; got != want {
					t.Errorf("%d events for the first answers, want %d: one for each lineage", got, want)
				}

				begin := time.Now()
				if got := wakings(poller, window); got != 0 {
					t.Errorf("%d events, though nothing moved", got)
				}
				seen := host.Requests().Between(begin, time.Now())

				const checks = references * int(window/interval)
				answered := len(seen.Of(counting.Manifests...).Answered(http.StatusOK))
				if off := float64(answered-checks) / float64(checks); off < -tolerance || off > tolerance {
					t.Errorf("%d manifest requests were answered, want %d: one for each reference and interval", answered, checks)
				}
				if got := len(seen.Of(counting.ManifestGet)); got != 0 {
					t.Errorf("%d manifests were pulled, though HEAD told their digests", got)
				}
				// A tenth of a token's life is left unused.
				const lives = references * int(window/(counting.TokenLife*9/10)+1)
				if got := len(seen.Of(counting.Token)); got > lives {
					t.Errorf("%d tokens, want at most %d: one for each repository and %s", got, lives, counting.TokenLife)
				}
				// A token is renewed before it ends.
				if got := len(seen.Of(counting.Manifests...).Answered(http.StatusUnauthorized)); got > 0 {
					t.Errorf("%d manifest requests were refused with tokens that had ended", got)
				}
				if got := len(seen.Of(counting.Ping)); got > lives {
					t.Errorf("%d pings, want at most %d: one before each token", got, lives)
				}
				if got := len(seen.Of(counting.List, counting.Other)); got != 0 {
					t.Errorf("%d requests of other kinds", got)
				}
			})
		})
	}
}

// poll starts a host and a poller that asks it, until the test ends.
func poll(t *testing.T) (*counting.Host, *registry.Poller) {
	t.Helper()
	pipes := make(pipes)
	host := counting.Serve(pipes, "registry.internal:5000", clock.RealClock{})
	poller := registry.NewPoller(registry.PollerOptions{
		Asker: registry.NewClient(registry.Options{
			Rules: registry.Rules{}.WithPlainHTTP(host.Name), Transport: &http.Transport{DialContext: pipes.dial, MaxIdleConnsPerHost: 8},
		}),
		// Nobody here has credentials.
		Secrets: registry.NewCredentials(nil, clock.RealClock{}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- poller.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, poller
}

func tag(t *testing.T, host *counting.Host, n int) reference.Reference {
	t.Helper()
	ref, err := reference.Parse(fmt.Sprintf("%s/team/base-%d:stable", host.Name, n))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// wakings counts the events that come while time goes by.
func wakings(poller *registry.Poller, d time.Duration) int {
	n := 0
	for end := time.After(d); ; {
		select {
		case <-poller.Events():
			n++
		case <-end:
			return n
		}
	}
}

// pipes are a listener without a network: time cannot be made to go by for
// whoever waits for a real one.
type pipes chan net.Conn

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close implements net.Listener.
func (p pipes) Close() error {
	close(p)
	return nil
}

// Addr implements net.Listener.
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }
