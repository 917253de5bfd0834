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
	// digest that the tag shows; empty where it is absent.
	digest string
	// base annotations of the digest, where tried and described say so.
	base             plan.BaseAnnotation
	tried, described bool
	err              error
}

// checkup is what a check needs to know of its feed; it is read once, since the
// feed may change meanwhile.
type checkup struct {
	ref      reference.Reference
	keychain Keychain
	// describe is set where followers want the annotations of a new digest.
	describe bool
	// described is the digest whose annotations are known.
	described string
}

// check asks once, tells the followers, and looks after their credentials.
func (p *Poller) check(ctx context.Context, f *feed) {
	if f.unread() {
		p.readSecrets(ctx, f)
		return
	}
	found := p.ask(ctx, p.checkup(f))
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
	return checkup{ref: f.ref, keychain: f.keychain, describe: f.wantsDescription(), described: f.described}
}

// ask reads the tag and, for a digest that is new, its annotations. Where those
// cannot be read the digest is told without them, and they are asked for again
// with the next check.
func (p *Poller) ask(ctx context.Context, c checkup) answer {
	digest, err := p.asker.Head(ctx, c.ref, c.keychain)
	if ClassOf(err) == Absent {
		return answer{}
	}
	if err != nil {
		return answer{err: err}
	}
	found := answer{digest: digest}
	if !c.describe || c.described == digest {
		return found
	}
	found.tried = true
	description, err := p.asker.Describe(ctx, c.ref, digest, c.keychain)
	if err == nil {
		found.described = true
		found.base = plan.BaseAnnotation{Name: description.BaseName, Digest: v1alpha1.Digest(description.BaseDigest)}
	}
	return found
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
	p.move(f, of, key, keychain)
}

// resolve finds the feed for a source's credential.
func (p *Poller) resolve(ctx context.Context, ref reference.Reference, of source) (feedKey, Keychain, error) {
	keychain, err := p.secrets.For(ctx, of.namespace, of.secrets())
	if err != nil {
		return feedKey{}, Keychain{}, err
	}
	_, credential, err := keychain.authenticator(ctx, ref)
	if err != nil {
		return feedKey{}, Keychain{}, err
	}
	return feedKey{name: ref.Name(), credential: credential}, keychain, nil
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
			p.secrets.Forget(of.namespace, of.secrets())
		}
		key, keychain, err := p.resolve(ctx, f.ref, of)
		switch {
		case ctx.Err() != nil, ClassOf(err) == Unavailable:
			continue
		case err != nil:
			key = feedKey{name: f.key.name, unread: of}
		}
		p.mu.Lock()
		p.move(f, of, key, keychain)
		p.mu.Unlock()
	}
}

// conclude keeps an answer and wakes those whom it concerns.
func (p *Poller) conclude(ctx context.Context, f *feed, found answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge(ctx, f, found.err)
	if f.state == feedDropped {
		return
	}
	if ctx.Err() != nil {
		// Nothing was learned. Started again, the poller begins with this.
		f.begun, f.asked = time.Time{}, f.asked || f.answering
		p.schedule(f)
		return
	}
	var news bool
	if found.err != nil {
		news = p.fail(f, found.err)
	} else {
		news = f.learn(found)
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

// learn keeps an answer, and is true where it is news.
func (f *feed) learn(found answer) bool {
	was := f.seen
	now := plan.Observation{
		Digest: v1alpha1.Digest(found.digest), Absent: found.digest == "",
		Started: f.begun, Repeats: 1,
	}
	same := was.Answered() && was.Absent == now.Absent && was.Digest == now.Digest
	if same {
		now.Repeats, now.Previous, now.Base = was.Repeats+1, was.Started, was.Base
	}
	// Followers who want annotations were told of nothing before the first try.
	first := found.tried && f.tried != found.digest
	if found.tried {
		f.tried = found.digest
	}
	if found.described {
		f.described, now.Base = found.digest, found.base
	}
	f.seen = now
	return !same || first || was.Failure != nil || was.Base != now.Base
}

// newsworthy is the failure in a row that is told once more: conditions change
// with the third.
const newsworthy = 3

// fail keeps a failure, and is true where it is news.
func (p *Poller) fail(f *feed, err error) bool {
	news := f.hear(err, f.begun)
	f.retry = f.retryAt(p.clock.Now(), err)
	return news
}

// hear keeps the failure of a check that began at a time, and is true where it is
// news. The last answer stays.
func (f *feed) hear(err error, begun time.Time) bool {
	now := plan.Failure{Reason: v1alpha1.ReasonRegistryUnreachable, Message: "the check failed", Since: begun, Count: 1}
	if known, ok := errors.AsType[*Error](err); ok {
		now.Reason, now.Message = known.Reason(), known.Error()
	}
	was := f.seen.Failure
	if was != nil {
		now.Since, now.Count = was.Since, was.Count+1
	}
	f.seen.Failure = &now
	return was == nil || was.Reason != now.Reason || now.Count == newsworthy
}
