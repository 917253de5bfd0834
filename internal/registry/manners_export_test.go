// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import "time"

// Settled is true where no check is under way and none could begin: whatever comes
// next is a matter of time.
func (p *Poller) Settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running == 0 && !p.checks("") && p.waits()
}

// SettledAt is Settled where other hosts' checks may be under way.
func (p *Poller) SettledAt(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[host].running == 0 && !p.checks(host) && p.waits()
}

// checks is whether the answer of a check of a host, or of any, is still to be kept.
func (p *Poller) checks(host string) bool {
	for _, f := range p.feeds {
		if f.state == feedRunning && (host == "" || f.budget.host == host) {
			return true
		}
	}
	return false
}

func (p *Poller) waits() bool {
	now := p.clock.Now()
	if len(p.wake) > 0 || len(p.waiting) > 0 && !p.waiting[0].due.After(now) {
		return false
	}
	for _, l := range p.turns {
		if f, _ := p.nextOf(l, now); f != nil {
			return false
		}
	}
	next := p.nextResume()
	return next.IsZero() || next.After(now)
}

// Queued is how many feeds wait in lanes and for the end of pauses.
func (p *Poller) Queued() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		n += len(l.queue)
	}
	for _, paused := range p.pauses {
		n += len(paused.parked)
	}
	return n
}

// Tokens are how many requests a host may be asked at once; below zero is debt.
func (l *Limits) Tokens(host string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	return l.bucketsOf(account{host: host}, now)[0].TokensAt(now)
}

// AnonymousTokens are the Tokens of those without a credential.
func (l *Limits) AnonymousTokens(host string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	return l.bucketsOf(account{host: host, anonymous: true}, now)[1].TokensAt(now)
}

// EndAfter has each try of a copy end after another time than hours. It is for a copier
// that was not started yet.
func (c *Copier) EndAfter(longest time.Duration) { c.longest = longest }
