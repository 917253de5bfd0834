// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// randomSnapshot draws a state of the world, likely or not.
func randomSnapshot(rng *rand.Rand) Snapshot {
	digests := []v1alpha1.Digest{a, b, c, x, y, z}
	pick := func() v1alpha1.Digest { return digests[rng.Intn(len(digests))] }
	chance := func(in int) bool { return rng.Intn(in) == 0 }

	var history []v1alpha1.Revision
	for n := rng.Intn(4); n > 0; n-- {
		r := built(int64(n), pick(), pick())
		r.Origin = []v1alpha1.Origin{v1alpha1.OriginBuilt, v1alpha1.OriginAdopted, v1alpha1.OriginRolledBack}[rng.Intn(3)]
		if r.Origin == v1alpha1.OriginAdopted && chance(2) {
			r.BuiltFrom = nil
		}
		r.RolledBackFrom = int64(rng.Intn(4))
		r.Accepted = metav1.NewMicroTime(now.Add(-time.Duration(rng.Intn(240)) * time.Second))
		history = append(history, r)
	}
	s := snapshot(with(history...))
	for _, edit := range []func(*Snapshot){
		suspended, followed, tracked, annotated(v1alpha1.RebuildAnnotation, "1"), baselined(pick()), parentShows(pick()),
		shows(pick(), 1+rng.Intn(3)), shows("", 1+rng.Intn(3)), func(s *Snapshot) { s.Observation = nil },
		func(s *Snapshot) { s.WaitingFor = []Ancestor{{Name: "platform/base"}} },
		func(s *Snapshot) { s.Problem = &Problem{Reason: v1alpha1.ReasonCycle} },
		func(s *Snapshot) { s.TemplateProblem = &Problem{Reason: v1alpha1.ReasonTemplateRefused} },
		func(s *Snapshot) { s.Template = "v1:other" },
		periodically(rng),
		onlyWhereBuilt(windowed(tonight)), onlyWhereBuilt(windowed(atNoon)), onlyWhereBuilt(needsApproval), approved,
		ran(1+int64(rng.Intn(4)), 1, chance(2), chance(2)),
		recorded(1+int64(rng.Intn(4)), 1+int64(rng.Intn(2)), "v1:in", []v1alpha1.RunOutcome{"", v1alpha1.RunFailed, v1alpha1.RunPublished, v1alpha1.RunLost}[rng.Intn(4)]),
	} {
		if chance(3) {
			edit(&s)
		}
	}
	return s
}

// periodically has the image built anew every hour, with an ancestor that is due as
// well. In half of the states nothing else is.
func periodically(rng *rand.Rand) func(*Snapshot) {
	settled, age, due := rng.Intn(2) == 0, time.Duration(rng.Intn(120))*time.Minute, time.Duration(rng.Intn(60))*time.Minute
	return func(s *Snapshot) {
		if !Produced(s.Lineage) {
			return
		}
		s.Lineage.Spec.Build.RebuildEvery, s.AncestorDue = new(v1alpha1.Duration("1h")), now.Add(due)
		if settled {
			with(built(4, x, a))(s)
			parentShows(a)(s)
			shows(x, 1)(s)
		}
		if s.Lineage.Status.Current != nil {
			old(age)(s)
		}
	}
}

// onlyWhereBuilt leaves the other lineages as they are.
func onlyWhereBuilt(edit func(*Snapshot)) func(*Snapshot) {
	return func(s *Snapshot) {
		if Produced(s.Lineage) {
			edit(s)
		}
	}
}

