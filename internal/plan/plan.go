// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Plan is what is true of a lineage, what to do about it, and why.
type Plan struct {
	// Step is the one thing to do now; nil where there is nothing to do.
	Step Step
	// Check asks for the registry's word again, now.
	Check bool
	// Recheck are digests that the registry is asked for again, now.
	Recheck []v1alpha1.Digest
	// Candidates are the digests that are not old enough to be taken.
	Candidates []v1alpha1.Candidate
	// Missing says which images in use are gone from the registry; empty where none
	// is.
	Missing string
	// Unsure is true while the registry has not told of all images in use, as after a
	// restart: whether one is missing is then as it was.
	Unsure bool
	// Verdicts are all the reasons for a build, the headline first.
	Verdicts []Verdict
	// Registry is whether the registry tells what the tag shows.
	Registry Resolution
	// Lineage is whether current is built from what it should be.
	Lineage Standing
	// Problem is what a person has to mend before the lineage can go on.
	Problem *Problem
	// Hold is why nothing is done although something is due.
	Hold *Hold
	// Busy is what the lineage is doing or waiting for; empty when idle.
	Busy Busy
	// WaitingFor are the ancestors that have to settle first.
	WaitingFor []string
	// Goal is what is waited for: the roots that the parents have to reach. It is over
	// once a Create is done.
	Goal []v1alpha1.Root
	// Parents is what to report of each parent.
	Parents []v1alpha1.ParentStatus
	// Rollout counts the workloads that run the lineage.
	Rollout Count
	// Again is when to look at the lineage again without any news; zero where not.
	Again time.Duration
	// Run is the newest run as observed, to report; nil where there is none.
	Run *Run
	// Withheld is true where that run succeeded, and its image is not published
	// because the lineage is suspended or has a problem.
	Withheld bool
}

// After is when to look at the lineage again without any news, given what came of
// the step: a step that was refused may be let through later. Zero is never.
func (p Plan) After(o Outcome) time.Duration {
	again := o.Again
	if again == 0 && o.Problem != nil {
		again = refusedAgain
	}
	if again == 0 || p.Again > 0 && p.Again < again {
		return p.Again
	}
	return again
}

// Verdict is one reason for a build.
type Verdict struct {
	// Reason is one of the API's reasons.
	Reason string
	// Message says what changed from what to what.
	Message string
}

// Reasons of the verdicts, in their order.
func reasons(verdicts []Verdict) []string {
	out := make([]string, 0, len(verdicts))
	for _, v := range verdicts {
		out = append(out, v.Reason)
	}
	return out
}

// Truth is true, false, or not known.
type Truth string

// The values of Truth, as conditions spell them.
const (
	True    Truth = "True"
	False   Truth = "False"
	Unknown Truth = "Unknown"
)

// Standing is how current relates to its parents.
type Standing struct {
	// UpToDate is whether current is built from the parents' current images.
	UpToDate Truth
	// Reason is one of the API's reasons.
	Reason string
	// Message says it in a sentence.
	Message string
	// Since is when the first change appeared that current lacks; zero unless
	// UpToDate is False.
	Since time.Time
}

// Hold is a deliberate wait.
type Hold struct {
	// Reason is one of the API's Held… reasons.
	Reason string
	// Message says who holds, and how the hold is lifted.
	Message string
}

// Busy is something that goes on without a person.
type Busy struct {
	// Reason is one of the API's reasons; empty when idle.
	Reason string
	// Message says it in a sentence.
	Message string
}

// Step is one thing to do. The set is closed: Accept, Mirror, Prove, Identify,
// Create, Publish, Restore, End and Prune.
type Step interface{ step() }

// Accept makes a digest that the tag shows, or showed, the current revision. It has no
// effect outside of the status, but that of Mirror.
type Accept struct {
	// Revision to record.
	Revision v1alpha1.Revision
	// Reason is one of the API's reasons, for the Event.
	Reason string
	// Mirror is set where the digest has to be in spec.mirror before it is current.
	Mirror bool
	// Candidates are those that are left then.
	Candidates []v1alpha1.Candidate
}

// Mirror copies the current image into spec.mirror, where it was taken before there
// was one.
type Mirror struct {
	// Revision to copy.
	Revision v1alpha1.Revision
}

// Prove records what the current image was built from, which was not known when
// it was accepted. Like Accept, it has no effect outside of the status.
type Prove struct {
	// BuiltFrom is what the image was made of.
	BuiltFrom []v1alpha1.BuiltFrom
	// Roots of that.
	Roots []v1alpha1.Root
}

// Identify records what counts as a change of the current image, where that was not
// known. Like Accept, it has no effect outside of the status.
type Identify struct {
	// Identity to record.
	Identity v1alpha1.Identity
}

// Create starts a run.
type Create struct {
	// Build is all that the run is made of.
	Build Build
}

// Publish puts the output of a run under the tag, unless somebody else moved it.
type Publish struct {
	// Run that succeeded.
	Run Run
	// Late is true where the run ended long enough ago that its output has to be at
	// the registry by now.
	Late bool
	// UnlessSame is the digest that stays under the tag where the output has the same
	// layers; empty where they are not compared.
	UnlessSame v1alpha1.Digest
}

// Restore puts the current digest back under a tag that has vanished.
type Restore struct {
	// Digest to put under the tag.
	Digest v1alpha1.Digest
}

// End records how a run ended that made nothing to publish.
type End struct {
	// Run that ended. Of a lost one only the name and numbers are known.
	Run Run
	// Outcome to record.
	Outcome v1alpha1.RunOutcome
	// Message for the status.
	Message string
}

// Prune deletes ended runs of which nothing more is needed.
type Prune struct {
	// Runs to delete, by name, the oldest first.
	Runs []string
}

func (Accept) step()   {}
func (Mirror) step()   {}
func (Prove) step()    {}
func (Identify) step() {}
func (Create) step()   {}
func (Publish) step()  {}
func (Restore) step()  {}
func (End) step()      {}
func (Prune) step()    {}

// Output is an image that a run made.
type Output struct {
	// Digest of the image.
	Digest v1alpha1.Digest
	// Identity that counts, where it is something else than the digest.
	Identity v1alpha1.Identity
}

// Outcome is what became of a step.
type Outcome struct {
	// Done is false where the step had no effect and has to be tried again.
	Done bool
	// Output that was published.
	Output
	// Superseded is true where somebody else had moved the tag.
	Superseded bool
	// Copy is where the copy in spec.mirror is, as repository:tag@digest.
	Copy string
	// At is when the effect had ended.
	At time.Time
	// Problem is what a person has to mend, where the step was refused.
	Problem *Problem
	// Waiting is why the step was not done although nobody has to act; its reason
	// is empty otherwise.
	Waiting Busy
	// Again is when to try a step again that was not done; zero where news come.
	Again time.Duration
	// Refused is true where a run's output is not what it said.
	Refused bool
}
