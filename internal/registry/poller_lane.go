// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"container/heap"
	"time"
)

// clusterHost stands for the cluster's own API, where a check reads Secrets. It has
// neither a rate nor a breaker.
const clusterHost = ""

// hostState is what is known of one host, as long as anybody follows a tag of it.
type hostState struct {
	// feeds of the host, and how many of its checks are under way.
	feeds, running int
	// answered is set once it has answered in this process.
	answered bool

	breaker
}

// lane is the queue before one account of a host: what is due first goes first. A
// feed that is due is never dropped from it, however long it has to wait.
type lane struct {
	account account
	host    *hostState
	queue   []*feed
}

func (b budget) account() account { return account{host: b.host, anonymous: b.credential == ""} }

// enqueue takes a feed that is due out of the heap, and puts it into its lane.
func (p *Poller) enqueue(f *feed, now time.Time) {
	heap.Remove(&p.waiting, f.index)
	if f.due.IsZero() {
		f.due = now
	}
	if f.budget == (budget{}) && !f.unread() {
		f.budget = firstBudget(f.ref, f.keychain)
	}
	f.state = feedQueued
	l := p.laneOf(f.budget.account())
	l.queue = append(l.queue, f)
}

func (p *Poller) laneOf(a account) *lane {
	l, ok := p.lanes[a]
	if !ok {
		l = &lane{account: a, host: p.hosts[a.host]}
		p.lanes[a] = l
		p.turns = append(p.turns, l)
	}
	return l
}

// nextOf is the feed of a lane whose check may begin now, at the head of its queue.
// Without one it tells when to look again; zero where that depends on checks that are
// under way, or on an answer.
func (p *Poller) nextOf(l *lane, now time.Time) (*feed, time.Time) {
	for len(l.queue) > 0 {
		f := l.queue[0]
		if p.parks(f, now) {
			l.queue = l.queue[1:]
			continue
		}
		if !p.hasRoom(l.host) {
			return nil, time.Time{}
		}
		if may, again := l.host.lets(now); !may {
			return nil, again
		}
		if l.account.host == clusterHost {
			return f, time.Time{}
		}
		if wait := p.limits.wait(l.account, now); wait > 0 {
			return nil, now.Add(wait)
		}
		return f, time.Time{}
	}
	return nil, time.Time{}
}

// hasRoom is whether one more check of a host may be under way. A host that has never
// answered may be one that hangs, and gets one. One that has may always have one, so
// that no number of hosts that hang delays it.
func (p *Poller) hasRoom(h *hostState) bool {
	if h.running == 0 {
		return h.answered || p.running < p.total
	}
	return h.answered && h.running < p.perHost && p.running < p.total
}
