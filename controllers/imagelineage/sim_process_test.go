// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/controllers/fleet"
	"github.com/imagelineage/imagelineage/controllers/index"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// process is one operator: its reconciler, its lagging cache, its queue and its
// poller. The simulation steps it; nothing in it runs by itself.
type process struct {
	sim        *sim
	view       *view
	reconciler *Reconciler
	poller     *simPoller
	queue      *simQueue
	timers     map[types.NamespacedName]time.Time
	errors     map[types.NamespacedName]int
	// untold are the changes that the cache shows, and no handler was told of.
	untold []change
	// killAt is the effect right after which the process dies; 0 is never.
	killAt, effects int
	dead            bool
}

var errKilled = errors.New("killed")

func newProcess(s *sim) *process {
	p := &process{
		sim: s, view: newView(s.scheme, s.rng), poller: newSimPoller(s),
		queue: &simQueue{pending: map[types.NamespacedName]bool{}}, timers: map[types.NamespacedName]time.Time{},
		errors: map[types.NamespacedName]int{},
	}
	if err := index.Setup(context.Background(), p.view); err != nil {
		s.t.Fatal(err)
	}
	writes := effectClient{Client: s.api, process: p}
	p.reconciler = &Reconciler{
		Fleet: &fleet.Fleet{}, Client: laggingClient{Client: writes, view: p.view}, Live: s.api,
		Poller: p.poller, Registry: simRegistry{process: p}, Runs: simRuns{tekton.NewRuns(s.api, s.Now), p},
		Events: events.NewFakeRecorder(10_000), Clock: s,
		Refusals: &index.Refusals{}, SettleTimeout: plan.DefaultSettleTimeout,
	}
	p.reconciler.builds.limit = s.builds
	_ = p.reconciler.builds.Start(context.Background(), p.queue)
	// A cache begins with a list, which shows everything.
	for _, c := range s.everything() {
		p.view.written(c)
	}
	for p.deliver() {
	}
	return p
}

// effect makes an effect, unless the process is dead. Of its last one it hears
// nothing.
func (p *process) effect(do func() error) error {
	if p.dead {
		return errKilled
	}
	if err := do(); err != nil {
		return err
	}
	p.effects++
	if p.killAt > 0 && p.effects >= p.killAt {
		p.dead = true
		return errKilled
	}
	return nil
}

// deliver lets the process see one change, or hear of one that it may have seen long
// ago: the handlers of a watch are told after the cache has changed. They are the very
// handlers of the controller.
func (p *process) deliver() bool {
	if len(p.untold) == 0 || p.sim.rng.Intn(2) == 0 {
		if c, ok := p.view.deliver(); ok {
			if c.now != nil || c.old != nil {
				p.untold = append(p.untold, c)
			}
			return true
		}
	}
	if len(p.untold) == 0 {
		return false
	}
	c := p.untold[0]
	p.untold = p.untold[1:]
	switch c.kind {
	case "ImageLineage":
		tell(p.reconciler.lineageEvents(), c, p.queue)
	case "PipelineRun":
		tell(p.reconciler.runEvents(), c, p.queue)
	}
	return true
}

// tell tells a handler of a change.
func tell(h handler.EventHandler, c change, q *simQueue) {
	ctx := context.Background()
	switch {
	case c.now == nil:
		h.Delete(ctx, event.DeleteEvent{Object: c.old}, q)
	case c.old == nil:
		h.Create(ctx, event.CreateEvent{Object: c.now}, q)
	default:
		h.Update(ctx, event.UpdateEvent{ObjectOld: c.old, ObjectNew: c.now}, q)
	}
}

// reconcile takes one lineage from the queue.
func (p *process) reconcile() bool {
	names := p.queue.names()
	if len(names) == 0 {
		return false
	}
	name := names[p.sim.rng.Intn(len(names))]
	delete(p.queue.pending, name)
	delete(p.timers, name)
	_, held := p.reconciler.Fleet.Ancestry(name)
	was := map[types.NamespacedName]*v1alpha1.ImageLineage{}
	for key, l := range held {
		was[key] = l.DeepCopy()
	}
	result, err := p.reconciler.Reconcile(context.Background(), ctrl.Request{NamespacedName: name})
	p.sim.reconciles++
	if !equality.Semantic.DeepEqual(was, held) {
		p.sim.broken("what the fleet holds of %s or its ancestors was modified", name)
	}
	switch {
	case p.dead:
	case err != nil:
		p.errors[name]++
		p.timers[name] = p.sim.now.Add(time.Second << min(p.errors[name], 6))
	default:
		p.errors[name] = 0
		if result.RequeueAfter > 0 {
			p.timers[name] = p.sim.now.Add(result.RequeueAfter)
		}
	}
	return true
}

// wakeDue wakes the lineages whose time has come.
func (p *process) wakeDue() {
	for _, name := range slices.SortedFunc(maps.Keys(p.timers), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }) {
		if !p.timers[name].After(p.sim.now) {
			delete(p.timers, name)
			p.queue.Add(reconcile.Request{NamespacedName: name})
		}
	}
}

// effectClient makes the writes of statuses effects.
type effectClient struct {
	client.Client
	process *process
}

// Status implements client.StatusClient.
func (c effectClient) Status() client.SubResourceWriter {
	return effectStatus{c.Client.Status(), c.process}
}

type effectStatus struct {
	client.SubResourceWriter
	process *process
}

// Patch implements client.SubResourceWriter.
func (s effectStatus) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.process.effect(func() error { return s.SubResourceWriter.Patch(ctx, o, patch, opts...) })
}

// simRuns makes the creation of runs an effect.
type simRuns struct {
	Runs
	process *process
}

