// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// budget is what a registry limits: one host's requests under one credential, of
// those that a keychain holds the one that was let in; none is the address's. A check
// draws on that which answered the one before: a mirror's where that was a mirror.
type budget struct{ host, credential string }

// firstBudget is that of a first check, which begins with the first credential.
func firstBudget(ref reference.Reference, auth Keychain) budget {
	of := budget{host: ref.Host()}
	if candidates := auth.candidates(ref); len(candidates) > 0 {
		of.credential = candidates[0].hash()
	}
	return of
}

// pause is a time in which a budget is left alone, since the registry said so. When it
// is over one check is a probe, and only its success lets the others go: a registry
// that limits its clients is not asked again by all at once.
type pause struct {
	until time.Time
	// refused is how many probes were refused in a row.
	refused int
	// probe is the check that finds out whether the pause may end, nil without one.
	probe *feed
	// parked are the feeds that are due, in their order.
	parked []*feed
}

// parks is true where a feed has to wait for the end of a pause; it is kept there.
func (p *Poller) parks(f *feed, now time.Time) bool {
	paused, ok := p.pauses[f.budget]
	if !ok || paused.probe == nil && !paused.until.After(now) {
		return false
	}
	paused.parked = append(paused.parked, f)
	return true
}

// resume puts what waited for pauses that are over back into the lanes: the first of
// them will be the probe. Pauses that nobody has waited for in a long time are
// forgotten.
func (p *Poller) resume(now time.Time) {
	for of, paused := range p.pauses {
		switch {
		case paused.probe != nil || paused.until.After(now):
		case len(paused.parked) > 0:
			p.unpark(of, paused)
		case now.Sub(paused.until) > maxRetryAfter:
			delete(p.pauses, of)
		}
	}
}

// nextResume is when the first pause is over that anybody waits for; zero without one.
func (p *Poller) nextResume() time.Time {
	var next time.Time
	for _, paused := range p.pauses {
		if paused.probe == nil && len(paused.parked) > 0 {
			next = earlier(next, paused.until)
		}
	}
	return next
}

func (p *Poller) unpark(of budget, paused *pause) {
	if len(paused.parked) == 0 {
		return
	}
	l := p.laneOf(of.account())
	l.queue = append(paused.parked, l.queue...)
	paused.parked = nil
}

// judgeBudget begins, prolongs or ends the pause of the budget that a check drew on.
func (p *Poller) judgeBudget(ctx context.Context, f *feed, err error, is verdict, now time.Time) {
	of, rest := visitOf(ctx).lastAsked(), visitOf(ctx).wantsRest()
	paused := p.pauses[of]
	probing := paused != nil && paused.probe == f
	switch {
	case ClassOf(err) == RateLimited && probing:
		paused.refused++
		p.pause(of, max(p.probing(paused.refused), RetryAfter(err)), now)
		p.tell(paused.parked, err, f.begun)
	case ClassOf(err) == RateLimited:
		p.pause(of, max(firstRetry, RetryAfter(err)), now)
	case rest > 0:
		p.pause(of, rest, now)
	case probing && is == hasAnswered:
		delete(p.pauses, of)
		p.unpark(of, paused)
	case probing && is == isSilent:
		p.pause(of, p.probing(paused.refused), now)
	default:
	}
}

// pause leaves a budget alone from now on, and at least as long as it is left alone
// already.
func (p *Poller) pause(of budget, wait time.Duration, now time.Time) {
	paused, ok := p.pauses[of]
	if !ok {
		paused = &pause{}
		p.pauses[of] = paused
	}
	if until := now.Add(wait); until.After(paused.until) {
		paused.until = until
	}
}
