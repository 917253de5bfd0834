// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// soaking is a followed lineage with poll.minAge, a registry, and a clock.
type soaking struct {
	t       *testing.T
	lineage *v1alpha1.ImageLineage
	now     time.Time
	shown   v1alpha1.Digest
	gone    map[v1alpha1.Digest]bool
	// seen counts how often the registry has given its present answer.
	seen     plan.Observation
	presence map[v1alpha1.Digest]*plan.Observation
	last     plan.Plan
	// unmirrored is set while what is decided cannot be done.
	unmirrored bool
	story      []string
}

func newSoaking(t *testing.T, minAge string) *soaking {
	t.Helper()
	age := v1alpha1.Duration(minAge)
	return &soaking{
		t: t, now: newYear, gone: map[v1alpha1.Digest]bool{},
		presence: map[v1alpha1.Digest]*plan.Observation{},
		lineage: &v1alpha1.ImageLineage{Spec: v1alpha1.ImageLineageSpec{
			Image: "docker.io/library/debian:12", Poll: &v1alpha1.Poll{MinAge: &age},
		}},
	}
}

func numbered(n int) v1alpha1.Digest { return v1alpha1.Digest(fmt.Sprintf("sha256:%064x", n)) }

// ask is an answer of the registry after the one before.
func (s *soaking) ask(was plan.Observation, digest v1alpha1.Digest) plan.Observation {
	now := plan.Observation{Digest: digest, Absent: digest == "", Started: s.now, Repeats: 1}
	if was.Answered() && was.Digest == now.Digest {
		now.Repeats, now.Previous = was.Repeats+1, was.Started
	}
	return now
}

// check has the registry asked, and decides as long as there is something to decide.
func (s *soaking) check() {
	s.t.Helper()
	const enough = 8
	for range enough {
		s.now = s.now.Add(time.Second)
		s.seen = s.ask(s.seen, s.shown)
		snapshot := plan.Snapshot{
			Now: s.now, Lineage: s.lineage, Reference: reference.Reference{Repository: "docker.io/library/debian", Tag: "12"},
			Observation: &s.seen, Presence: s.presence,
		}
		for _, digest := range plan.LookFor(snapshot) {
			was := plan.Observation{}
			if known := s.presence[digest]; known != nil {
				was = *known
			}
			shown := digest
			if s.gone[digest] {
				shown = ""
			}
			answer := s.ask(was, shown)
			s.presence[digest] = &answer
		}
		s.last = plan.Compute(snapshot)
		s.lineage.Status = Summarize(snapshot, s.last, plan.Outcome{Done: s.last.Step != nil && !s.unmirrored, At: s.now})
		if s.unmirrored && s.last.Step != nil {
			return
		}
		if accept, ok := s.last.Step.(plan.Accept); ok {
			_, number, _ := strings.Cut(string(accept.Revision.Digest), ":")
			s.story = append(s.story, fmt.Sprintf("%s: %s", s.now.Sub(newYear).Round(time.Hour), strings.TrimLeft(number, "0")))
		}
		if s.last.Step == nil && !s.last.Check && len(s.last.Recheck) == 0 {
			return
		}
	}
}

// pass checks every quarter of an hour; show says what the tag shows by then.
func (s *soaking) pass(d time.Duration, show func(time.Duration) int) {
	s.t.Helper()
	begin := s.now
	for after := time.Duration(0); after < d; after += 15 * time.Minute {
		s.now = begin.Add(after)
		s.shown = numbered(show(after))
		s.check()
	}
	s.now = begin.Add(d)
}

func always(n int) func(time.Duration) int { return func(time.Duration) int { return n } }

