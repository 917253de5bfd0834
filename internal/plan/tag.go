// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// settledRepeats is how often the registry has to say something surprising in a
// row before it is believed: that a tag is gone, or back at an older digest.
const settledRepeats = 2

// believeTag decides what to make of what the tag shows, and is true where that
// is the step of this pass.
func (d *decision) believeTag() bool {
	o := d.Observation
	if !o.Answered() {
		if d.subject.current() == nil {
			d.busy(v1alpha1.ReasonResolving, "waiting for the registry to tell what %s shows", d.Watched().Name())
		}
		return false
	}
	if d.Lineage.Spec.Suspend || d.Problem != nil && d.Problem.Reason == v1alpha1.ReasonReferenceTaken {
		return false
	}
	current := d.subject.current()
	if current != nil && current.Digest == o.Digest && current.Tag == d.Tag {
		return d.withdraw() || d.identify() || d.mirror() || d.prove()
	}
	if d.Stale() {
		return false
	}
	if o.Absent {
		return d.tagGone()
	}
	return d.believe(*o, current)
}

// believe decides over an image that is not current.
func (d *decision) believe(o Observation, current *v1alpha1.Revision) bool {
	known := findDigest(d.Lineage.Status.History, o.Digest)
	if known != nil && known.Digest != currentDigest(current) && !d.confirmed("%s is back at an older digest", d.Watched().Name()) {
		return true
	}
	if MinAge(d.Lineage) > 0 {
		return d.soak(known)
	}
	d.plan.Step = d.accept(found{Digest: o.Digest, Tag: d.Tag, Identity: o.Identity, Base: o.Base}, known)
	return true
}

func currentDigest(current *v1alpha1.Revision) v1alpha1.Digest {
	if current == nil {
		return ""
	}
	return current.Digest
}

// fresh is false for an answer that was asked for before the last publish had
// ended: it may tell of the tag as it was before.
func (d *decision) fresh() bool {
	if !d.Observation.Answered() {
		return false
	}
	current := d.subject.current()
	return current == nil || current.Origin != v1alpha1.OriginBuilt ||
		d.Observation.Started.After(d.past(current.Accepted.Time))
}

// confirmed is true where the registry has repeated a surprising answer. If not,
// it is asked again, but not while it fails: the poller's own retries do that.
func (d *decision) confirmed(format string, args ...any) bool {
	current := d.subject.current()
	if d.Observation.Repeats >= settledRepeats && (current == nil || d.Observation.Previous.After(d.past(current.Accepted.Time))) {
		return true
	}
	d.plan.Check = d.plan.Check || d.Observation.Failure == nil
	d.busy(v1alpha1.ReasonResolving, format+": asking the registry again", args...)
	return false
}

// tagGone decides about a tag that does not exist.
func (d *decision) tagGone() bool {
	if !d.confirmed("%s does not exist", d.Watched().Name()) {
		return true
	}
	if len(d.plan.Candidates) > 0 && d.takeMatured() {
		return true
	}
	current := d.subject.current()
	switch {
	case current == nil && !Produced(d.Lineage):
		d.busy(v1alpha1.ReasonTagAbsent, "%s does not exist at its registry: push it, or declare another lineage with the right spec.image", d.Watched().Name())
		return false
	case current == nil, !Produced(d.Lineage), d.plan.Problem != nil, d.builtAnyway():
		return false
	default:
		d.plan.Step = Restore{Digest: current.Digest}
		d.busy(v1alpha1.ReasonPublishing, "%s had vanished and is put back", d.Reference.Name())
		return true
	}
}

// builtAnyway is true where a build is due that nothing keeps back: it makes the tag
// anew, whether what vanished still exists or not. One that makes the same again can
// wait until the tag is back.
func (d *decision) builtAnyway() bool {
	verdicts := Verdicts(d.subject)
	return len(verdicts) > 0 && !onlyPeriodic(reasons(verdicts)) && !keptBack(d.subject, verdicts)
}

// found is an image that a tag shows, or showed.
type found struct {
	Digest   v1alpha1.Digest
	Tag      string
	Identity v1alpha1.Identity
	Base     BaseAnnotation
}

