// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Subject is what the triggers look at: a lineage, what it is made of now, and
// what its parents offer. Ancestors are judged by the same triggers as the
// lineage itself, from less: no observation and no workloads are needed.
type Subject struct {
	// Lineage as read.
	Lineage *v1alpha1.ImageLineage
	// Parents in the order of spec.from.
	Parents []Parent
	// Template is the hash of the build template, empty without a build.
	Template string
	// Absent is true where the tag is known not to exist, and never did.
	Absent bool
	// Now is the time of the decision; without it nothing is due because of the time.
	Now time.Time
	// ClockBehind is that of the Snapshot; zero for an ancestor, whose turn comes later
	// then.
	ClockBehind time.Time
	// AncestorDue is that of the Snapshot; zero for an ancestor, which is not asked whom
	// it waits for.
	AncestorDue time.Time
}

func (s Subject) current() *v1alpha1.Revision {
	if s.Lineage.Status.Current == nil {
		return nil
	}
	return &s.Lineage.Status.Current.Revision
}

// trigger is one reason for a build: one small function, one file.
type trigger func(Subject) *Verdict

// triggers in the order of their priority: the first that fires is the headline.
var triggers = []trigger{
	neverBuilt,
	requested,
	parentChanged,
	templateChanged,
	periodic,
}

// Verdicts asks every trigger, and returns all that fired.
func Verdicts(s Subject) []Verdict {
	var fired []Verdict
	for _, t := range triggers {
		if v := t(s); v != nil {
			fired = append(fired, *v)
		}
	}
	return fired
}

// Followed is true for a lineage without parents.
func Followed(l *v1alpha1.ImageLineage) bool { return len(l.Spec.From) == 0 }

// Produced is true for a lineage that this operator builds.
func Produced(l *v1alpha1.ImageLineage) bool { return l.Spec.Build != nil }

// Settled is true where a lineage is not going to move by itself: no run is in
// flight, and whatever is due needs a person or a window. It is computed from what is
// observed, never read from a condition, so that nobody waits for a lineage
// because of a status that is late. blocked is true where the lineage has a
// problem that only a person can mend.
func Settled(s Subject, blocked bool) bool {
	l := s.Lineage
	_, unreadable := windowsOf(l)
	if !Produced(l) || l.Spec.Suspend || blocked || unreadable != nil {
		return true
	}
	if InFlight(l.Status.Run) {
		return l.Status.Run.Message != "" // its image cannot be published
	}
	verdicts := Verdicts(s)
	return len(verdicts) == 0 || keptBack(s, verdicts)
}

// InFlight is true for a run whose end is not recorded.
func InFlight(run *v1alpha1.RunStatus) bool {
	return run != nil && run.Outcome == ""
}

// keptBack is true where the build that is due needs a person, or a window, to begin.
func keptBack(s Subject, verdicts []Verdict) bool {
	return sourceUnknown(s, verdicts) || heldByRollback(s, verdicts) || exhausted(s) ||
		outsideWindows(s) || unapproved(s)
}

// sourceUnknown: the template is the source of our own revisions. What somebody
// else pushed may hold code that the template knows nothing of; building over it
// would undo a release.
func sourceUnknown(s Subject, verdicts []Verdict) bool {
	current := s.current()
	return current != nil && current.Origin == v1alpha1.OriginAdopted && !has(verdicts, v1alpha1.ReasonRequested)
}

// heldByRollback: a person put the tag back to an older revision. It stays until
// a person asks, or until the parents are not those any more that made the
// revision which was left.
func heldByRollback(s Subject, verdicts []Verdict) bool {
	current := s.current()
	if current == nil || current.Origin != v1alpha1.OriginRolledBack || has(verdicts, v1alpha1.ReasonRequested) {
		return false
	}
	for _, left := range s.Lineage.Status.History {
		if left.Revision == current.RolledBackFrom {
			return !differs(left.BuiltFrom, s.Parents)
		}
	}
	return true
}

func has(verdicts []Verdict, reason string) bool {
	for _, v := range verdicts {
		if v.Reason == reason {
			return true
		}
	}
	return false
}

// since is when the newest of the parents' images was accepted that current
// lacks, at the root where that is known: the moment from which on current was
// behind.
func since(builtFrom []v1alpha1.BuiltFrom, had []v1alpha1.Root, parents []Parent) time.Time {
	var earliest time.Time
	note := func(t time.Time) {
		if !t.IsZero() && (earliest.IsZero() || t.Before(earliest)) {
			earliest = t
		}
	}
	for _, p := range parents {
		if p.Current == nil || lookup(builtFrom, p.Name) != nil && contains(*lookup(builtFrom, p.Name), p) {
			continue
		}
		moved := movedRoots(had, p.Current.Roots)
		for _, r := range moved {
			note(r.Accepted.Time)
		}
		if len(moved) == 0 {
			note(p.Current.Accepted)
		}
	}
	return earliest
}

func movedRoots(had, have []v1alpha1.Root) []v1alpha1.Root {
	contained := map[string]v1alpha1.Digest{}
	for _, r := range had {
		contained[r.Reference] = r.Digest
	}
	var moved []v1alpha1.Root
	for _, r := range have {
		if digest, known := contained[r.Reference]; known && digest != r.Digest {
			moved = append(moved, r)
		}
	}
	return moved
}