// Create implements Runs.
func (r simRuns) Create(ctx context.Context, run *unstructured.Unstructured) error {
	return r.process.effect(func() error { return r.Runs.Create(ctx, run) })
}

// simRegistry is the registry as the operator reaches it.
type simRegistry struct{ process *process }

// Credentials implements Registry.
func (r simRegistry) Credentials(context.Context, registry.CredentialSource) (registry.Keychain, error) {
	return registry.Keychain{}, nil
}

// ForgetCredentials implements Registry.
func (r simRegistry) ForgetCredentials(registry.CredentialSource) {}

// MayPush implements Registry.
func (r simRegistry) MayPush(context.Context, reference.Reference, registry.Keychain) error {
	return nil
}

// Confirm implements Registry.
func (r simRegistry) Confirm(_ context.Context, ref reference.Reference, _ registry.Keychain) (string, error) {
	digest := r.process.sim.tags[ref.Name()]
	if digest == "" {
		return "", &registry.Error{Class: registry.Absent}
	}
	return digest, nil
}

// Describe implements Registry.
func (r simRegistry) Describe(_ context.Context, _ reference.Reference, digest string, _ registry.Detail, _ registry.Keychain) (registry.Description, error) {
	image := registry.Child{Platform: "linux/amd64", Digest: digest, Content: r.process.sim.layers[digest]}
	return registry.Description{Digest: digest, Children: []registry.Child{image}}, nil
}

// Publish implements Registry, by the rule of registry.Publish.
func (r simRegistry) Publish(_ context.Context, ref reference.Reference, digest, expected string, _ registry.Keychain) (registry.Published, error) {
	s := r.process.sim
	published := registry.Published{Found: s.tags[ref.Name()]}
	err := r.process.effect(func() error {
		switch published.Found {
		case digest:
			published.Outcome = registry.AlreadyThere
		case expected, "":
			published.Outcome = registry.Moved
			s.tags[ref.Name()] = digest
		default:
			published.Outcome = registry.Superseded
		}
		return nil
	})
	published.Finished = s.Now()
	return published, err
}

// simPoller answers late: what a tag shows is read when a check begins, and told
// when it ends, whatever has happened between.
type simPoller struct {
	sim     *sim
	follows map[types.NamespacedName][]registry.Target
	seen    map[string]plan.Observation
	asked   map[string]bool
	flying  map[string]plan.Observation
}

func newSimPoller(s *sim) *simPoller {
	return &simPoller{
		sim: s, follows: map[types.NamespacedName][]registry.Target{}, seen: map[string]plan.Observation{},
		asked: map[string]bool{}, flying: map[string]plan.Observation{},
	}
}

// Follow implements Poller. No image leaves the registry: nobody need look for one.
func (p *simPoller) Follow(owner types.NamespacedName, targets []registry.Target) {
	p.follows[owner] = slices.DeleteFunc(targets, func(t registry.Target) bool { return t.Reference.Digest != "" })
}

// Forget implements Poller.
func (p *simPoller) Forget(owner types.NamespacedName) { delete(p.follows, owner) }

// Check implements Poller.
func (p *simPoller) Check(refs ...reference.Reference) {
	for _, ref := range refs {
		p.asked[ref.Name()] = true
	}
}

// Listing implements Poller: nothing is chosen here.
func (p *simPoller) Listing(types.NamespacedName, reference.Reference) *plan.Listing { return nil }

// Latest implements Poller.
func (p *simPoller) Latest(_ types.NamespacedName, ref reference.Reference) *plan.Observation {
	if seen, ok := p.seen[ref.Name()]; ok {
		return &seen
	}
	return nil
}

// begin starts a check of some tag; one that was asked for comes first.
func (p *simPoller) begin(onlyAsked bool) bool {
	var wanted, asked []string
	for _, targets := range p.follows {
		for _, t := range targets {
			if name := t.Reference.Name(); p.flying[name].Started.IsZero() && !slices.Contains(wanted, name) {
				wanted = append(wanted, name)
				if p.asked[name] || p.seen[name].Started.IsZero() {
					asked = append(asked, name)
				}
			}
		}
	}
	if len(asked) > 0 {
		wanted = asked
	} else if onlyAsked {
		return false
	}
	if len(wanted) == 0 {
		return false
	}
	slices.Sort(wanted)
	name := wanted[p.sim.rng.Intn(len(wanted))]
	digest := v1alpha1.Digest(p.sim.tags[name])
	p.flying[name] = plan.Observation{Digest: digest, Absent: digest == "", Started: p.sim.Now(), Repeats: 1, Base: p.sim.annotated[string(digest)]}
	delete(p.asked, name)
	return true
}

// end tells the answer of some check that is under way.
func (p *simPoller) end(queue *simQueue) bool {
	names := slices.Sorted(maps.Keys(p.flying))
	if len(names) == 0 {
		return false
	}
	name := names[p.sim.rng.Intn(len(names))]
	now, was := p.flying[name], p.seen[name]
	delete(p.flying, name)
	if was.Answered() && was.Digest == now.Digest && was.Absent == now.Absent {
		now.Repeats, now.Previous = was.Repeats+1, was.Started
	}
	p.seen[name] = now
	for owner, targets := range p.follows {
		if slices.ContainsFunc(targets, func(t registry.Target) bool { return t.Reference.Name() == name }) {
			queue.Add(reconcile.Request{NamespacedName: owner})
		}
	}
	return true
}

// simQueue is the part of a work queue that is used.
type simQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]

	pending map[types.NamespacedName]bool
}

// Add implements workqueue.TypedInterface.
func (q *simQueue) Add(req reconcile.Request) { q.pending[req.NamespacedName] = true }

func (q *simQueue) names() []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(q.pending), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
}