// identities are what is told of the digest beside what is known: where that is enough,
// it is not asked for again.
func (f found) identities(known *v1alpha1.Revision) []v1alpha1.Identity {
	if known == nil || len(known.Identities) == 0 {
		return identitiesOf(f.Digest, f.Identity)
	}
	return WithIdentity(known.Identities, f.Identity)
}

// accept makes what a tag shows a revision. known is the kept revision with that
// digest, if there is one.
func (d *decision) accept(f found, known *v1alpha1.Revision) Accept {
	revision := v1alpha1.Revision{
		Revision:   lastRevision(d.Lineage) + 1,
		Digest:     f.Digest,
		Tag:        f.Tag,
		Identities: f.identities(known),
		Reference:  d.Reference.Pinned(string(f.Digest)),
		Origin:     v1alpha1.OriginFollowed,
		Accepted:   metav1.NewMicroTime(d.Now),
	}
	reason := v1alpha1.ReasonFollowed
	own := d.runThatMade(revision.Digest)
	switch {
	case Produced(d.Lineage) && known == nil && own != nil:
		revision, reason = Published(d.Lineage, d.Reference, *own, Output{Digest: f.Digest, Identity: f.Identity}, d.Now), v1alpha1.ReasonPublished
	case Followed(d.Lineage):
		revision.Roots = []v1alpha1.Root{d.root(revision)}
	case Produced(d.Lineage) && known != nil && d.takenBack(*known):
		number, accepted := revision.Revision, revision.Accepted
		revision, reason = *known, v1alpha1.ReasonFollowed
		revision.Revision, revision.Accepted = number, accepted
	case Produced(d.Lineage) && known != nil:
		was := *known
		revision.Origin, reason = v1alpha1.OriginRolledBack, v1alpha1.ReasonHeldByUser
		revision.BuiltFrom, revision.Roots = was.BuiltFrom, was.Roots
		revision.Template, revision.Inputs, revision.Run = was.Template, was.Inputs, was.Run
		revision.RolledBackFrom = d.leftBehind()
	default:
		if Produced(d.Lineage) {
			revision.Origin, reason = v1alpha1.OriginAdopted, v1alpha1.ReasonAdopted
		}
		revision.BuiltFrom, revision.Roots = proven(f.Base, d.Parents)
	}
	// Where nothing follows from a new digest, it is done with being accepted: a base
	// that is declared, or moves, costs one write of its status.
	if !Followed(d.Lineage) || len(d.Workloads) > 0 || d.Lineage.Spec.Mirror != nil {
		d.busy(reason, "%s is %s now", d.Watched().Name(), reference.ShortDigest(string(revision.Digest)))
	}
	return Accept{Revision: revision, Reason: reason, Mirror: d.Lineage.Spec.Mirror != nil}
}

// runThatMade is the newest run whose image a digest is: it was published, and the
// operator could not say so, or somebody else put it under the tag.
func (d *decision) runThatMade(digest v1alpha1.Digest) *Run {
	var newest *Run
	for i, run := range d.Runs {
		if run.Number > 0 && run.Succeeded && run.Digest == digest && (newest == nil || later(run.Number, run.Attempt, newest.Number, newest.Attempt)) {
			newest = &d.Runs[i]
		}
	}
	return newest
}

// prove looks again at an image of unknown ancestry: a parent may have become
// known after the image was accepted, as when both are declared at once.
func (d *decision) prove() bool {
	current := d.subject.current()
	if len(current.BuiltFrom) > 0 || len(d.Parents) == 0 {
		return false
	}
	from, itsRoots := proven(d.Observation.Base, d.Parents)
	if len(from) == 0 {
		return false
	}
	d.plan.Step = Prove{BuiltFrom: from, Roots: itsRoots}
	return true
}

// takenBack is true where a person who rolled back puts the digest that they left
// under the tag again: there is nothing to hold any more.
func (d *decision) takenBack(known v1alpha1.Revision) bool {
	current := d.subject.current()
	return current != nil && current.Origin == v1alpha1.OriginRolledBack && known.Revision == current.RolledBackFrom
}

// leftBehind is the revision that a rollback leaves. Rolling back twice in a row
// still leaves the one that the operator would have kept.
func (d *decision) leftBehind() int64 {
	current := d.subject.current()
	if current == nil {
		return 0
	}
	if current.Origin == v1alpha1.OriginRolledBack {
		return current.RolledBackFrom
	}
	return current.Revision
}

