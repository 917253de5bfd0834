// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"time"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// hintRepeats are how long after a check that answered a hint, and found nothing new, it
// is made again. CNCF distribution tells of a push before it moves the tag
// (distribution v3.1, registry/handlers/manifests.go), and registries with replicas or
// caches may show the old digest for a while.
var hintRepeats = []time.Duration{250 * time.Millisecond, time.Second, 5 * time.Second}

// hintSpacing is how long after the beginning of its last check a tag is checked again
// because of a hint. What sends ten thousand hints a second causes one check a second,
// and two more when it begins.
const hintSpacing = time.Second

// Hint has tags checked soon, because somebody says that they were moved: at once,
// or a second after the beginning of their last check. Unlike with Check, owners are
// woken only where something changed. It tells how many checks it brought forward,
// counted once for each credential: none for a tag that nobody follows, or that is
// about to be checked anyway.
func (p *Poller) Hint(refs ...reference.Reference) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	woken := 0
	for _, ref := range refs {
		// Who chooses among the tags of a repository follows its list.
		for _, name := range []string{ref.String(), ref.Repository} {
			for f := range p.names[name] {
				if p.hint(f) {
					woken++
				}
			}
		}
	}
	if woken > 0 {
		p.nudge()
	}
	return woken
}

// hint is true where it brings the next check forward.
func (p *Poller) hint(f *feed) bool {
	if f.asked || f.state == feedQueued || f.hinted && f.spacing <= hintSpacing {
		return false
	}
	if f.hinted || len(f.repeats) > 0 {
		// An earlier hint is followed up still: of its repeats the last comes once more.
		f.repeats = hintRepeats[len(hintRepeats)-1:]
	} else {
		f.repeats = hintRepeats
	}
	f.hinted, f.spacing = true, hintSpacing
	before := f.due
	p.reschedule(f)
	return f.state == feedRunning || f.due.Before(before)
}

// RulesChanged has the checks that wait for a token looked at again, after what the
// rules of Limits answer has changed.
func (p *Poller) RulesChanged() { p.nudge() }

// index finds a new feed by its name, and keeps count of its host's.
func (p *Poller) index(f *feed) {
	named, ok := p.names[f.key.name]
	if !ok {
		named = map[*feed]struct{}{}
		p.names[f.key.name] = named
	}
	named[f] = struct{}{}
	p.joinHost(f.ref.Host())
	p.metrics.polled(len(p.feeds))
}

func (p *Poller) joinHost(host string) {
	h, ok := p.hosts[host]
	if !ok {
		h = &hostState{}
		p.hosts[host] = h
		p.metrics.followed(host)
		p.metrics.breakerIs(host, h.state())
	}
	h.feeds++
}

// leaveHost counts a feed less. The host is forgotten later: the feed's followers may be
// on their way to another one of it.
func (p *Poller) leaveHost(host string) {
	h := p.hosts[host]
	h.feeds--
	if h.feeds == 0 {
		p.vacant[host] = struct{}{}
		p.nudge()
	}
}

// drawOn says on what a feed's next check draws. A mirror is a host in its own right, as
// long as it answers.
func (p *Poller) drawOn(f *feed, next budget) {
	before := f.mirror()
	f.budget = next
	after := f.mirror()
	if before == after {
		return
	}
	if after != "" {
		p.joinHost(after)
	}
	if before != "" {
		p.leaveHost(before)
	}
}

// mirror is the host that the next check goes to where it is not the feed's own.
func (f *feed) mirror() string {
	if f.budget.host == f.ref.Host() {
		return ""
	}
	return f.budget.host
}

// unindex forgets a feed that was dropped.
func (p *Poller) unindex(f *feed) {
	delete(p.names[f.key.name], f)
	if len(p.names[f.key.name]) == 0 {
		delete(p.names, f.key.name)
	}
	p.drawOn(f, budget{})
	p.leaveHost(f.ref.Host())
	p.metrics.polled(len(p.feeds))
}

// clearOut forgets the hosts of which nobody follows anything any more. Their series
// make room for those that came too late for one.
func (p *Poller) clearOut() {
	if len(p.vacant) > 0 {
		defer p.showHosts()
	}
	for host := range p.vacant {
		h := p.hosts[host]
		if h.feeds == 0 && h.running > 0 {
			continue // its end comes by here
		}
		delete(p.vacant, host)
		if h.feeds > 0 {
			continue
		}
		p.forgetHost(host)
	}
}

// showHosts gives the hosts series, as far as there is room.
func (p *Poller) showHosts() {
	for host, h := range p.hosts {
		if host != clusterHost {
			p.metrics.followed(host)
			p.metrics.breakerIs(host, h.state())
		}
	}
}

func (p *Poller) forgetHost(host string) {
	delete(p.hosts, host)
	p.metrics.unfollowed(host)
	for of := range p.pauses {
		if of.host == host {
			delete(p.pauses, of)
		}
	}
}
