// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/imagelineage/imagelineage/controllers"
	"github.com/imagelineage/imagelineage/controllers/imagelineage"
	"github.com/imagelineage/imagelineage/internal/operator"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// process is one run of the whole operator, as main puts it together, limited to
// the world's namespaces.
type process struct {
	life *life
	news *wakingSource
	stop func()
}

// start runs the operator. With allowed > 0 it is killed right after so many
// effects: the last one happens, and the operator never learns of it.
func (w *world) start(allowed int) *process {
	w.t.Helper()
	return w.live(&life{allowed: allowed, dead: make(chan struct{})})
}

// startUntil runs the operator, and kills it right after an effect of that name.
func (w *world) startUntil(effect string) *process {
	w.t.Helper()
	return w.live(&life{last: effect, dead: make(chan struct{})})
}

func (w *world) live(life *life) *process {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	news := &wakingSource{}
	mgr, err := w.manager(ctx, life, news)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	var once sync.Once
	p := &process{life: life, news: news, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("the operator ended with: %v", err)
			}
		})
	}}
	w.t.Cleanup(p.stop)
	w.processes = append(w.processes, p)
	return p
}

func (w *world) manager(ctx context.Context, life *life, news *wakingSource) (manager.Manager, error) {
	o := operator.Options{PlainHTTPRegistries: []string{w.host}, MetricsAddress: "0", ProbeAddress: "0"}
	for _, change := range w.flags {
		change(&o)
	}
	options := operator.ManagerOptions(o)
	// Every test runs an operator of its own in this process, for its namespaces.
	options.Controller = config.Controller{SkipNameValidation: new(true)}
	options.Cache.DefaultNamespaces = map[string]cache.Config{w.namespace: {}, w.other: {}}
	cluster := restConfig
	if w.wire != nil {
		cluster = w.wire.config()
	}
	mgr, err := manager.New(cluster, options)
	if err != nil {
		return nil, err
	}
	parts, err := operator.NewParts(mgr, o, w.clock)
	if err != nil {
		return nil, err
	}
	parts.Client = mortalClient{parts.Client, life}
	parts.Poller = countedPoller{parts.Poller, life}
	parts.Runs = mortalRuns{parts.Runs, life}
	parts.Registry = mortalRegistry{parts.Registry, life}
	news.Source = parts.News[0]
	parts.News[0] = news
	return mgr, controllers.Setup(ctx, mgr, parts)
}

// life counts the effects of an operator, and ends it.
type life struct {
	mu      sync.Mutex
	allowed int    // 0 is for ever
	last    string // the effect to die of; empty for none
	effects []string
	dead    chan struct{}
	// looks counts how often each lineage was looked at.
	looks map[string]int
}

// looked notes that a lineage was looked at.
func (l *life) looked(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks == nil {
		l.looks = map[string]int{}
	}
	l.looks[name]++
}

// looksAt is how often a lineage was looked at so far.
func (l *life) looksAt(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks[name]
}

var errKilled = errors.New("killed")

// do makes an effect, unless the operator is dead. Of its last effect the
// operator hears nothing.
func (l *life) do(what string, effect func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.killed() {
		return errKilled
	}
	if err := effect(); err != nil {
		return err
	}
	l.effects = append(l.effects, what)
	if l.allowed > 0 && len(l.effects) == l.allowed || what == l.last {
		close(l.dead)
		return errKilled
	}
	return nil
}

// killed is true once the operator is dead.
func (l *life) killed() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

func (l *life) done() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.effects...)
}

// mortalClient counts patches of workloads and of statuses.
type mortalClient struct {
	client.Client
	life *life
}

func (c mortalClient) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.life.do("patch "+o.GetName(), func() error { return c.Client.Patch(ctx, o, patch, opts...) })
}

func (c mortalClient) Status() client.SubResourceWriter {
	return mortalStatus{c.Client.Status(), c.life}
}

type mortalStatus struct {
	client.SubResourceWriter
	life *life
}

func (s mortalStatus) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.life.do("status "+o.GetName(), func() error { return s.SubResourceWriter.Patch(ctx, o, patch, opts...) })
}

// countedPoller counts the looks at a lineage, each of which says what to check.
type countedPoller struct {
	imagelineage.Poller
	life *life
}

func (p countedPoller) Follow(owner types.NamespacedName, targets []registry.Target) {
	p.life.looked(owner.Name)
	p.Poller.Follow(owner, targets)
}

// mortalRuns counts runs that are created.
type mortalRuns struct {
	imagelineage.Runs
	life *life
}

func (r mortalRuns) Create(ctx context.Context, run *unstructured.Unstructured) error {
	return r.life.do("create "+run.GetLabels()["imagelineage.dev/lineage"], func() error { return r.Runs.Create(ctx, run) })
}

func (r mortalRuns) Delete(ctx context.Context, namespace, name string) error {
	return r.life.do("delete run", func() error { return r.Runs.Delete(ctx, namespace, name) })
}

// mortalRegistry counts publishes.
type mortalRegistry struct {
	imagelineage.Registry
	life *life
}

func (r mortalRegistry) Publish(ctx context.Context, ref reference.Reference, digest, expected string, keychain registry.Keychain) (registry.Published, error) {
	var published registry.Published
	err := r.life.do("publish "+ref.Name(), func() error {
		var err error
		published, err = r.Registry.Publish(ctx, ref, digest, expected, keychain)
		return err
	})
	return published, err
}
