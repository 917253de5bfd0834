// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
)

const (
	// breakAfter is how many checks in a row have to stay without an answer until a host
	// counts as down: of whichever tags where nothing answers, and each of another
	// repository where something answers that the registry is not there.
	breakAfter = 5
	// maxProbing is how long a host that is down is left alone at most between two
	// probes; the time begins with firstRetry and doubles.
	maxProbing = 5 * time.Minute
)

// breaker keeps a host that is down from being asked about each of its tags. While it
// is open one check at a time is a probe, and all others wait for one that is
// answered.
type breaker struct {
	// silent is how many checks in a row had no answer, and ailing are their repositories.
	silent int
	ailing map[string]bool
	open   bool
	// failed probes since it was opened.
	failed int
	// probe is the check that finds out whether the host answers, nil without one.
	probe *feed
	// probeAt is when the next one may begin.
	probeAt time.Time
}

// lets is whether a check may begin; if not, when to look again, zero where the end of
// the probe tells.
func (b *breaker) lets(now time.Time) (bool, time.Time) {
	switch {
	case !b.open:
		return true, time.Time{}
	case b.probe != nil:
		return false, time.Time{}
	default:
		return !b.probeAt.After(now), b.probeAt
	}
}

func (b *breaker) state() breakerState {
	switch {
	case !b.open:
		return breakerClosed
	case b.probe != nil:
		return breakerHalfOpen
	default:
		return breakerOpen
	}
}

// probe notes that a check which begins is a probe, where one is needed.
func (p *Poller) probe(h *hostState, f *feed) {
	if h.open {
		h.probe = f
		p.metrics.breakerIs(f.budget.host, h.state())
	}
	if paused := p.pauses[f.budget]; paused != nil {
		paused.probe = f
	}
}

// probed notes that a check is over which drew on a budget. What it found out is judged
// before; a probe that was given up, or drew on another budget in the end, found out
// nothing, and the next may go.
func (p *Poller) probed(h *hostState, of budget, f *feed) {
	if h.probe == f {
		h.probe = nil
		p.metrics.breakerIs(of.host, h.state())
	}
	if paused := p.pauses[of]; paused != nil && paused.probe == f {
		paused.probe = nil
	}
}

// verdict is what a check says of the host.
type verdict int

const (
	saysNothing verdict = iota // it was not asked
	hasAnswered
	isSilent
)

// verdictOn tells them apart. An error of another host, such as the cluster, says
// nothing; that of a registry which answers, and has trouble, is an answer, unless it is
// one of those that a proxy gives for a registry that is not there.
func verdictOn(host string, err error) verdict {
	of, ok := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return hasAnswered
	case !ok || of.Host != host:
		return saysNothing
	case of.Class == Unavailable && (of.Status == 0 || missing(of.Status)):
		return isSilent
	case of.Status != 0:
		return hasAnswered
	default:
		return saysNothing
	}
}

func missing(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// judge draws the conclusions of a check for all that share its host or its budget.
func (p *Poller) judge(ctx context.Context, f *feed, err error) {
	host := visitOf(ctx).lastAsked().host
	h, ok := p.hosts[host]
	if !ok || host == clusterHost || ctx.Err() != nil {
		return
	}
	now := p.clock.Now()
	is := verdictOn(host, err)
	switch is {
	case hasAnswered:
		h.answered = true
		h.breaker = breaker{}
		p.metrics.breakerIs(host, breakerClosed)
	case isSilent:
		p.judgeSilence(host, f, err, now)
	default:
	}
	p.judgeBudget(ctx, f, err, is, now)
}

// judgeSilence opens the breaker, or leaves it open.
func (p *Poller) judgeSilence(host string, f *feed, err error, now time.Time) {
	h := p.hosts[host]
	h.count(f.ref.Repository, err)
	switch {
	case h.probe == f:
		h.failed++
		p.tellHost(host, f.begun, err)
	case h.open || h.silent < breakAfter:
		return
	default:
		h.open = true
	}
	h.probeAt = now.Add(max(p.probing(h.failed), RetryAfter(err)))
	p.metrics.breakerIs(host, h.state())
}

// count counts a check without an answer. A repository that has trouble by itself counts
// once, however often it is asked for.
func (b *breaker) count(repository string, err error) {
	if b.ailing[repository] && Silence(err) == "" {
		return
	}
	if b.ailing == nil {
		b.ailing = map[string]bool{}
	}
	b.ailing[repository] = true
	b.silent++
}

// probing is how long to wait with the next probe after a number of those that
// failed.
func (p *Poller) probing(failed int) time.Duration {
	wait := min(firstRetry<<min(failed, maxDoubling), maxProbing)
	return wait + time.Duration(jitterWidth*(2*p.random()-1)*float64(wait))
}

// tellHost has all that wait for a host hear that a probe of it failed which began at a
// time.
func (p *Poller) tellHost(host string, begun time.Time, err error) {
	for _, anonymous := range []bool{true, false} {
		if l, ok := p.lanes[account{host: host, anonymous: anonymous}]; ok {
			p.tell(l.queue, err, begun)
		}
	}
	for of, paused := range p.pauses {
		if of.host == host {
			p.tell(paused.parked, err, begun)
		}
	}
}

// tell has feeds that wait hear of the failure of a probe, which was made for all of
// them: it counts as one failure of each. A check that was not made counts as none. The
// feeds go on waiting.
func (p *Poller) tell(waiting []*feed, err error, begun time.Time) {
	of, ok := errors.AsType[*Error](err)
	if !ok {
		return
	}
	for _, f := range waiting {
		if news := f.hear(of.insteadOf(f.ref), begun); news || f.asked {
			for follower := range f.followers {
				p.pending.add(follower.owner)
			}
		}
		f.asked = false
	}
}

// insteadOf is the error for a tag that was not asked for since another one failed.
// It does not tell which.
func (e *Error) insteadOf(ref reference.Reference) *Error {
	return &Error{
		Class: e.Class, Host: e.Host, Op: opOf(ref),
		cause: "put off until the registry answers again: " + e.cause,
	}
}
