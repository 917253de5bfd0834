// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Copies makes copies; *Client does.
type Copies interface {
	// Copy brings the image of a digest to another repository.
	Copy(ctx context.Context, from reference.Reference, digest string, to reference.Reference, read, write Keychain) (Copied, error)
}

const (
	// DefaultWorkers is how many copies are made at once.
	DefaultWorkers = 4
	// namespaceWorkers is how many of them are made for one namespace: whatever is wrong
	// with its registries, others' copies go on.
	namespaceWorkers = 2
	// longestCopy is how long a worker has for one try. What has arrived by then is not
	// sent again by the next one, which comes after all others that wait.
	longestCopy = 6 * time.Hour
	// firstCopyRetry is how long after its first failure a copy is tried again; the
	// time doubles up to maxCopyRetry.
	firstCopyRetry = 10 * time.Second
	maxCopyRetry   = 10 * time.Minute
	// copyAge is how long it is believed that a copy is there: somebody may delete it.
	copyAge = time.Hour
	// copyMemory is how long the outcome for a request is remembered that nobody makes
	// any more.
	copyMemory = 24 * time.Hour
)

// CopierOptions make a Copier.
type CopierOptions struct {
	// Copies are required.
	Copies Copies
	// Secrets are required.
	Secrets Secrets
	// Clock; the default is the real one.
	Clock clock.PassiveClock
	// Workers; DefaultWorkers by default.
	Workers int
}

// CopyRequest is a digest that has to be in another repository; see Client.Copy.
type CopyRequest struct {
	// From is where it is, with the tag that it was found under.
	From reference.Reference
	// Digest to copy.
	Digest string
	// To is the repository to copy to.
	To reference.Reference
	// Read is used at the source, and Write at the target.
	Read, Write CredentialSource
}

// CopyState is how far a request is.
type CopyState struct {
	// Copy is the copy with its kept tag, once it is there; else the zero Reference.
	Copy reference.Reference
	// UnderWay is set while the request waits for a worker, or has one.
	UnderWay bool
	// Failure since the last success; nil without one. It stays while the copy is
	// tried again.
	Failure *CopyFailure
}

// CopyFailure is why a copy is not there yet.
type CopyFailure struct {
	// Err of the last try.
	Err *Error
	// Since is when the first try in a row failed, Count how many did.
	Since time.Time
	Count int
	// Next is when Ensure begins the next try; see there.
	Next time.Time
}

// Copier copies digests for all owners together, in the background: one copy of a
// digest to a repository at a time, whoever wants it. Within a namespace, first come is
// first served; namespaces have their turns, and none of them takes all workers.
//
// It keeps nothing that a restart could lose: what was copied is found by its kept
// tag, with one HEAD, and what was not is completed.
type Copier struct {
	copies  Copies
	secrets Secrets
	clock   clock.PassiveClock
	workers int
	longest time.Duration

	wake chan struct{}

	// mu guards all that follows, jobs included.
	mu      sync.Mutex
	jobs    map[jobKey]*job
	queue   []*job
	busy    map[place]bool
	running map[string]int // by namespace
	swept   time.Time
	pending *outbox
}

// jobKey tells requests apart. Those with other Secrets are others, so that nobody
// hears of the failures of credentials that are not theirs.
type jobKey struct {
	from, digest, to string
	read, write      source
}

func (r CopyRequest) key() jobKey {
	return jobKey{
		from: r.From.Name(), digest: r.Digest, to: r.To.Repository,
		read: sourceOf(r.Read), write: sourceOf(r.Write),
	}
}

// place is where a copy goes; there is one at a time.
type place struct{ repository, digest string }

func (r CopyRequest) place() place { return place{repository: r.To.Repository, digest: r.Digest} }

// job is one request, of all owners who make it.
type job struct {
	request CopyRequest
	// namespace of the owner who asked first; it is that one's turn.
	namespace string
	owners    map[types.NamespacedName]struct{}
	state     CopyState
	// asked is when it was asked for last, and confirmed when the copy was there.
	asked, confirmed time.Time
	// cancel ends the copy while one is under way, else nil.
	cancel context.CancelFunc
}

// NewCopier makes a copier that copies nothing before Start.
func NewCopier(o CopierOptions) *Copier {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	return &Copier{
		copies: o.Copies, secrets: o.Secrets, clock: o.Clock, workers: o.Workers, longest: longestCopy,
		wake:    make(chan struct{}, 1),
		jobs:    map[jobKey]*job{},
		busy:    map[place]bool{},
		running: map[string]int{},
		swept:   o.Clock.Now(),
		pending: newOutbox(),
	}
}

// Ensure asks for a copy, and returns at once how far it is. The owner is woken
// through Events when a try has ended, well or not.
//
// A copy that was there an hour ago is looked for again, and made again where somebody has
// deleted it; meanwhile the request is under way. Who asks once an hour notices.
//
// A request that has failed is tried again by the first Ensure after Failure.Next, not
// by itself: what nobody wants any more is not tried again. An owner may make several
// requests; each is known for a day after it was last made.
func (c *Copier) Ensure(owner types.NamespacedName, request CopyRequest) CopyState {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	c.sweep(now)
	j, known := c.jobs[request.key()]
	if !known {
		j = &job{request: request, namespace: owner.Namespace, owners: map[types.NamespacedName]struct{}{}}
		c.jobs[request.key()] = j
	}
	j.owners[owner] = struct{}{}
	j.asked = now
	if now.Sub(j.confirmed) >= copyAge {
		j.state.Copy = reference.Reference{}
	}
	failure := j.state.Failure
	if j.state.Copy.IsZero() && !j.state.UnderWay && (failure == nil || !now.Before(failure.Next)) {
		j.state.UnderWay = true
		c.queue = append(c.queue, j)
		c.nudge()
	}
	return j.state
}

// Forget drops all requests of an owner. A copy that nobody else waits for ends.
func (c *Copier) Forget(owner types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobs {
		delete(j.owners, owner)
		if len(j.owners) == 0 {
			c.drop(j)
		}
	}
}

// sweep drops the requests that nobody makes any more, now and then.
func (c *Copier) sweep(now time.Time) {
	if now.Sub(c.swept) < copyMemory {
		return
	}
	c.swept = now
	for _, j := range c.jobs {
		if !j.state.UnderWay && now.Sub(j.asked) >= copyMemory {
			c.drop(j)
		}
	}
}

// drop forgets a job. In the queue it is passed over, and a copy under way is ended.
func (c *Copier) drop(j *job) {
	delete(c.jobs, j.request.key())
	if j.cancel != nil {
		j.cancel()
	}
}

// Events names the owners one of whose copies has ended, well or not. An owner who was
// not fetched yet is not named twice. See Poller.Events for how to watch it.
func (c *Copier) Events() <-chan event.TypedGenericEvent[types.NamespacedName] {
	return c.pending.events
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: replicas that only wait
// copy nothing.
func (c *Copier) NeedLeaderElection() bool { return true }

// nudge has the queue looked at.
func (c *Copier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
