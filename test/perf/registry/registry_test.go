// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

func TestCountWrites(t *testing.T) {
	const (
		status = `{"verb":"patch","objectRef":{"resource":"imagelineages","subresource":"status","name":"base-1"}}` + "\n"
		event  = `{"verb":"create","objectRef":{"resource":"events"}}` + "\n"
		lease  = `{"verb":"update","objectRef":{"resource":"leases"}}` + "\n"
	)
	tests := map[string]struct {
		log  string
		want writes
	}{
		"each write counts by what was written":    {log: status + event + status, want: writes{"patch imagelineages/status": 2, "create events": 1}},
		"the Lease is left out":                    {log: lease + event + lease, want: writes{"create events": 1}},
		"a line that is being written is left out": {log: event + `{"verb":"pat`, want: writes{"create events": 1}},
		"nothing was written":                      {want: writes{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := countWrites(strings.NewReader(tc.log))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.withoutLease()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	head := func(repository string, seconds, status int) counting.Request {
		return counting.Request{Kind: counting.ManifestHead, Repository: repository, At: after(seconds), Status: status}
	}
	tests := map[string]struct {
		seen     counting.Requests
		from, to int
		want     []time.Duration
	}{
		"each reference by itself, sorted": {
			seen: counting.Requests{head("a", 0, http.StatusOK), head("b", 5, http.StatusOK), head("b", 34, http.StatusOK), head("a", 31, http.StatusOK)},
			to:   60, want: []time.Duration{29 * time.Second, 31 * time.Second},
		},
		"a gap counts that begins before or ends after": {
			seen: counting.Requests{head("a", 0, http.StatusOK), head("a", 90, http.StatusOK)},
			from: 30, to: 60, want: []time.Duration{90 * time.Second},
		},
		"gaps before and after do not": {
			seen: counting.Requests{
				head("a", 0, http.StatusOK), head("a", 20, http.StatusOK), head("b", 70, http.StatusOK), head("b", 90, http.StatusOK),
			},
			from: 30, to: 60,
		},
		"a check that was refused has told nothing": {
			seen: counting.Requests{head("a", 0, http.StatusOK), head("a", 29, http.StatusUnauthorized), head("a", 30, http.StatusOK)},
			to:   60, want: []time.Duration{30 * time.Second},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, gaps(tc.seen, after(tc.from), after(tc.to))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRateOf(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(repository string, seconds ...int) counting.Requests {
		var made counting.Requests
		for _, s := range seconds {
			made = append(made, counting.Request{Repository: repository, At: begin.Add(time.Duration(s) * time.Second)})
		}
		return made
	}
	tests := map[string]struct {
		seen counting.Requests
		want float64
	}{
		"one check in 30 s of each of two":         {seen: append(at("a", 0, 30, 60), at("b", 10, 40, 70)...), want: 4},
		"whether the window's edge caught a check": {seen: append(at("a", 0, 30, 60, 90), at("b", 10, 40, 70)...), want: 4},
		"a question that is asked twice counts":    {seen: at("a", 0, 15, 30, 60), want: 3},
		"nothing came":                             {},
		"each was asked once":                      {seen: append(at("a", 0), at("b", 1)...)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rateOf(tc.seen); got != tc.want {
				t.Errorf("%g a minute, want %g", got, tc.want)
			}
		})
	}
}

func TestPrintTable(t *testing.T) {
	rows := []row{
		{what: "good", flux: "2", target: "≤ 1", measured: "1", met: true},
		{what: "bad", target: "≤ 1", measured: "2"},
		{what: "only told", measured: "3"},
		{what: "left out", target: "≤ 1", skipped: "no reason"},
	}
	const want = `| what | Flux image-reflector (quoted) | Keel (quoted) | target | ours, measured | verdict |
|---|---|---|---|---|---|
| good | 2 | – | ≤ 1 | 1 | met |
| bad | – | – | ≤ 1 | 2 | **missed** |
| only told | – | – | – | 3 | – |
| left out | – | – | ≤ 1 | – | not measured: no reason |
`
	var got strings.Builder
	printTable(&got, rows)
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !missed(rows) || missed(slices.Delete(rows, 1, 2)) {
		t.Error("one bad figure, and nothing else, is a miss")
	}
}

// TestProcess measures this very process.
func TestProcess(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := &process{command: &exec.Cmd{Process: self}, log: os.Stderr}
	if used, err := p.cpu(); err != nil || used < 0 || used > time.Hour {
		t.Errorf("cpu: %s, %v", used, err)
	}
	if bytes, err := p.memory(); err != nil || bytes < 1<<20 {
		t.Errorf("memory: %d bytes, %v", bytes, err)
	}
}
