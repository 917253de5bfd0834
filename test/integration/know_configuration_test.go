// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/operator"
	"github.com/imagelineage/imagelineage/internal/operator/configuration"
)

// configurationFile is the operator's configuration file in a test.
type configurationFile struct {
	t    *testing.T
	path string
}

// configure gives the world's operators a configuration file, which says nothing yet.
func (w *world) configure() configurationFile {
	w.t.Helper()
	f := configurationFile{t: w.t, path: filepath.Join(w.t.TempDir(), "config.yaml")}
	f.write("{}")
	w.flags = append(w.flags, func(o *operator.Options) { o.ConfigurationFile = f.path })
	return f
}

// write says something else, in YAML.
func (f configurationFile) write(format string, args ...any) {
	f.t.Helper()
	head := fmt.Sprintf("apiVersion: %s\nkind: %s\n", configuration.APIVersion, configuration.Kind)
	content := strings.TrimSuffix(fmt.Sprintf(format, args...), "{}")
	// As a mounted ConfigMap is swapped: there is no moment at which it is half written.
	if err := os.WriteFile(f.path+".new", []byte(head+content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.path+".new", f.path); err != nil {
		f.t.Fatal(err)
	}
}

// loaded is the metric that tells whether the file is in force.
func loaded() (float64, error) {
	families, err := metrics.Registry.Gather()
	for _, family := range families {
		if family.GetName() == "imagelineage_configuration_loaded" {
			return family.GetMetric()[0].GetGauge().GetValue(), nil
		}
	}
	return -1, err
}

// waitLoaded waits until the file is said to be in force, or not to be.
func (f configurationFile) waitLoaded(want float64) {
	f.t.Helper()
	err := eventually(f.t.Context(), func(context.Context) (bool, error) {
		is, err := loaded()
		return is == want, err
	})
	if err != nil {
		f.t.Fatalf("the metric is never %v: %v", want, err)
	}
}

// reloaded is a little more than it takes until a changed file is read.
const reloaded = configuration.Interval + time.Second

// TestRegistriesThatAreAllowed is not parallel: the metric is the process's.
func TestRegistriesThatAreAllowed(t *testing.T) {
	w := newWorld(t)
	file := w.configure()
	file.write("registries: {allowed: [registry.example.com]}\n")
	first := w.push("app:1", "app one")
	w.create(w.followed(subject, "app:1"))
	w.start(0)
	w.waitSaid(v1alpha1.ReasonRegistryUnreachable, []string{w.host, "registries.allowed"})
	if n := w.faults.requests("", ""); n != 0 {
		t.Errorf("a registry that is not allowed was asked %d times", n)
	}

	file.write("registries: {allowed: ['%s']}\n", w.host)
	w.move(reloaded)
	w.waitAt(first)

	// One that cannot be used changes nothing, however often it is read.
	file.write("registries: {allowed: [registry.example.com], denied: []}\n")
	w.move(reloaded)
	file.waitLoaded(0)
	second := w.push("app:1", "app two")
	w.check(subject)
	w.waitAt(second)

	// Corrected, it counts; and what is current stays.
	file.write("registries: {allowed: ['%s/elsewhere']}\n", w.host)
	w.move(reloaded)
	file.waitLoaded(1)
	asked := w.faults.requests("", "")
	for range 3 {
		w.move(checkedAgain)
		w.check(subject)
	}
	l := w.waitFor(subject, "said to be forbidden", func(l *v1alpha1.ImageLineage) bool {
		return strings.Contains(resolved(l).Message, "registries.allowed")
	})
	if n := w.faults.requests("", "") - asked; n != 0 || current(l) != second {
		t.Errorf("asked %d times all the same: %s", n, describe(l))
	}
}

// TestARegistryWithoutTLSIsTheConfigurationsToSay: a lineage cannot, and the reload ends
// what failed.
func TestARegistryWithoutTLSIsTheConfigurationsToSay(t *testing.T) {
	w := newWorld(t)
	file := w.configure()
	w.flags = append(w.flags, func(o *operator.Options) { o.PlainHTTPRegistries = nil })
	digest := w.push("app:1", "app one")
	w.create(w.followed(subject, "app:1"))
	w.start(0)
	w.waitReady(subject, v1alpha1.ReasonRegistryUnreachable)
	if n := w.faults.requests(http.MethodHead, ""); n != 0 {
		t.Errorf("asked %d times without TLS", n)
	}
	file.write("registries: {hosts: [{host: '%s', plainHTTP: true}]}\n", w.host)
	w.move(reloaded)
	w.waitAt(digest)
}
