// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package configuration_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/operator/configuration"
)

// mount is a directory as the kubelet mounts a ConfigMap: the files are links into
// what another link names, which is swapped.
type mount struct {
	t     *testing.T
	dir   string
	swaps int
}

func (m *mount) swap(files map[string]string) {
	m.t.Helper()
	m.swaps++
	version := "..v" + strings.Repeat("i", m.swaps)
	links, err := filepath.Glob(filepath.Join(m.dir, "[^.]*"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, link := range links {
		if _, kept := files[filepath.Base(link)]; !kept {
			_ = os.Remove(link)
		}
	}
	if err := os.Mkdir(filepath.Join(m.dir, version), 0o700); err != nil {
		m.t.Fatal(err)
	}
	for name, content := range files {
		write(m.t, filepath.Join(m.dir, version), name, content)
		_ = os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)) // there since the first time
	}
	if err := os.Symlink(version, filepath.Join(m.dir, "..new")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(m.dir, "..new"), filepath.Join(m.dir, "..data")); err != nil {
		m.t.Fatal(err)
	}
}

// shown is a gauge that can be read.
type shown struct {
	prometheus.Gauge

	value float64
}

// Set implements prometheus.Gauge.
func (s *shown) Set(value float64) { s.value = value }

func TestWatcher(t *testing.T) {
	const withFile = head + "registries: {hosts: [{host: a.example, caFile: ca.crt}]}"
	m := &mount{t: t, dir: t.TempDir()}
	m.swap(map[string]string{"config.yaml": head, "ca.crt": certificate})
	path := filepath.Join(m.dir, "config.yaml")
	started, err := configuration.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var applied []string
	var logged int
	refuse, changed := false, 0
	clock := clocktesting.NewFakeClock(time.Now())
	gauge := &shown{value: 1}
	w := &configuration.Watcher{
		Path: path, Seen: started.Sum, Clock: clock, Gauge: gauge,
		Apply: func(loaded configuration.Loaded) error {
			if refuse {
				return errors.New("no")
			}
			hosts := []string{}
			for _, rule := range loaded.Rules.Hosts {
				hosts = append(hosts, rule.Host)
			}
			applied = append(applied, strings.Join(hosts, " "))
			return nil
		},
		Changed: func() { changed++ },
		Log: funcr.New(func(_, text string) {
			if strings.Contains(text, "cannot be used") {
				logged++
			}
		}, funcr.Options{}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Start(ctx) }()
	steps := []struct {
		name        string
		files       map[string]string // nil leaves them
		refuse      bool
		wantApplied []string
		wantLogged  int
		wantGauge   float64
	}{
		{name: "nothing changes", wantGauge: 1},
		{name: "the same content in other files", files: map[string]string{"config.yaml": head, "ca.crt": certificate}, wantGauge: 1},
		{name: "a host", files: map[string]string{"config.yaml": withFile, "ca.crt": certificate}, wantApplied: []string{"a.example"}, wantGauge: 1},
		{name: "its authorities", files: map[string]string{"config.yaml": withFile, "ca.crt": certificate + certificate}, wantApplied: []string{"a.example", "a.example"}, wantGauge: 1},
		{name: "a mistake", files: map[string]string{"config.yaml": head + "registres: {}", "ca.crt": certificate}, wantApplied: []string{"a.example", "a.example"}, wantLogged: 1},
		{name: "the same mistake", wantApplied: []string{"a.example", "a.example"}, wantLogged: 1},
		{name: "another mistake", files: map[string]string{"config.yaml": withFile, "ca.crt": "x"}, wantApplied: []string{"a.example", "a.example"}, wantLogged: 2},
		{name: "what was before", files: map[string]string{"config.yaml": withFile, "ca.crt": certificate}, wantApplied: []string{"a.example", "a.example", "a.example"}, wantLogged: 2, wantGauge: 1},
		{name: "one that is refused", files: map[string]string{"config.yaml": head, "ca.crt": certificate}, refuse: true, wantApplied: []string{"a.example", "a.example", "a.example"}, wantLogged: 3},
		{name: "the ConfigMap is deleted", files: map[string]string{}, wantApplied: []string{"a.example", "a.example", "a.example"}, wantLogged: 4},
		{name: "a key with another name", files: map[string]string{"config.yml": head}, wantApplied: []string{"a.example", "a.example", "a.example"}, wantLogged: 5},
	}
	waiting(t, clock)
	for _, step := range steps {
		if step.files != nil {
			m.swap(step.files)
		}
		refuse = step.refuse
		clock.Step(configuration.Interval)
		waiting(t, clock)
		if diff := cmp.Diff(step.wantApplied, applied); diff != "" {
			t.Errorf("%s: applied (-want +got):\n%s", step.name, diff)
		}
		if logged != step.wantLogged || changed != len(applied) {
			t.Errorf("%s: %d errors logged, want %d; %d changes told of %d", step.name, logged, step.wantLogged, changed, len(applied))
		}
		if gauge.value != step.wantGauge {
			t.Errorf("%s: gauge %v, want %v", step.name, gauge.value, step.wantGauge)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waiting returns once the watcher waits for the clock.
func waiting(t *testing.T, clock *clocktesting.FakeClock) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !clock.HasWaiters() {
		select {
		case <-deadline:
			t.Fatal("the watcher does not wait")
		case <-time.After(time.Millisecond):
		}
	}
}
