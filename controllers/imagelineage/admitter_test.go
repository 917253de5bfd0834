// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// TestAdmitter tells what happens line by line: A+ is a run of lineage A that asks for
// a place, seen A, ended A and released A what is heard of it, left A a lineage that
// wants none any more. Behind each stands whether it got in, and who was woken.
func TestAdmitter(t *testing.T) {
	tests := map[string]struct {
		limit int
		story []string
		want  []string
	}{
		"no limit lets everybody in": {
			story: []string{"A+", "B+", "C+"},
			want:  []string{"A+ in", "B+ in", "C+ in"},
		},
		"a place is free when a run has ended, for whoever came first": {
			limit: 2,
			story: []string{"A+", "B+", "C+", "D+", "seen A", "ended A", "D+", "C+", "D+"},
			want:  []string{"A+ in", "B+ in", "C+ waits", "D+ waits", "seen A", "ended A wakes C", "D+ waits", "C+ in", "D+ waits"},
		},
		"a run that the cache has not told of counts": {
			limit: 1,
			story: []string{"A+", "B+", "seen A", "B+", "ended A", "B+"},
			want:  []string{"A+ in", "B+ waits", "seen A", "B+ waits", "ended A wakes B", "B+ in"},
		},
		"one that was refused gives its place back": {
			limit: 1,
			story: []string{"A+", "B+", "released A", "B+"},
			want:  []string{"A+ in", "B+ waits", "released A wakes B", "B+ in"},
		},
		"whoever leaves the queue makes room for the next": {
			limit: 1,
			story: []string{"A+", "B+", "C+", "ended A", "left B", "C+"},
			want:  []string{"A+ in", "B+ waits", "C+ waits", "ended A wakes B", "left B wakes C", "C+ in"},
		},
		"a run that is created once more takes no second place": {
			limit: 2,
			story: []string{"A+", "A+", "seen A", "A+", "B+"},
			want:  []string{"A+ in", "A+ in", "seen A", "A+ in", "B+ in"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			queue := &simQueue{pending: map[types.NamespacedName]bool{}}
			a := &admitter{limit: tc.limit}
			if err := a.Start(context.Background(), queue); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range tc.story {
				told := line
				word, who, _ := strings.Cut(line, " ")
				run := types.NamespacedName{Namespace: "ns", Name: "run-" + who}
				owner := types.NamespacedName{Namespace: "ns", Name: who}
				switch word {
				case "seen":
					a.observe(run, true)
				case "ended":
					a.observe(run, false)
				case "released":
					a.release(run)
				case "left":
					a.leave(owner)
				default:
					who = strings.TrimSuffix(line, "+")
					told += " waits"
					if a.admit(types.NamespacedName{Namespace: "ns", Name: who}, types.NamespacedName{Namespace: "ns", Name: "run-" + who}, time.Time{}) {
						told = line + " in"
					}
				}
				got = append(got, told+queue.woken())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("story (-want +got):\n%s", diff)
			}
		})
	}
}

// woken tells who is in the queue, and empties it.
func (q *simQueue) woken() string {
	var told strings.Builder
	for _, name := range q.names() {
		told.WriteString(" wakes " + name.Name)
		delete(q.pending, name)
	}
	return told.String()
}

// TestAdmitterAsksForWhatIsNeverSeen: a run that was created and deleted before the
// cache told of it must not keep its place for ever.
func TestAdmitterAsksForWhatIsNeverSeen(t *testing.T) {
	begun := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	run, owner := types.NamespacedName{Namespace: "ns", Name: "run"}, types.NamespacedName{Namespace: "ns", Name: "web"}
	a := &admitter{limit: 1}
	a.admit(owner, run, begun)
	for after, want := range map[time.Duration]int{verifyAfter - time.Second: 0, verifyAfter: 1} {
		if got := a.overdue(begun.Add(after)); len(got) != want {
			t.Errorf("after %s %v are overdue, want %d", after, got, want)
		}
	}
	if diff := cmp.Diff([]string{"run"}, a.unseen(owner)); diff != "" {
		t.Errorf("unseen (-want +got):\n%s", diff)
	}
	a.release(run)
	if got := fmt.Sprint(a.unseen(owner), a.overdue(begun.Add(time.Hour))); got != "[] []" {
		t.Errorf("still known: %s", got)
	}
}

// TestAdmitterKnowsWhatRanBefore: what the API server lists counts, unless the cache has
// told of it while the list was on its way: a place must not be lost for good.
func TestAdmitterKnowsWhatRanBefore(t *testing.T) {
	begun := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	old := types.NamespacedName{Namespace: "ns", Name: "old"}
	ended := func(a *admitter) { a.observe(old, false) }
	seeded := func(a *admitter) { a.seed([]types.NamespacedName{old}, begun) }
	tests := map[string]struct {
		story []func(*admitter)
		want  bool
	}{
		"a run that is live":                           {[]func(*admitter){seeded}, false},
		"a run that ended before the list arrived":     {[]func(*admitter){ended, seeded}, true},
		"a run that ended after that":                  {[]func(*admitter){seeded, ended}, true},
		"a list that arrives twice":                    {[]func(*admitter){seeded, ended, seeded}, true},
		"one that is gone, as the API server says":     {[]func(*admitter){seeded, func(a *admitter) { a.verify(old, false, begun) }}, true},
		"one that is still live, and ends unseen":      {[]func(*admitter){seeded, func(a *admitter) { a.verify(old, true, begun); a.verify(old, false, begun) }}, true},
		"one that the cache told of before it answers": {[]func(*admitter){seeded, ended, func(a *admitter) { a.verify(old, true, begun) }}, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := &admitter{limit: 1}
			if a.isSeeded() {
				t.Error("it is seeded before it was")
			}
			for _, step := range tc.story {
				step(a)
			}
			if got := a.admit(types.NamespacedName{Name: "web"}, types.NamespacedName{Name: "new"}, begun); got != tc.want || !a.isSeeded() {
				t.Errorf("another run is let in: %v, want %v", got, tc.want)
			}
		})
	}
}
