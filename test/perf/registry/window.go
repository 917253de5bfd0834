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

// noise is how far a measured rate may be from the true one, because every check
// is moved by up to 10 % of the interval: the mean of 1,500 times between two
// checks, three of each reference, is off by less than this.
const noise = 0.005

// requestsRow is the figure of the manifest requests, without those that were
// refused because their token had ended, as in the quoted count for Keel; tokenRows
// tells those.
func (b *bench) requestsRow(w window, what, flux, keel string) row {
	limit := float64(references) * float64(time.Minute) / float64(b.interval)
	measured := rateOf(w.seen.Of(counting.Manifests...).But(http.StatusUnauthorized))
	return row{
		what: what + ": manifest requests a minute", flux: flux, keel: keel,
		target:   fmt.Sprintf("≤ %.0f (+ %.1f %%)", limit, noise*100),
		measured: fmt.Sprintf("%.0f", measured), met: measured <= limit*(1+noise),
	}
}

// rateOf is how many requests come in a minute. Each repository's are counted from
// its first one to its last: what was checked together once is still checked at
// nearly the same time, and would be counted once too often, or not at all, where
// the window happens to begin or end then.
func rateOf(seen counting.Requests) float64 {
	by := seen.ByRepository()
	requests, span := 0, time.Duration(0)
	for _, of := range by {
		requests += len(of) - 1
		span += of[len(of)-1].At.Sub(of[0].At)
	}
	if span == 0 {
		return 0
	}
	return float64(requests) / span.Minutes() * float64(len(by))
}

// tokenRows are the figures of what tokens cost.
func tokenRows(w window, what string) []row {
	refused := len(w.seen.Of(counting.Manifests...).Answered(http.StatusUnauthorized))
	return []row{
		{what: what + ": token requests a minute", measured: fmt.Sprintf("%.0f", w.aMinute(len(w.seen.Of(counting.Token))))},
		{
			what: what + ": manifest requests a minute that are refused because their token has ended", target: "0",
			measured: fmt.Sprintf("%.0f", w.aMinute(refused)), met: refused == 0,
		},
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