func (d *decision) root(r v1alpha1.Revision) v1alpha1.Root {
	return v1alpha1.Root{
		Reference: d.Reference.Name(), Digest: r.Digest, Revision: r.Revision, Accepted: r.Accepted,
	}
}

// proven is what an image's own annotation proves of its base: it names the
// parent's repository, or that of its copies, and a digest that the parent is known to have had. A
// digest that nobody knows proves nothing, since it may be that of one platform.
func proven(base BaseAnnotation, parents []Parent) ([]v1alpha1.BuiltFrom, []v1alpha1.Root) {
	named, err := reference.Parse(base.Name)
	if err != nil || base.Digest == "" {
		return nil, nil
	}
	for _, p := range parents {
		if p.Use != v1alpha1.ParentBase || p.Reference.Repository != named.Repository && !slices.Contains(p.Mirrors, named.Repository) {
			continue
		}
		built := v1alpha1.BuiltFrom{Name: p.Name, Reference: p.Reference.Name(), Digest: base.Digest}
		if p.Current != nil && p.Current.Digest == base.Digest {
			built.Identities = []v1alpha1.Identity{p.Current.Identity}
			return []v1alpha1.BuiltFrom{built}, p.Current.Roots
		}
		if kept := findDigest(p.Kept, base.Digest); kept != nil {
			built.Identities = kept.Identities
			return []v1alpha1.BuiltFrom{built}, kept.Roots
		}
	}
	return nil, nil
}

// findDigest is the newest revision with a digest.
func findDigest(history []v1alpha1.Revision, digest v1alpha1.Digest) *v1alpha1.Revision {
	var newest *v1alpha1.Revision
	for i := range history {
		if history[i].Digest == digest && (newest == nil || history[i].Revision > newest.Revision) {
			newest = &history[i]
		}
	}
	return newest
}

// lastRevision is the highest number given so far.
func lastRevision(l *v1alpha1.ImageLineage) int64 {
	var last int64
	if l.Status.Current != nil {
		last = l.Status.Current.Revision.Revision
	}
	for _, r := range l.Status.History {
		last = max(last, r.Revision)
	}
	return last
}

// absent is true where the tag does not exist, and the lineage never had an
// image: only then is a missing tag a reason to build.
func (s Snapshot) absent() bool {
	return s.Observation.Answered() && s.Observation.Absent &&
		s.Observation.Repeats >= settledRepeats && len(s.Lineage.Status.History) == 0
}

// problem is what keeps the lineage from being built: its own, or a parent's.
func (s Snapshot) problem() *Problem {
	if s.Problem != nil {
		return s.Problem
	}
	if s.Lineage.Spec.Mirror != nil && MirrorOf(s.Lineage).IsZero() {
		return &Problem{
			Reason:  v1alpha1.ReasonInvalidSpec,
			Message: "spec.mirror.image: it is no repository; write one such as registry.example.com/mirror/debian",
		}
	}
	if _, err := windowsOf(s.Lineage); err != nil {
		return &Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	}
	for _, p := range s.Parents {
		if p.Problem != nil {
			return &Problem{
				Reason:  p.Problem.Reason,
				Message: fmt.Sprintf("spec.from[%s]: %s", p.Name, p.Problem.Message),
				Passing: p.Problem.Passing,
			}
		}
	}
	return nil
}

// Published is the revision that a published run makes. It never gets a number
// that was given already: an adopted release may have taken the run's own.
func Published(l *v1alpha1.ImageLineage, ref reference.Reference, run Run, output Output, at time.Time) v1alpha1.Revision {
	return v1alpha1.Revision{
		Revision:   max(run.Number, lastRevision(l)+1),
		Digest:     output.Digest,
		Identities: identitiesOf(output.Digest, output.Identity),
		Reference:  ref.Pinned(string(output.Digest)),
		Origin:     v1alpha1.OriginBuilt,
		Accepted:   metav1.NewMicroTime(at),
		BuiltFrom:  run.BuiltFrom,
		Roots:      run.Roots,
		Template:   run.Template,
		Inputs:     run.Inputs,
		Reasons:    run.Reasons,
		Run:        run.Name,
	}
}