// TestInvariants holds the promises of design §4 against a hundred thousand
// states of the world, by a fixed seed.
func TestInvariants(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	steps := map[string]int{}
	for i := range 100_000 {
		s := randomSnapshot(rng)
		before := s.Lineage.DeepCopy()
		p := Compute(s)
		if broken := brokenPromise(s, p); broken != "" {
			t.Fatalf("state %d: %s: plan %q of %+v", i, broken, told(p), s)
		}
		if i%100 == 0 {
			if diff := cmp.Diff(before, s.Lineage); diff != "" {
				t.Fatalf("state %d: the snapshot was changed:\n%s", i, diff)
			}
		}
		switch p.Step.(type) {
		case Accept:
			steps["accept"]++
		case Create:
			steps["create"]++
			if onlyPeriodic(reasons(p.Verdicts)) {
				steps["create because of the time"]++
			}
		case Publish:
			steps["publish"]++
		case Restore:
			steps["restore"]++
		case End:
			steps["end"]++
		}
	}
	for _, step := range []string{"accept", "create", "create because of the time", "publish", "restore", "end"} {
		if steps[step] < 100 {
			t.Errorf("%q was decided %d times only: the states do not try it", step, steps[step])
		}
	}
}

// brokenPromise is what a plan must never do, or nothing.
func brokenPromise(s Snapshot, p Plan) string {
	l := s.Lineage
	switch step := p.Step.(type) {
	case Create:
		return brokenCreate(s, p, step.Build)
	case Publish:
		if l.Spec.Suspend || s.Problem != nil {
			return "a lineage that is held publishes"
		}
		if !step.Run.Done || !step.Run.Succeeded {
			return "the output of a run that did not succeed is used"
		}
	case Accept:
		if step.Revision.Revision <= lastRevision(l) {
			return "a revision number is given twice"
		}
		if step.Revision.Digest != s.Observation.Digest || l.Spec.Suspend {
			return "a digest is accepted that the tag does not show, or by a suspended lineage"
		}
		if findDigest(l.Status.History, step.Revision.Digest) != nil && s.Observation.Repeats < settledRepeats {
			return "a digest that moved back is believed at once"
		}
	case Restore:
		if !Produced(l) || l.Spec.Suspend || s.Observation.Repeats < settledRepeats || step.Digest != l.Status.Current.Digest {
			return "a tag is put back that should not be"
		}
	}
	return ""
}

func brokenCreate(s Snapshot, p Plan, b Build) string {
	l := s.Lineage
	switch {
	case len(p.Verdicts) == 0 || len(b.Reasons) == 0:
		return "a run has no reason"
	case !Produced(l) || l.Spec.Suspend || s.Problem != nil || s.TemplateProblem != nil || len(s.WaitingFor) > 0:
		return "a run is created that should wait"
	case b.Number <= lastRevision(l):
		return "a run makes a revision that exists"
	case l.Status.Run != nil && !later(b.Number, b.Attempt, l.Status.Run.Number, l.Status.Run.Attempt):
		return "a run repeats the number and attempt of a recorded one"
	case l.Status.Current != nil && l.Status.Current.Origin == v1alpha1.OriginAdopted && !has(p.Verdicts, v1alpha1.ReasonRequested):
		return "a release is built over"
	case onlyPeriodic(b.Reasons) && s.Now.Sub(l.Status.Current.Accepted.Time) < time.Hour*9/10:
		return "an image is built anew that is not old"
	case l.Spec.Build.Approval != "" && l.Annotations[v1alpha1.ApproveAnnotation] != ApprovalKey(b.Number, b.Inputs):
		return "a run is created that nobody has approved"
	case len(l.Spec.Build.Windows) > 0 && !cmp.Equal(l.Spec.Build.Windows[0], atNoon):
		return "a run is created outside of its windows"
	case b.Name != RunName(l.Name, l.UID, b.Number, b.Inputs, b.Attempt):
		return "a run's name is not made of what it is made of"
	}
	for _, parent := range s.Parents {
		if built := lookup(b.BuiltFrom, parent.Name); built == nil || built.Digest != parent.Current.Digest {
			return "an input is not its parent's current image"
		}
	}
	for _, run := range s.Runs {
		if run.Number > 0 && !run.Done && (l.Status.Run == nil || later(run.Number, run.Attempt, l.Status.Run.Number, l.Status.Run.Attempt)) {
			return "a second run is created beside a live one"
		}
	}
	return ""
}
