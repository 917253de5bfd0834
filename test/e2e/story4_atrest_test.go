//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// quiet is how long no write proves that what went before has ended.
	quiet = 5 * time.Second
	// watched is how long the operator must not write.
	watched = 60 * time.Second
)

// writes tells what the operator has written since it was made.
type writes interface {
	since(ctx context.Context) ([]string, error)
}

// newWrites reads the audit log where there is one, and else compares what there is.
func newWrites(ctx context.Context) (writes, error) {
	if live.Cluster.AuditLog != "" {
		return newAuditWrites()
	}
	return newStateWrites(ctx)
}

// TestStoryAtRest: while nothing moves, the operator writes nothing; and what people have
// put back stays as they put it.
func TestStoryAtRest(t *testing.T) {
	begin(t, "TestStoryCascade")
	if live.Cluster.AuditLog == "" && os.Getenv("E2E") == "required" {
		t.Fatal("E2E=required, and AUDIT_LOG does not name the audit log of the API server: the operator's writes cannot be counted")
	}
	waitForQuiet(t)
	before, untouched := count(t), templates(t)
	log, err := newWrites(t.Context())
	must(t, err)
	wait(t, watched)
	written, err := log.since(t.Context())
	must(t, err)
	if len(written) != 0 {
		t.Errorf("%d writes in %s: %v", len(written), watched, written)
	}
	added(t, before, inventory{})
	if diff := cmp.Diff(untouched, templates(t)); diff != "" {
		t.Errorf("workloads (-before +after):\n%s", diff)
	}
	if passed["TestStoryTagPutBack"] {
		stillPutBack(t)
	}

	control := nudge(t)
	how := "counted in the audit log"
	if live.Cluster.AuditLog == "" {
		how = "by what changed, for want of an audit log"
	}
	figures.add("%d writes in %s at rest, %s; control: one annotation made %d", len(written), watched, how, control)
}

// waitForQuiet waits until the operator has not written for a while.
func waitForQuiet(t *testing.T) {
	t.Helper()
	until(t, answerLimit, "quiet", func(ctx context.Context) error {
		if err := live.AtRest(ctx); err != nil {
			return err
		}
		log, err := newWrites(ctx)
		if err != nil {
			return err
		}
		wait(t, quiet)
		if written, err := log.since(ctx); err != nil || len(written) > 0 {
			return errors.Join(err, fmt.Errorf("it writes: %v", written))
		}
		return nil
	})
}

// nudge asks for a check, which the operator answers in one status, and returns how many
// writes were counted.
func nudge(t *testing.T) int {
	t.Helper()
	log, err := newWrites(t.Context())
	must(t, err)
	const token = "e2e"
	patchObject(t, &v1alpha1.ImageLineage{}, live.Namespace("platform"), "debian",
		fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.CheckAnnotation, token))
	becomes(t, answerLimit, "platform", "debian", func(l *v1alpha1.ImageLineage) error {
		if l.Status.Handled == nil || l.Status.Handled.Check != token {
			return errors.New("the check was not answered")
		}
		return nil
	})
	wait(t, quiet)
	written, err := log.since(t.Context())
	must(t, err)
	if len(written) != 1 {
		t.Errorf("one annotation made %d writes: %v", len(written), written)
	}
	return len(written)
}

// wait lets time pass: that nothing happens can only be seen by waiting.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// stateWrites compares what the operator may write.
type stateWrites struct{ before map[string]string }

func newStateWrites(ctx context.Context) (*stateWrites, error) {
	before, err := state(ctx)
	return &stateWrites{before: before}, err
}

func (s *stateWrites) since(ctx context.Context) ([]string, error) {
	after, err := state(ctx)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if s.before[what] != after[what] {
			changed = append(changed, what)
		}
	}
	return changed, nil
}

// state is the status of each lineage, and the inventory.
func state(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	lineages, err := live.Lineages(ctx)
	if err != nil {
		return nil, err
	}
	for i := range lineages {
		text, err := json.Marshal(lineages[i].Status)
		if err != nil {
			return nil, err
		}
		found["imagelineage "+lineages[i].Name] = string(text)
	}
	counted, err := takeInventory(ctx)
	for what, n := range counted {
		found[what] = strconv.Itoa(n)
	}
	return found, err
}
