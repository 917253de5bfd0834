// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package counting_test

import (
	"cmp"
	"context"
	"net"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

// TestHost has the operator's client ask for one tag, and looks at what is noted.
func TestHost(t *testing.T) {
	type seen = map[counting.Kind][]int
	first := seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200}}
	tests := map[string]struct {
		// before happens after the tag was asked for once, and before it is again.
		before func(*counting.Host, *clocktesting.FakeClock)
		want   seen
		// patience with the second answer; a minute by default.
		patience  time.Duration
		wantClass registry.Class
		wantMoved bool
	}{
		"a token is good for the next question": {
			before: func(*counting.Host, *clocktesting.FakeClock) {},
			want:   seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200, 200}},
		},
		"a token is renewed before it ends": {
			before: func(_ *counting.Host, clock *clocktesting.FakeClock) {
				clock.SetTime(clock.Now().Add(counting.TokenLife))
			},
			want: seen{counting.Ping: {401, 401}, counting.Token: {200, 200}, counting.ManifestHead: {200, 200}},
		},
		"a tag that moved shows another digest": {
			before:    func(host *counting.Host, _ *clocktesting.FakeClock) { host.Move() },
			want:      seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200, 200}},
			wantMoved: true,
		},
		"a limit refuses everything": {
			before:    func(host *counting.Host, _ *clocktesting.FakeClock) { host.Limit(30 * time.Second) },
			want:      seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200, 429}},
			wantClass: registry.RateLimited,
		},
		"a registry that hangs answers nothing": {
			before:   func(host *counting.Host, _ *clocktesting.FakeClock) { host.Hang() },
			want:     seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200, 0}},
			patience: 100 * time.Millisecond, wantClass: registry.Unavailable,
		},
		"and answers again": {
			before: func(host *counting.Host, _ *clocktesting.FakeClock) {
				host.Hang()
				host.Limit(30 * time.Second)
				host.Answer()
			},
			want: seen{counting.Ping: {401}, counting.Token: {200}, counting.ManifestHead: {200, 200}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, clock := listen(t)
			client := registry.NewClient(registry.Options{Rules: registry.Rules{}.WithPlainHTTP(host.Name), Clock: clock, Timeout: time.Minute})
			ref, err := reference.Parse(host.Name + "/team/base:stable")
			if err != nil {
				t.Fatal(err)
			}
			was, err := client.Head(t.Context(), ref, registry.Keychain{})
			if err != nil || was != host.Digest("team/base") {
				t.Fatalf("the first answer is %q, %v; want %q", was, err, host.Digest("team/base"))
			}
			if diff := gocmp.Diff(first, noted(host)); diff != "" {
				t.Errorf("asked once (-want +got)\n%s", diff)
			}
			tc.before(host, clock)
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tc.patience, time.Minute))
			defer cancel()
			is, err := client.Head(ctx, ref, registry.Keychain{})
			if got := registry.ClassOf(err); got != tc.wantClass {
				t.Errorf("the second answer is %v; want class %q", err, tc.wantClass)
			}
			if err == nil && (is != was) != tc.wantMoved {
				t.Errorf("first %s, then %s; moved should be %t", was, is, tc.wantMoved)
			}
			if diff := gocmp.Diff(tc.want, noted(host)); diff != "" {
				t.Errorf("asked twice (-want +got)\n%s", diff)
			}
		})
	}
}

// listen starts a host on a real port, with a clock that stands still.
func listen(t *testing.T) (*counting.Host, *clocktesting.FakeClock) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	host := counting.Serve(listener, listener.Addr().String(), clock)
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, clock
}

// noted are the statuses of the requests so far, by kind.
func noted(host *counting.Host) map[counting.Kind][]int {
	found := map[counting.Kind][]int{}
	for _, r := range host.Requests() {
		found[r.Kind] = append(found[r.Kind], r.Status)
	}
	return found
}
