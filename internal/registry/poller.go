// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Asker is what the poller asks; *Client is one.
type Asker interface {
	// Head is the digest that a tag shows, or of a reference with a digest, whether
	// it is there.
	Head(ctx context.Context, ref reference.Reference, auth Keychain) (string, error)
	// Describe tells what the manifest of a digest says of itself.
	Describe(ctx context.Context, ref reference.Reference, digest string, detail Detail, auth Keychain) (Description, error)
	// Tags are all tags of a repository.
	Tags(ctx context.Context, ref reference.Reference, auth Keychain) ([]string, error)
	// Narrow keeps of a keychain what counts for a reference; who has an equal Hash
	// may share the answers.
	Narrow(ref reference.Reference, auth Keychain) Keychain
}

// Secrets turns names into keychains; *Credentials is one.
type Secrets interface {
	// For is the keychain of a source.
	For(ctx context.Context, from CredentialSource) (Keychain, error)
	// Forget has a source read anew.
	Forget(from CredentialSource)
}

const (
	// DefaultPerHost is how many tags of one host are checked at once, once it has
	// answered in this process; before that it is one. A host that answers slowly
	// delays its own tags only.
	DefaultPerHost = 4
	// DefaultTotal is how many tags are checked at once. A host that has answered
	// before may have one check under way even so.
	DefaultTotal = 256
)

// PollerOptions make a Poller.
type PollerOptions struct {
	// Asker is required.
	Asker Asker
	// Secrets are required.
	Secrets Secrets
	// Clock; the default is the real one.
	Clock clock.Clock
	// Random is in [0, 1), and spreads the checks; the default is math/rand's.
	Random func() float64
	// PerHost and Total limit the checks at once; DefaultPerHost and DefaultTotal
	// by default.
	PerHost, Total int
	// Limits that a check waits for; they are the client's, too. None by default.
	Limits *Limits
	// Metrics tell how late checks begin, and which hosts give no answer; none by
	// default.
	Metrics *Metrics
}

// Target is what an owner wants checked.
type Target struct {
	// CredentialSource to read with; one that names nothing reads anonymously.
	CredentialSource

	// Reference with a tag: what it shows. With a digest: whether it is there. With
	// neither: which tags the repository has, which Poller.Listing tells.
	Reference reference.Reference
	// Interval between two checks, plan.DefaultInterval where it is 0. Of several
	// owners' intervals the shortest counts.
	Interval time.Duration
	// Describe has the base annotations of each new digest read before it is told;
	// where they cannot be read, it is told without.
	Describe bool
	// Detail is of what the identity of each new digest is made. A digest is not
	// told before it has one.
	Detail Detail
	// Known is the digest that the owner knows all of already: nothing of it is read
	// again, as after a restart.
	Known v1alpha1.Digest
}

// needs is true where a digest is of use only with its description.
func (t Target) needs(digest v1alpha1.Digest) bool {
	return digest != "" && digest != t.Known && (t.Describe || t.Detail.needed())
}

// Poller checks tags for all owners together: one HEAD for each tag and
// credential and interval, however many owners follow it.
//
// An owner says with Follow what it wants, is woken through Events when an answer
// changes, and reads it with Latest. All methods return at once.
//
// A feed is one tag under one credential. Its next check is computed from the
// beginning of its last one, and nothing but a shorter interval or Check moves
// it. A feed whose Secrets were not read yet has no host to ask; its check reads
// them, and its followers move to the feed of the credential found. They move
// again when the Secret's content changes, and take the last answer along.
type Poller struct {
	asker   Asker
	secrets Secrets
	clock   clock.Clock
	random  func() float64
	perHost int
	total   int
	limits  *Limits
	metrics *Metrics

	wake chan struct{}

	// mu guards all that follows, feeds and followers included.
	mu      sync.Mutex
	owners  map[types.NamespacedName]map[string]*follower
	feeds   map[feedKey]*feed
	waiting dueHeap
	names   map[string]map[*feed]struct{}
	hosts   map[string]*hostState
	vacant  map[string]struct{} // hosts whose last feed was dropped
	lanes   map[account]*lane
	turns   []*lane // the lanes, in the order in which they may begin a check
	pauses  map[budget]*pause
	running int
	pending *outbox
	// largeLists is the size of all large lists of tags that are kept.
	largeLists int
}

// NewPoller makes a poller that checks nothing before Start.
func NewPoller(o PollerOptions) *Poller {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.PerHost == 0 {
		o.PerHost = DefaultPerHost
	}
	if o.Total == 0 {
		o.Total = DefaultTotal
	}
	return &Poller{
		asker: o.Asker, secrets: o.Secrets, clock: o.Clock, random: o.Random,
		perHost: o.PerHost, total: o.Total, limits: o.Limits, metrics: o.Metrics,
		wake:    make(chan struct{}, 1),
		owners:  map[types.NamespacedName]map[string]*follower{},
		feeds:   map[feedKey]*feed{},
		names:   map[string]map[*feed]struct{}{},
		hosts:   map[string]*hostState{clusterHost: {answered: true}},
		vacant:  map[string]struct{}{},
		lanes:   map[account]*lane{},
		pauses:  map[budget]*pause{},
		pending: newOutbox(),
	}
}

