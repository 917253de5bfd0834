// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"errors"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// answer is what a check found.
type answer struct {
	// digest that the tag shows; empty where it is absent. Of a list of tags it is
	// that of the list.
	digest string
	// tags of a repository.
	tags []string
	// tried is set where the digest was to be described, to this detail. undescribed
	// says why not all of it could be; described is what could.
	tried       bool
	described   Description
	detail      Detail
	undescribed error
	err         error
}

// verdict is the error by which the host is judged: that a manifest could not be read
// where the tag could says nothing of it, unless it limits its clients.
func (a answer) verdict() error {
	if a.err == nil && ClassOf(a.undescribed) == RateLimited {
		return a.undescribed
	}
	return a.err
}

// checkup is what a check needs to know of its feed; it is read once, since the
// feed may change meanwhile.
type checkup struct {
	ref      reference.Reference
	keychain Keychain
	// lacks is what followers want to know of a digest beyond what is known.
	lacks func(digest v1alpha1.Digest) (Detail, bool)
}

// check asks once, tells the followers, and looks after their credentials. Secrets are
// read when the host's turn is over: the cluster's API holds up no registry.
func (p *Poller) check(ctx context.Context, f *feed, turnOver func()) {
	if f.unread() {
		defer turnOver()
		p.readSecrets(ctx, f)
		return
	}
	found := p.ask(ctx, p.checkup(f))
	p.draw(ctx, f, found.verdict())
	turnOver()
	refused := false
	if class := ClassOf(found.err); class == Unauthorized || class == Forbidden {
		// The Secrets may have been renewed since they were read. Followers who have
		// another credential now move on, and hear nothing of the refusal.
		refused = true
		p.renew(ctx, f, true)
	}
	p.conclude(ctx, f, found)
	if !refused {
		p.renew(ctx, f, false)
	}
}

func (p *Poller) checkup(f *feed) checkup {
	p.mu.Lock()
	defer p.mu.Unlock()
	return checkup{ref: f.ref, keychain: f.keychain, lacks: func(digest v1alpha1.Digest) (Detail, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return f.lacks(digest, p.clock.Now())
	}}
}

// ask reads the tag and, for a digest that is new, what followers want to know of
// it. Where that cannot be read, it is asked for again as after a failure.
func (p *Poller) ask(ctx context.Context, c checkup) answer {
	if c.ref.Tag == "" && c.ref.Digest == "" {
		return p.list(ctx, c)
	}
	digest, err := p.asker.Head(ctx, c.ref, c.keychain)
	if ClassOf(err) == Absent {
		return answer{}
	}
	if err != nil {
		return answer{err: err}
	}
	found := answer{digest: digest}
	if found.detail, found.tried = c.lacks(v1alpha1.Digest(digest)); found.tried {
		found.described, found.undescribed = p.asker.Describe(ctx, c.ref, digest, found.detail, c.keychain)
	}
	return found
}

// list reads the tags of a repository.
func (p *Poller) list(ctx context.Context, c checkup) answer {
	tags, err := p.asker.Tags(ctx, c.ref, c.keychain)
	switch {
	case ClassOf(err) == Absent:
		return answer{}
	case err != nil:
		return answer{err: err}
	default:
		return answer{digest: hashLines(tags), tags: tags}
	}
}

// readSecrets is the check of a feed whose Secrets were not read yet: its
// followers move to the feed of their credential, or hear why they cannot.
func (p *Poller) readSecrets(ctx context.Context, f *feed) {
	of := f.key.unread
	key, keychain, err := p.resolve(ctx, f.ref, of)
	if err != nil {
		p.conclude(ctx, f, answer{err: err})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move(f, of, key, keychain, false)
}

// secretsTimeout is how long the cluster has to tell the Secrets of one source.
const secretsTimeout = 30 * time.Second

// resolve finds the feed for a source's credential.
func (p *Poller) resolve(ctx context.Context, ref reference.Reference, of source) (feedKey, Keychain, error) {
	ctx, cancel := context.WithTimeout(ctx, secretsTimeout)
	defer cancel()
	keychain, err := p.secrets.For(ctx, of.credentials())
	if err != nil {
		return feedKey{}, Keychain{}, err
	}
	// Narrowed, the keychain asks with what the key says also when the rules change:
	// of those who share the feed, each could have asked so.
	keychain = p.asker.Narrow(ref, keychain)
	return feedKey{name: ref.String(), credential: keychain.Hash}, keychain, nil
}

// renew reads the followers' Secrets again, as often as Secrets lets it, or now;
// those whose credential has changed move on. A Secret that is gone takes its
// followers along to a feed that says so; where the cluster cannot be asked,
// everything stays as it is.
func (p *Poller) renew(ctx context.Context, f *feed, now bool) {
	p.mu.Lock()
	sources := f.sources()
	p.mu.Unlock()
	for _, of := range sources {
		if now {
			p.secrets.Forget(of.credentials())
		}
		key, keychain, err := p.resolve(ctx, f.ref, of)
		switch {
		case ctx.Err() != nil, ClassOf(err) == Unavailable:
			return
		case err != nil:
			key = feedKey{name: f.key.name, unread: of}
		}
		p.mu.Lock()
		p.move(f, of, key, keychain, now)
		p.mu.Unlock()
	}
}

// draw says on what the next check draws, and judges by this one all that share its host
// or its budget.
func (p *Poller) draw(ctx context.Context, f *feed, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.state == feedDropped:
	case visitOf(ctx).wasTurnedAway():
		p.drawOn(f, firstBudget(f.ref, f.keychain))
	default:
		p.drawOn(f, visitOf(ctx).lastAsked())
	}
	p.judge(ctx, f, err)
}

