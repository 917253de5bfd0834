// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// wire carries bytes between the operator and the API server, until it is cut.
type wire struct {
	t       *testing.T
	to      string // the API server's address
	address string // the wire's own

	mu       sync.Mutex
	listener net.Listener // nil while it is down
	carried  map[net.Conn]struct{}
	carriers sync.WaitGroup
}

// throughWire is a world whose operator reaches the API server through w.wire. The
// test's own client and the stand-ins do not.
func throughWire(w *world) { w.wire = newWire(w.t) }

func newWire(t *testing.T) *wire {
	t.Helper()
	to, err := url.Parse(restConfig.Host)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, to: to.Host, address: "127.0.0.1:0", carried: map[net.Conn]struct{}{}}
	w.up()
	t.Cleanup(func() { w.down(); w.carriers.Wait() })
	return w
}

// config reaches the API server through the wire. Its certificate is checked as
// that of the address behind it.
func (w *wire) config() *rest.Config {
	w.t.Helper()
	to, err := url.Parse(restConfig.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	config := rest.CopyConfig(restConfig)
	if config.ServerName == "" {
		config.ServerName = to.Hostname()
	}
	to.Host = w.address
	config.Host = to.String()
	return config
}

// cut drops the present connections, and with them every watch. New ones are
// carried.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.carried {
		_ = conn.Close()
	}
}

// down drops the present connections, and refuses new ones.
func (w *wire) down() {
	w.mu.Lock()
	if w.listener != nil {
		_ = w.listener.Close()
		w.listener = nil
	}
	w.mu.Unlock()
	w.cut()
}

// up carries again what down refused.
func (w *wire) up() {
	w.t.Helper()
	var listener net.Listener
	// The address is the same every time; where another process has a connection of
	// its own from that port, it is waited for.
	err := eventually(context.Background(), func(ctx context.Context) (bool, error) {
		var err error
		listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", w.address)
		return err == nil, nil
	})
	if err != nil {
		w.t.Fatalf("cannot listen on %s: %v", w.address, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener, w.address = listener, listener.Addr().String()
	w.carriers.Go(func() { w.accept(listener) })
}

func (w *wire) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		w.carriers.Go(func() { w.carry(listener, near) })
	}
}

// carry connects a connection to the API server until either end closes it.
func (w *wire) carry(listener net.Listener, near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if !w.begin(listener, near, far) {
		return
	}
	defer w.end(near, far)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.Close()
	back.Wait()
}

// begin is false for a connection that was accepted just before the wire went down.
func (w *wire) begin(listener net.Listener, conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener != listener {
		return false
	}
	for _, conn := range conns {
		w.carried[conn] = struct{}{}
	}
	return true
}

func (w *wire) end(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		delete(w.carried, conn)
	}
}

// TestTheWire: a watch ends when the wire is cut, and nothing goes through while it
// is down.
func TestTheWire(t *testing.T) {
	namespace := newNamespace(t)
	wire := newWire(t)
	user, err := client.NewWithWatch(wire.config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	watchPods := func() watch.Interface {
		t.Helper()
		pods, err := user.Watch(t.Context(), &corev1.PodList{}, client.InNamespace(namespace))
		if err != nil {
			t.Fatal(err)
		}
		return pods
	}
	reaches := func() error {
		return user.Get(t.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{})
	}
	first := watchPods()
	wire.cut()
	for range first.ResultChan() {
	}
	if err := reaches(); err != nil {
		t.Errorf("after a cut: %v", err)
	}
	second := watchPods()
	wire.down()
	for range second.ResultChan() {
	}
	if err := reaches(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while it is down: %v", err)
	}
	wire.up()
	if err := reaches(); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

// carrying counts the connections, both of their ends.
func (w *wire) carrying() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.carried)
}

// TestTheOperatorIsOnTheWire: while it is down the operator works on in vain, and
// when it is up again the operator goes on by itself. It can be ended meanwhile.
func TestTheOperatorIsOnTheWire(t *testing.T) {
	w := newWorld(t, throughWire)
	w.push("base:1", "base one")
	w.create(w.followed("base", "base:1"))
	w.start(0)
	w.waitReady("base", v1alpha1.ReasonUpToDate)
	if w.wire.carrying() == 0 {
		t.Fatal("the operator has another way to the API server")
	}
	w.wire.down()
	w.create(w.followed("late", "base:1"))
	moved := w.push("base:1", "base two")
	asked := w.faults.requests("", "/base/")
	w.move(2 * time.Hour)
	err := eventually(t.Context(), func(context.Context) (bool, error) { return w.faults.requests("", "/base/") > asked, nil })
	if err != nil {
		t.Fatal("the registry is not asked while the API server is down")
	}
	if l := w.lineage("base"); current(l) == moved {
		t.Errorf("a status was written while the API server is down: %s", describe(l))
	}
	w.wire.up()
	w.waitFor("base", "on the new image", func(l *v1alpha1.ImageLineage) bool { return current(l) == moved })
	w.waitReady("late", v1alpha1.ReasonUpToDate)
	w.wire.cut()
	w.create(w.followed("later", "base:1"))
	w.waitReady("later", v1alpha1.ReasonUpToDate)
	w.wire.down()
}