// Follow says which tags an owner wants checked, in place of what it said before.
// A tag that nobody followed is checked at once; one that others follow may be
// answered already, and is not told again: read Latest after Follow. Saying the
// same again changes nothing. Of two targets with the same tag the first one's Secrets count.
func (p *Poller) Follow(owner types.NamespacedName, targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := merge(targets)
	for name, f := range p.owners[owner] {
		if _, still := wanted[name]; !still {
			p.leave(f)
			delete(p.owners[owner], name)
		}
	}
	if len(wanted) == 0 {
		delete(p.owners, owner)
		return
	}
	if p.owners[owner] == nil {
		p.owners[owner] = make(map[string]*follower, len(wanted))
	}
	for name, target := range wanted {
		p.follow(owner, name, target)
	}
	p.nudge()
}

func (p *Poller) follow(owner types.NamespacedName, name string, target Target) {
	f, known := p.owners[owner][name]
	if known && f.source() == sourceOf(target.CredentialSource) {
		if demandOf(f.target) != demandOf(target) {
			f.feed.relieve(f.target)
			f.target = target
			f.feed.demand(target)
			p.reschedule(f.feed)
		}
		return
	}
	if known {
		p.leave(f)
	}
	f = &follower{owner: owner, target: target}
	p.owners[owner][name] = f
	p.join(f, initialKey(target), plan.Observation{})
}

// Forget ends all that an owner follows.
func (p *Poller) Forget(owner types.NamespacedName) { p.Follow(owner, nil) }

// Latest is the last answer for an owner's tag, with the failure of the checks
// since, if they fail. It is nil for a tag that the owner does not follow, and
// before the first answer or failure; to an owner that wants the base
// annotations, an answer comes with them.
func (p *Poller) Latest(owner types.NamespacedName, ref reference.Reference) *plan.Observation {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.owners[owner][ref.String()]
	if !ok {
		return nil
	}
	seen := f.feed.seen
	if f.target.needs(seen.Digest) {
		seen = f.feed.told(f.target)
	}
	if seen.Failure != nil {
		failure := *seen.Failure
		seen.Failure = &failure
	}
	if !seen.Answered() && seen.Failure == nil {
		return nil
	}
	return &seen
}

// Listing is the last answer for the tags of an owner's repository, with the
// failure of the checks since. It is nil as Latest is. The tags are nobody's to
// change.
func (p *Poller) Listing(owner types.NamespacedName, ref reference.Reference) *plan.Listing {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.owners[owner][ref.Repository]
	if !ok {
		return nil
	}
	seen := f.feed.seen
	if !seen.Answered() && seen.Failure == nil {
		return nil
	}
	listing := &plan.Listing{Tags: f.feed.tags, Repeats: seen.Repeats}
	if seen.Failure != nil {
		failure := *seen.Failure
		listing.Failure = &failure
	}
	return listing
}

// Check has tags checked now, for everyone who follows them. A check that is
// under way is followed by another one, since it may have asked before the
// caller did what it wants to see: an answer to a question that began after the
// call always comes, and its owners are woken once by it, changed or not. Where
// the registry limits its clients, or gives no answer, it comes when that is
// over; owners who hear meanwhile that it is not are woken by that.
func (p *Poller) Check(refs ...reference.Reference) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		for f := range p.names[ref.String()] {
			f.asked = true
			p.reschedule(f)
		}
	}
	p.nudge()
}

// CheckFailing has all that fails checked now: what it failed of may be mended.
func (p *Poller) CheckFailing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.feeds {
		if f.seen.Failure != nil || f.undescribed != nil {
			f.asked = true
			p.reschedule(f)
		}
	}
	p.nudge()
}

// Events names the owners for whom something changed: a digest, the absence of a
// tag, its base annotations, the beginning, reason, third time or end of a
// failure, or the end of a check that was asked for with Check. Nothing changed,
// nothing comes. An owner who was not fetched yet is not named twice, so a slow
// reader costs one entry for each owner, and never delays a check.
//
// A controller watches it with
//
//	source.TypedChannel(poller.Events(), handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
//		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
//			q.Add(reconcile.Request{NamespacedName: e.Object})
//		},
//	})
func (p *Poller) Events() <-chan event.TypedGenericEvent[types.NamespacedName] {
	return p.pending.events
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: replicas that
// only wait ask no registry.
func (p *Poller) NeedLeaderElection() bool { return true }

// nudge has the schedule looked at.
func (p *Poller) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