// conclude keeps an answer and wakes those whom it concerns.
func (p *Poller) conclude(ctx context.Context, f *feed, found answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.state == feedDropped {
		return
	}
	p.nudge()
	if ctx.Err() != nil || visitOf(ctx).wasTurnedAway() {
		// Nothing was learned. The check is made again, by the poller that is started
		// again, or in the turn of the host.
		f.begun, f.asked = time.Time{}, f.asked || f.answering
		p.schedule(f)
		return
	}
	f.leftAlone = time.Time{}
	// A 429 is a pause for all of its budget.
	if wait := max(RetryAfter(found.err), RetryAfter(found.undescribed)); wait > 0 && ClassOf(found.verdict()) != RateLimited {
		f.leftAlone = p.clock.Now().Add(wait)
	}
	if err := p.makeRoom(f, found.tags); err != nil {
		found = answer{err: err}
	}
	f.repeatHint(found)
	var news bool
	if found.err != nil {
		news = p.fail(f, found.err)
	} else {
		news = p.learn(f, found)
	}
	if news || f.answering {
		for follower := range f.followers {
			p.pending.add(follower.owner)
		}
	}
	f.answering = false
	f.jitter = jitterWidth * (2*p.random() - 1)
	p.schedule(f)
}

// repeatHint has a check that answered a hint made again, as often as is worth it, as
// long as it finds what was there before. After a failure checks are made again anyway.
func (f *feed) repeatHint(found answer) {
	switch {
	case found.err != nil:
		f.repeats = nil
	case len(f.repeats) == 0 || f.hinted:
	case f.seen.Digest != v1alpha1.Digest(found.digest):
		f.repeats = nil
	default:
		f.hinted, f.spacing, f.repeats = true, f.repeats[0], f.repeats[1:]
	}
}

// learn keeps an answer, and is true where it is news.
func (p *Poller) learn(f *feed, found answer) bool {
	was := f.seen
	now := plan.Observation{
		Digest: v1alpha1.Digest(found.digest), Absent: found.digest == "",
		Started: f.begun, Repeats: 1,
	}
	same := was.Answered() && was.Absent == now.Absent && was.Digest == now.Digest
	if same {
		now.Repeats, now.Previous = was.Repeats+1, was.Started
	} else {
		p.keepTags(f, found.tags)
	}
	f.seen = now
	return f.learnMore(found, same, p.clock.Now()) || !same || was.Failure != nil
}

// newsworthy is the failure in a row that is told once more: conditions change
// with the third.
const newsworthy = 3

// fail keeps a failure, and is true where it is news.
func (p *Poller) fail(f *feed, err error) bool {
	news := f.hear(err, f.begun)
	f.retry = f.retryAt(p.clock.Now(), f.seen.Failure.Count, err)
	return news
}

// hear keeps the failure of a check that began at a time, and is true where it is
// news. The last answer stays.
func (f *feed) hear(err error, begun time.Time) bool {
	was := f.seen.Failure
	now := failureOf(err, begun, was)
	f.seen.Failure = &now
	return was == nil || was.Reason != now.Reason || now.Count == newsworthy
}

// failureOf is an error as it is told, after the failure before it.
func failureOf(err error, begun time.Time, was *plan.Failure) plan.Failure {
	now := plan.Failure{Reason: v1alpha1.ReasonRegistryUnreachable, Message: "the check failed", Since: begun, Count: 1}
	if known, ok := errors.AsType[*Error](err); ok {
		now.Reason, now.Message = known.Reason(), known.Error()
	}
	if was != nil {
		now.Since, now.Count = was.Since, was.Count+1
	}
	return now
}