// TestSoak: golden sequences of what is taken, and when.
func TestSoak(t *testing.T) {
	const n1, n2, n3 = 1, 2, 3
	tests := map[string]struct {
		drive func(*soaking)
		want  []string
		// wantReason is that of Ready at the end.
		wantReason string
	}{
		"a digest is taken when it is old enough, the first one too": {
			drive:      func(s *soaking) { s.pass(25*time.Hour, always(n1)) },
			want:       []string{"24h0m0s: 1"},
			wantReason: v1alpha1.ReasonUpToDate,
		},
		"before that it is waited for": {
			drive:      func(s *soaking) { s.pass(23*time.Hour, always(n1)) },
			wantReason: v1alpha1.ReasonHeldSoaking,
		},
		"one that was taken back by then is not taken": {
			drive: func(s *soaking) {
				s.pass(25*time.Hour, always(n1))
				s.pass(5*time.Hour, always(n2))
				s.pass(48*time.Hour, always(n1))
			},
			want:       []string{"24h0m0s: 1"},
			wantReason: v1alpha1.ReasonUpToDate,
		},
		"one that is gone by then is passed over": {
			drive: func(s *soaking) {
				s.pass(25*time.Hour, always(n1))
				s.pass(5*time.Hour, always(n2))
				s.gone[numbered(n2)] = true
				s.pass(20*time.Hour, always(n3))
			},
			want:       []string{"24h0m0s: 1"},
			wantReason: v1alpha1.ReasonHeldSoaking,
		},
		"an older one that still exists is taken though the tag has moved on": {
			drive: func(s *soaking) {
				s.pass(25*time.Hour, always(n1))
				s.pass(5*time.Hour, always(n2))
				s.pass(20*time.Hour, always(n3))
			},
			want:       []string{"24h0m0s: 1", "49h0m0s: 2"},
			wantReason: v1alpha1.ReasonHeldSoaking,
		},
		"a person takes one at once": {
			drive: func(s *soaking) {
				s.pass(25*time.Hour, always(n1))
				s.pass(time.Hour, always(n2))
				s.lineage.Annotations = map[string]string{v1alpha1.ApproveAnnotation: string(numbered(n2))}
				s.pass(time.Hour, always(n2))
			},
			want:       []string{"24h0m0s: 1", "26h0m0s: 2"},
			wantReason: v1alpha1.ReasonUpToDate,
		},
		"one that cannot be copied into the mirror does not begin to age anew": {
			drive: func(s *soaking) {
				s.unmirrored = true
				s.pass(30*time.Hour, always(n1))
				s.pass(5*time.Hour, always(n2))
				s.unmirrored = false
				s.pass(time.Hour, always(n2))
			},
			want:       []string{"35h0m0s: 1"},
			wantReason: v1alpha1.ReasonHeldSoaking,
		},
		"a status that is lost begins anew, and skips nothing": {
			drive: func(s *soaking) {
				s.pass(20*time.Hour, always(n1))
				s.lineage.Status = v1alpha1.ImageLineageStatus{}
				s.pass(23*time.Hour, always(n1))
			},
			wantReason: v1alpha1.ReasonHeldSoaking,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSoaking(t, "24h")
			tt.drive(s)
			if diff := cmp.Diff(tt.want, s.story); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if ready := meta.FindStatusCondition(s.lineage.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != tt.wantReason {
				t.Errorf("Ready is %s (%s), want %s", ready.Reason, ready.Message, tt.wantReason)
			}
		})
	}
}

// TestSoakStarvesNobody: a tag that moves every hour, and has to age for a week, still
// moves the lineage, each time to something that is a week old and as new as can be.
func TestSoakStarvesNobody(t *testing.T) {
	const week = 7 * 24 * time.Hour
	s := newSoaking(t, "168h")
	s.pass(4*week, func(after time.Duration) int { return int(after/time.Hour) + 1 })
	if len(s.lineage.Status.Candidates) > 32 {
		t.Errorf("%d candidates", len(s.lineage.Status.Candidates))
	}
	var last time.Time
	longest := time.Duration(0)
	for _, r := range s.lineage.Status.History {
		if !last.IsZero() {
			longest = max(longest, last.Sub(r.Accepted.Time))
		}
		last = r.Accepted.Time
	}
	if len(s.story) < 20 {
		t.Errorf("taken %d times in three weeks", len(s.story))
	}
	if longest > 24*time.Hour {
		t.Errorf("%s without a move", longest)
	}
}
