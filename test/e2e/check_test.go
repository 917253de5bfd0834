//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// must ends the story on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition, and ends the story where it does not come.
func until(t *testing.T, limit time.Duration, what string, condition func(context.Context) error) {
	t.Helper()
	must(t, shop.Until(t.Context(), limit, what, condition))
}

// lineage reads a lineage.
func lineage(t *testing.T, namespace, name string) *v1alpha1.ImageLineage {
	t.Helper()
	found, err := live.Lineage(t.Context(), namespace, name)
	must(t, err)
	return found
}

// becomes waits until a lineage is as wanted.
func becomes(t *testing.T, limit time.Duration, namespace, name string, wanted func(*v1alpha1.ImageLineage) error) *v1alpha1.ImageLineage {
	t.Helper()
	var found *v1alpha1.ImageLineage
	until(t, limit, namespace+"/"+name, func(ctx context.Context) (err error) {
		if found, err = live.Lineage(ctx, namespace, name); err != nil {
			return err
		}
		if found.Status.Current == nil {
			return errors.New("there is no current image")
		}
		return wanted(found)
	})
	return found
}

// says checks conditions, each as Type=Status Reason.
func says(l *v1alpha1.ImageLineage, wanted ...string) error {
	for _, want := range wanted {
		found := false
		for _, c := range l.Status.Conditions {
			found = found || want == fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason)
		}
		if !found {
			return fmt.Errorf("%s: want %s, has %s", l.Name, want, all(l.Status.Conditions))
		}
	}
	return nil
}

func all(conditions []metav1.Condition) string {
	var each []string
	for _, c := range conditions {
		each = append(each, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(each, "; ")
}

// shows checks what a lineage's current digest is.
func shows(l *v1alpha1.ImageLineage, digest string) error {
	if string(l.Status.Current.Digest) != digest {
		return fmt.Errorf("%s: current is %s, want %s", l.Name, l.Status.Current.Digest, digest)
	}
	return nil
}

// builtOn checks that current was built from what a parent is now.
func builtOn(l *v1alpha1.ImageLineage, name v1alpha1.ParentName, parent *v1alpha1.ImageLineage) error {
	for _, from := range l.Status.Current.BuiltFrom {
		if from.Name == name && from.Digest == parent.Status.Current.Digest {
			return nil
		}
	}
	return fmt.Errorf("%s: built from %+v, want %s at %s", l.Name, l.Status.Current.BuiltFrom, parent.Name, parent.Status.Current.Digest)
}

// dump tells all that a person would look at: of the stories' own namespaces, and the
// operator's log.
func dump(ctx context.Context, out io.Writer) {
	dumpOf(ctx, out, append(live.Namespaces(), live.Namespace("guest"))...)
}

// dumpWhenFailed tells that of some namespaces, where the test fails.
func dumpWhenFailed(t *testing.T, namespaces ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			dumpOf(context.WithoutCancel(t.Context()), os.Stdout, slices.Compact(namespaces)...)
		}
	})
}

// dumpOf tells that of some namespaces.
func dumpOf(ctx context.Context, out io.Writer, namespaces ...string) {
	commands := [][]string{{"get", "imagelineages", "--all-namespaces", "--output=wide"}}
	for _, namespace := range namespaces {
		commands = append(commands,
			[]string{"get", "pipelineruns,deployments,statefulsets,daemonsets,pods", "--namespace", namespace, "--output=wide"},
			[]string{"get", "events", "--namespace", namespace, "--sort-by=.metadata.creationTimestamp"})
	}
	commands = append(commands, []string{"logs", "--namespace", shop.OperatorNamespace, "--selector", operatorLabels, "--tail=60"})
	for _, args := range commands {
		text, err := live.Cluster.Run(ctx, args...)
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintf(out, "--- kubectl %s\n%s\n", strings.Join(args, " "), lastLines(text, 80))
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}
