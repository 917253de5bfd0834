// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/imagelineage/imagelineage/test/perf/registry/counting"
)

// scenario is one measurement. All of them begin and end with every lineage
// current and every registry well.
type scenario struct {
	name string
	// about is what happens, for the log.
	about string
	run   func(*bench, context.Context) ([]row, error)
}

// scenarios in the order in which they are run; shared is the last because
// its lineages stay.
var scenarios = []scenario{
	{"idle", "nothing changes", (*bench).idle},
	{"moved", "all tags move at once", (*bench).moved},
	{"hinted", "all tags move at once, and the registries tell", (*bench).hinted},
	{"limited", "one registry answers 429 for a minute", (*bench).limited},
	{"hanging", "one registry does not answer for 30 s", (*bench).hanging},
	{"shared", "nothing changes, with many lineages for each reference", (*bench).shared},
}

// idleIntervals is how long idle counts: at an interval of 30 s as long as a token
// lives and is used, until the check that follows its end. So each ends once.
const idleIntervals = 11

func (b *bench) idle(ctx context.Context) ([]row, error) {
	const what = "nothing changes"
	w, err := b.watch(ctx, idleIntervals*b.interval)
	if err != nil {
		return nil, err
	}
	rows := append([]row{b.requestsRow(w, what, "2,000 (6,000 with those for tokens)", "1,000 (3,000 with those for tokens)")}, tokenRows(w, what)...)
	return append(rows,
		writesRow(w, what, "6,019"),
		row{
			what: what + ": CPU", flux: "0.30 core", target: "≤ 0.03 core",
			measured: fmt.Sprintf("%.3f core", w.cores()), met: w.cores() <= 0.03,
		},
		row{what: what + ": memory", flux: "181 MiB", keel: "121 MiB (100 images)", measured: mebibytes(w.memory)},
	), nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// patience is how long is waited for what should have happened long ago.
const patience = 5 * time.Minute

func (b *bench) moved(ctx context.Context) ([]row, error) {
	took, err := b.move(ctx, func(context.Context) error { return nil })
	if err != nil {
		return nil, err
	}
	limit := b.interval*11/10 + time.Second
	return []row{{
		what: "all moved at once → all statuses current", flux: "32.6 s", keel: "42 s (100 images, interval 10 s)",
		target: "≤ 1.1 × interval + 1 s = " + seconds(limit), measured: seconds(took), met: took <= limit,
	}}, nil
}

func (b *bench) hinted(ctx context.Context) ([]row, error) {
	const limit = 2 * time.Second
	r := row{what: "all moved at once, hinted by webhook → all statuses current", target: "≤ " + seconds(limit)}
	if b.operator.hooks == "" {
		r.skipped = "this operator takes no webhooks"
		return []row{r}, nil
	}
	took, err := b.move(ctx, b.notify)
	r.measured, r.met = seconds(took), took <= limit
	return []row{r}, err
}

// move moves every tag, and tells how long it takes until all statuses say so.
func (b *bench) move(ctx context.Context, tell func(context.Context) error) (time.Duration, error) {
	begun := time.Now()
	for _, host := range b.hosts {
		host.Move()
	}
	if err := tell(ctx); err != nil {
		return 0, err
	}
	last, err := b.fleet.current(ctx, patience)
	return last.Sub(begun), err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (b *bench) limited(ctx context.Context) ([]row, error) {
	const (
		lasts      = time.Minute
		retryAfter = 30 * time.Second
		allowed    = 3
	)
	ill, well := b.hosts[0], b.hosts[1]
	from := time.Now()
	ill.Limit(retryAfter)
	// Moved while it cannot be seen, so that catching up is seen in the statuses.
	ill.Move()
	if err := sleep(ctx, lasts); err != nil {
		return nil, err
	}
	ill.Answer()
	to := time.Now()
	last, err := b.fleet.current(ctx, patience)
	if err != nil {
		return nil, err
	}
	asked := len(ill.Requests().Between(from, to))
	others := len(well.Requests().Between(from, to).Of(counting.Manifests...).Answered(http.StatusOK))
	want := float64(references/len(b.hosts)) * float64(lasts) / float64(b.interval)
	// A count of a minute depends on which checks happen to be at its edges.
	const spread = 0.06
	off := float64(others)/want - 1
	late := last.Sub(to)
	return []row{
		{
			what: "429 with Retry-After: 30 for 60 s: requests to that registry", target: fmt.Sprintf("≤ %d", allowed),
			measured: strconv.Itoa(asked), met: asked <= allowed,
		},
		{
			what: "… manifest requests to the other registry", target: fmt.Sprintf("%.0f ± %.0f %%", want, spread*100),
			measured: strconv.Itoa(others), met: off >= -spread && off <= spread,
		},
		{
			what: "… from its end until all statuses are current", target: "≤ one interval = " + seconds(b.interval),
			measured: seconds(late), met: late <= b.interval,
		},
	}, nil
}

func (b *bench) hanging(ctx context.Context) ([]row, error) {
	const lasts = 30 * time.Second
	ill, well := b.hosts[0], b.hosts[1]
	// Long enough that each check that was due during the trouble is seen.
	seen := lasts + b.interval*3/2

	quietFrom := time.Now()
	if err := sleep(ctx, seen); err != nil {
		return nil, err
	}
	from := time.Now()
	ill.Hang()
	if err := sleep(ctx, lasts); err != nil {
		return nil, err
	}
	ill.Answer()
	if err := sleep(ctx, seen-lasts); err != nil {
		return nil, err
	}
	quiet := gaps(well.Requests(), quietFrom, quietFrom.Add(lasts))
	trouble := gaps(well.Requests(), from, from.Add(lasts))
	without, with := percentile(quiet, 99), percentile(trouble, 99)
	limit := without + b.interval/20
	// Until the registry that hung is asked as usual again.
	ill.Move()
	if _, err := b.fleet.current(ctx, patience); err != nil {
		return nil, err
	}
	return []row{{
		what:   "a registry hangs for 30 s: time between two checks of a reference of the other one, p50 / p99",
		target: "p99 as without, " + seconds(without) + " (+ 5 % of the interval)",
		measured: fmt.Sprintf("%s / %s, without: %s / %s",
			seconds(percentile(trouble, 50)), seconds(with), seconds(percentile(quiet, 50)), seconds(without)),
		met: with <= limit,
	}}, nil
}

// sharedIntervals is how long shared counts.
const sharedIntervals = 4

func (b *bench) shared(ctx context.Context) ([]row, error) {
	what := fmt.Sprintf("nothing changes, %d lineages share the references", b.lineages)
	begun := time.Now()
	if err := b.fleet.grow(ctx, b.lineages); err != nil {
		return nil, err
	}
	b.logf("%d lineages are created after %s", b.lineages, time.Since(begun).Round(time.Second))
	if _, err := b.fleet.current(ctx, time.Hour); err != nil {
		return nil, err
	}
	b.logf("all of them are current after %s", time.Since(begun).Round(time.Second))
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	w, err := b.watch(ctx, sharedIntervals*b.interval)
	if err != nil {
		return nil, err
	}
	return []row{
		b.requestsRow(w, what, "", ""),
		writesRow(w, what, ""),
		{what: what + ": CPU", measured: fmt.Sprintf("%.3f core", w.cores())},
		{what: what + ": memory", measured: mebibytes(w.memory)},
	}, nil
}
