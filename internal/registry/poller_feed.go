// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// source is a CredentialSource that can be compared: the names of the Secrets are
// one string. The zero source is anonymous.
type source struct{ namespace, secrets, account string }

func sourceOf(t CredentialSource) source {
	if len(t.Secrets) == 0 && t.ServiceAccount == "" {
		return source{}
	}
	return source{namespace: t.Namespace, secrets: strings.Join(t.Secrets, ","), account: t.ServiceAccount}
}

func (s source) credentials() CredentialSource {
	from := CredentialSource{Namespace: s.namespace, ServiceAccount: s.account}
	if s.secrets != "" {
		from.Secrets = strings.Split(s.secrets, ",")
	}
	return from
}

// feedKey tells feeds apart: by tag, and by credential or, where that was not
// read yet, by where it comes from.
type feedKey struct {
	name       string
	credential string
	unread     source
}

// initialKey is the feed that a new follower joins.
func initialKey(t Target) feedKey {
	return feedKey{name: t.Reference.String(), unread: sourceOf(t.CredentialSource)}
}

// follower is one owner's interest in one tag.
type follower struct {
	owner  types.NamespacedName
	target Target
	feed   *feed
}

func (f *follower) source() source { return sourceOf(f.target.CredentialSource) }

// feed is one tag under one credential.
type feed struct {
	key       feedKey
	ref       reference.Reference
	keychain  Keychain
	followers map[*follower]struct{}
	// demands are what the followers want, each once.
	demands map[demand]*demanded

	// seen is the last answer, and the failure since.
	seen plan.Observation
	reading
	// tags of a repository.
	tags []string

	// begun is when the last check began; zero before the first.
	begun time.Time
	// retry is when to check again while checks fail, and leftAlone until when the
	// registry wants this one not to be made, whoever asks.
	retry, leftAlone time.Time
	// jitter of the next check, in parts of the interval.
	jitter float64
	// asked is set by Check, answering during the check that answers it.
	asked, answering bool
	// hinted is set by Hint until the next check, which comes no sooner than spacing
	// after the last. repeats are those to come where that finds nothing new.
	hinted  bool
	spacing time.Duration
	repeats []time.Duration

	// budget that the next check draws on; zero before the first is due, and where
	// the Secrets are still to be read.
	budget budget

	state feedState
	due   time.Time
	index int // in the heap of waiting feeds
}

// feedState is where a feed stands between two checks.
type feedState int

const (
	feedWaiting feedState = iota // in the heap, until it is due
	feedQueued                   // in the lane of its host
	feedRunning                  // a check is under way
	feedDropped                  // nobody follows it
)

func (f *feed) unread() bool { return f.key.unread != source{} }

func (f *feed) interval() time.Duration {
	shortest := time.Duration(0)
	for wanted := range f.demands {
		if shortest == 0 || wanted.interval < shortest {
			shortest = wanted.interval
		}
	}
	return shortest
}

// overdue is true where the next check cannot wait for its time: it is the
// first, was asked for, or a follower waits for what nobody asked for before.
func (f *feed) overdue(now time.Time) bool {
	if f.begun.IsZero() || f.asked {
		return true
	}
	if f.seen.Failure != nil {
		return false
	}
	_, lacking := f.lacks(f.seen.Digest, now)
	return lacking
}

// sources are where the followers' credentials come from, each once.
func (f *feed) sources() []source {
	distinct := map[source]bool{}
	for follower := range f.followers {
		if from := follower.source(); from != (source{}) {
			distinct[from] = true
		}
	}
	sources := make([]source, 0, len(distinct))
	for from := range distinct {
		sources = append(sources, from)
	}
	return sources
}

// join adds a follower to a feed, which is made if need be. A new feed starts
// with the answer that the follower brings along.
func (p *Poller) join(f *follower, key feedKey, brought plan.Observation) *feed {
	joined, ok := p.feeds[key]
	if !ok {
		joined = &feed{
			key: key, ref: f.target.Reference, seen: brought,
			followers: map[*follower]struct{}{}, demands: map[demand]*demanded{},
		}
		p.feeds[key] = joined
		p.index(joined)
	}
	f.feed = joined
	joined.followers[f] = struct{}{}
	joined.demand(f.target)
	if !ok {
		p.schedule(joined)
	} else {
		p.reschedule(joined)
	}
	return joined
}

// leave takes a follower out of its feed, which is dropped with its last one.
func (p *Poller) leave(f *follower) {
	left := f.feed
	delete(left.followers, f)
	left.relieve(f.target)
	if len(left.followers) > 0 {
		return
	}
	p.unschedule(left)
	left.state = feedDropped
	p.keepTags(left, nil)
	delete(p.feeds, left.key)
	p.unindex(left)
}

// move takes the followers whose credentials come from a source to the feed of
// another credential. They do not forget what was answered before; and a check
// that was asked for is made there. Where one was made just now that was not refused,
// the next comes when it would have come.
func (p *Poller) move(from *feed, of source, to feedKey, keychain Keychain, refused bool) {
	if from.key == to {
		return
	}
	brought := from.seen
	asked := from.asked || from.answering
	tags := from.tags
	for f := range from.followers {
		if f.source() != of {
			continue
		}
		_, exists := p.feeds[to]
		p.leave(f)
		joined := p.join(f, to, brought)
		joined.keychain = keychain
		joined.asked = joined.asked || asked
		if !exists {
			joined.reading = from.reading
			p.keepTags(joined, tags)
			if !refused && !from.unread() && !joined.unread() {
				joined.begun, joined.retry, joined.jitter = from.begun, from.retry, from.jitter
			}
		} else if joined.seen != brought {
			p.pending.add(f.owner)
		}
		p.reschedule(joined)
	}
	p.nudge()
}

// merge puts an owner's targets together by their tag.
func merge(targets []Target) map[string]Target {
	merged := make(map[string]Target, len(targets))
	for _, t := range targets {
		name := t.Reference.String()
		t.Secrets = slices.Clone(t.Secrets)
		if first, ok := merged[name]; ok {
			first.Describe = first.Describe || t.Describe
			first.Detail = first.Detail.with(t.Detail)
			if t.Interval > 0 && (first.Interval <= 0 || t.Interval < first.Interval) {
				first.Interval = t.Interval
			}
			t = first
		}
		merged[name] = t
	}
	return merged
}
