// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

// window is what was counted during some time in which nothing was changed.
type window struct {
	from, to time.Time
	// seen are the requests to all registries.
	seen   counting.Requests
	writes writes
	cpu    time.Duration
	// memory is the resident set at its end, in bytes.
	memory int64
}

// watch counts for some time.
func (b *bench) watch(ctx context.Context, d time.Duration) (window, error) {
	place, err := b.cluster.audit.size()
	if err != nil {
		return window{}, err
	}
	used, err := b.operator.cpu()
	if err != nil {
		return window{}, err
	}
	w := window{from: time.Now()}
	if err := sleep(ctx, d); err != nil {
		return w, err
	}
	w.to = time.Now()
	if w.cpu, err = b.operator.cpu(); err != nil {
		return w, err
	}
	w.cpu -= used
	if w.memory, err = b.operator.memory(); err != nil {
		return w, err
	}
	for _, host := range b.hosts {
		w.seen = append(w.seen, host.Requests().Between(w.from, w.to)...)
	}
	w.writes, err = b.cluster.audit.since(place)
	return w, err
}

// sleep lets time go by: that is what is measured here.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// aMinute is a count of the window as one of a minute.
func (w window) aMinute(n int) float64 { return float64(n) / w.to.Sub(w.from).Minutes() }

// cores is how many processors were busy with the operator.
func (w window) cores() float64 { return w.cpu.Seconds() / w.to.Sub(w.from).Seconds() }

// jitter is how far the count of a window may be from the true rate, because
// every check is moved by up to 10 % of the interval: 500 checks that are spread
// evenly differ by less than this in a window of four intervals or more.
const jitter = 0.02

// requestRows are the figures of what the registries were asked.
func (b *bench) requestRows(w window, what, flux, keel string) []row {
	manifests := w.seen.Of(counting.Manifests...)
	limit := float64(references) * float64(time.Minute) / float64(b.interval)
	measured := w.aMinute(len(manifests))
	text := fmt.Sprintf("%.0f", measured)
	if refused := manifests.Answered(http.StatusUnauthorized); len(refused) > 0 {
		text += fmt.Sprintf(", %.0f of them refused since their token had ended", w.aMinute(len(refused)))
	}
	return []row{
		{
			what: what + ": manifest requests a minute", flux: flux, keel: keel,
			target: fmt.Sprintf("≤ %.0f (+ %.0f %%)", limit, jitter*100), measured: text, met: measured <= limit*(1+jitter),
		},
		{what: what + ": token requests a minute", measured: fmt.Sprintf("%.0f", w.aMinute(len(w.seen.Of(counting.Token))))},
	}
}

// writesRow is the figure of what was written to the API server.
func writesRow(w window, what, flux string) row {
	counted := w.writes.withoutLease()
	text := fmt.Sprintf("%.0f", w.aMinute(counted.total()))
	if len(counted) > 0 {
		text += " (" + counted.String() + ")"
	}
	return row{
		what: what + ": API writes a minute, the Lease apart", flux: flux, keel: "n/a",
		target: "0", measured: text, met: counted.total() == 0,
	}
}

// gaps are the times between two HEADs of a reference that touch a span of time.
func gaps(seen counting.Requests, from, to time.Time) []time.Duration {
	var found []time.Duration
	for _, of := range seen.Of(counting.ManifestHead).ByRepository() {
		of = of.Answered(http.StatusOK)
		for i := 1; i < len(of); i++ {
			if of[i-1].At.Before(to) && of[i].At.After(from) {
				found = append(found, of[i].At.Sub(of[i-1].At))
			}
		}
	}
	slices.Sort(found)
	return found
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100]
}
