// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Snapshot is everything that a decision about one lineage may look at. It is
// gathered once, before the decision, and never changes during it.
type Snapshot struct {
	// Now is the time of the decision.
	Now time.Time
	// Lineage as read, with the status of the last pass. Never modified.
	Lineage *v1alpha1.ImageLineage
	// Reference is spec.image in canonical form; without a tag where spec.tags
	// chooses.
	Reference reference.Reference
	// Tags is spec.tags; nil where spec.image names the tag.
	Tags *TagRule
	// Tag that spec.tags has chosen; empty while there is none, or nothing to choose.
	Tag string
	// Listing is what the registry says of the tags to choose from; nil before the
	// first answer, and where there is nothing to choose.
	Listing *Listing
	// Presence is what the registry says of the digests that LookFor names.
	Presence map[v1alpha1.Digest]*Observation
	// CopyAbsent is how often in a row the mirror and then the source said that they do
	// not have the current image, of which there was a copy.
	CopyAbsent int
	// CopyUnknown is true while the mirror has not told whether it has that copy, as after
	// a restart.
	CopyUnknown bool
	// Problem is set where the spec cannot be used at all.
	Problem *Problem
	// HasChild is true where another lineage names this one as a parent.
	HasChild bool
	// Parents in the order of spec.from.
	Parents []Parent
	// Observation is what the registry says of Reference; nil before the first
	// answer.
	Observation *Observation
	// Template is the hash of the build template, empty without a build.
	Template string
	// TemplateProblem is set where no run can be made from the template.
	TemplateProblem *Problem
	// Runs are the lineage's PipelineRuns, in any order.
	Runs []Run
	// NoRuns is true where the cluster has no PipelineRuns at all, because Tekton
	// is missing: that a run is not among Runs then says nothing.
	NoRuns bool
	// WaitingFor are the ancestors that are not settled, whether they have to be waited
	// for or not.
	WaitingFor []Ancestor
	// Roots are those of the ancestry as accepted now, by reference; where more than one
	// lineage follows a reference, what was accepted last.
	Roots []v1alpha1.Root
	// SettleTimeout is how long a build waits for ancestors on which nothing gets on; 0 is
	// without end.
	SettleTimeout time.Duration
	// AncestorDue is when the first of the ancestors that do nothing now is built anew
	// because of its spec.build.rebuildEvery; zero where none is.
	AncestorDue time.Time
	// Workloads of the lineage's namespace that mention its repository.
	Workloads []Workload
	// Claimants are the lineages of that namespace with the same repository,
	// this one among them; none where there are no workloads.
	Claimants []Claimant
	// ChildrenUse are the digests of this lineage that children are built from.
	ChildrenUse []v1alpha1.Digest
	// ClockBehind is set where the status tells of a time that is still to come,
	// because the clock was moved back or belongs to another node now: it is when
	// that was noticed. What happened since is later than all that the status tells.
	ClockBehind time.Time
	// ObserveOnly is true where nothing outside of the status may be done, and what would
	// be done is said.
	ObserveOnly bool
}

// Watched is the tag that the observation is of.
func (s Snapshot) Watched() reference.Reference {
	if s.Tag == "" {
		return s.Reference
	}
	return s.Reference.WithTag(s.Tag)
}

// Stale is true for an answer of the registry that was asked for before what the
// status tells was so, and says something else: it may tell of the time before. That
// happens after each publish, and where another operator heard of something first.
func (s Snapshot) Stale() bool {
	o := s.Observation
	if !o.Answered() {
		return false
	}
	if current := s.Lineage.Status.Current; current != nil && current.Digest != o.Digest && !o.Started.After(s.past(current.Accepted.Time)) {
		return true
	}
	observed := s.Lineage.Status.Observed
	return observed != nil && observed.Asked != nil && observed.Digest != o.Digest && !o.Started.After(s.past(observed.Asked.Time))
}

// past is a time of the status by today's clock.
func (s Snapshot) past(told time.Time) time.Time {
	return pastBy(s.Now, s.ClockBehind, told)
}

func pastBy(now, clockBehind, told time.Time) time.Time {
	if told.After(now) && !clockBehind.IsZero() {
		return clockBehind
	}
	return told
}

// Ancestor is a lineage further up that is going to move.
type Ancestor struct {
	// Name is namespace/name.
	Name string
	// Since is when it was first outdated; zero where that is not known.
	Since time.Time
	// Refreshed is true where nothing of it is outdated, and it is only built anew because
	// of its spec.build.rebuildEvery or a request: who has nothing to build does not wait
	// for it.
	Refreshed bool
	// Itself is true where it is built for another reason than its parents: no root tells
	// when that is done.
	Itself bool
	// On are the parents through which it comes down; none where the lineage itself names
	// no parents.
	On []v1alpha1.ParentName
}

// Problem is something that a person has to mend.
type Problem struct {
	// Reason is one of the API's reasons.
	Reason string
	// Message names the field and the cure.
	Message string
	// Passing is true where the problem may go away without this lineage being
	// edited, such as a parent that does not exist yet.
	Passing bool
}

// Parent is one entry of spec.from, resolved.
type Parent struct {
	// Name of the entry.
	Name v1alpha1.ParentName
	// Use is Base or Builder, never empty.
	Use v1alpha1.ParentUse
	// Reference is the parent's canonical repository:tag; zero where unknown.
	Reference reference.Reference
	// Mirrors are the repositories in which copies of its images are.
	Mirrors []string
	// Current is the parent's accepted image; nil while it has none.
	Current *ParentCurrent
	// Observed is what an implicit parent's tag shows; empty for a lineageRef.
	Observed v1alpha1.Digest
	// Kept are earlier revisions of the parent, by which an image's base
	// annotation can be proven to belong to it.
	Kept []v1alpha1.Revision
	// Lineage is the lineage that the parent is, or that builds its image; zero where there
	// is none.
	Lineage types.NamespacedName
	// Descends are the references at the top of its ancestry: its own where it is a root.
	Descends []string
	// Roots are those up to which its image is, for the join; see Ancestry.Contained.
	Roots []v1alpha1.Root
	// Progress is when something happened last to a lineage that is built among it and its
	// ancestors; the time of the decision while a run is in flight within its time limit.
	Progress time.Time
	// Problem is set where the parent cannot be used.
	Problem *Problem
}

// ParentCurrent is a parent's accepted image.
type ParentCurrent struct {
	// Digest that a build is pinned to.
	Digest v1alpha1.Digest
	// Identity of that digest that counts; what is compared.
	Identity v1alpha1.Identity
	// Identities are all that are known of it.
	Identities []v1alpha1.Identity
	// Accepted is when the parent's digest became current.
	Accepted time.Time
	// Roots of that image; of a root itself, the root.
	Roots []v1alpha1.Root
	// Mirror is the copy to build on, as repository:tag@digest; empty without one.
	Mirror string
}

// Observation is what the registry says of a tag.
type Observation struct {
	// Digest that the tag shows; empty where the tag does not exist or was never
	// read.
	Digest v1alpha1.Digest
	// Absent is true where the registry said that the tag does not exist.
	Absent bool
	// Started is when the check began that gave this answer last.
	Started time.Time
	// Previous is when the check before that one began, where it gave the same
	// answer.
	Previous time.Time
	// Repeats counts the checks in a row that gave this answer, from 1.
	Repeats int
	// Base is the image's own word on what it was built on, if it has one.
	Base BaseAnnotation
	// Identity is what counts as a change, where that was asked for and is something
	// else than the digest.
	Identity v1alpha1.Identity
	// Failure is set while checks fail; the fields above keep the last answer.
	Failure *Failure
}

// Listing is what the registry says of a repository's tags.
type Listing struct {
	// Tags of the last answer, in the registry's order.
	Tags []string
	// Repeats counts the checks in a row that gave this answer, from 1.
	Repeats int
	// Failure is set while checks fail; the fields above keep the last answer.
	Failure *Failure
}

// Answered is true where the registry has said anything yet.
func (o *Observation) Answered() bool {
	return o != nil && (o.Absent || o.Digest != "")
}

// BaseAnnotation is what the manifest annotations org.opencontainers.image.base.*
// say (OCI image-spec, annotations.md).
type BaseAnnotation struct {
	// Name is the base's reference.
	Name string
	// Digest of the base.
	Digest v1alpha1.Digest
}

// Failure tells of checks that did not succeed.
type Failure struct {
	// Reason is one of the API's reasons.
	Reason string
	// Message names host and cause, never a response body.
	Message string
	// Since is when the first check in a row failed.
	Since time.Time
	// Count of checks in a row that failed.
	Count int
}

// Build is a run to create: all that it is made of.
type Build struct {
	// Name of the PipelineRun.
	Name string
	// Number of the revision that it makes.
	Number int64
	// Attempt counts the runs for one number, from 1.
	Attempt int64
	// Inputs is the hash of what the image is made of.
	Inputs string
	// Output is the revision tag to push to, repository:tag.
	Output string
	// Expected is what the lineage's tag shows now, or v1alpha1.ExpectedAbsent.
	Expected string
	// Template is the hash of the template as written.
	Template string
	// Request is the rebuild token that the run answers, if any.
	Request string
	// Reasons why, the headline first.
	Reasons []string
	// BuiltFrom are the parents that the run is pinned to.
	BuiltFrom []v1alpha1.BuiltFrom
	// Roots of those parents.
	Roots []v1alpha1.Root
}

// Run is a PipelineRun of the lineage, as observed.
type Run struct {
	// Build is what the run was created from, read back from its annotations.
	Build
	// Created is when the run was created.
	Created time.Time
	// Finished is when it completed; zero while it runs.
	Finished time.Time
	// Done is true where the run has completed.
	Done bool
	// Unseen is true where the cache does not show the run: it is too new, or lost the
	// label by which it is watched.
	Unseen bool
	// Deleting is true where the run is being deleted.
	Deleting bool
	// Started is true once Tekton has taken the run up.
	Started bool
	// Succeeded is true where it completed well.
	Succeeded bool
	// Cancelled is true where a person stopped the run.
	Cancelled bool
	// Digest that the run reported; empty where it reported none.
	Digest v1alpha1.Digest
	// URL that the run reported; empty where it reported none.
	URL string
	// Invalid is true where Tekton could not carry out the run as it is written.
	Invalid bool
	// Message says why the run failed, and which command shows the log.
	Message string
}

// Workload is a Deployment, StatefulSet or DaemonSet.
type Workload struct {
	// Kind is Deployment, StatefulSet or DaemonSet.
	Kind string
	// Namespace and Name of the object.
	Namespace, Name string
	// UID of the object.
	UID string
	// Created is when the object was created.
	Created time.Time
	// Controlled is true where another object controls this one: it is left alone.
	Controlled bool
	// Containers, init containers included, in the order of the template.
	Containers []Container
	// Remembered is what the rollout annotation says, by container.
	Remembered map[string]Remembered
	// Health of the workload.
	Health Health
	// HealthMessage says what is being waited for.
	HealthMessage string
	// Refused is why the cluster did not let the images be changed that are due; empty
	// where it did, or was not asked.
	Refused string
	// Trouble says what keeps the pods of the present template from running, by
	// container: an exit code, or an image that cannot be pulled; empty where
	// nothing does.
	Trouble string
}

// String names the workload as kubectl does: deployment/web.
func (w Workload) String() string {
	return kindPrefix[w.Kind] + w.Name
}

var kindPrefix = map[string]string{
	"Deployment":  "deployment/",
	"StatefulSet": "statefulset/",
	"DaemonSet":   "daemonset/",
}

// Health is where a workload stands on its way to its own template.
type Health string

// The states of health, by the rules of kubectl rollout status.
const (
	// Healthy: the template is rolled out and available.
	Healthy Health = "Healthy"
	// Progressing: the template is on its way.
	Progressing Health = "Progressing"
	// Failed: the template missed its deadline.
	Failed Health = "Failed"
	// Pending: the template cannot start now: paused, OnDelete, scaled to zero.
	Pending Health = "Pending"
)

// Container is one container of a workload's pod template.
type Container struct {
	// Name of the container.
	Name string
	// Init is true for an init container.
	Init bool
	// Index of the container in its list.
	Index int
	// Image as written.
	Image string
	// Running are the digests that the pods of this image run, as the kubelet
	// reports them; a digest may be of an index or of one platform.
	Running []v1alpha1.Digest
	// Newest is when the newest of those pods was created.
	Newest time.Time
	// Unreported is true where a pod of this image does not tell yet what it runs.
	Unreported bool
	// SetBy is the field manager that owns the image, where one does.
	SetBy string
	// SetAt is when that manager last wrote.
	SetAt time.Time
}

// Remembered is what the rollout annotation says of one container.
type Remembered struct {
	// Lineage that moved the container.
	Lineage string `json:"lineage"`
	// From is the image that was there before.
	From string `json:"from"`
	// To is the image that was written.
	To string `json:"to"`
	// Revision of the lineage that was written.
	Revision int64 `json:"revision"`
	// Healthy is whether the workload was healthy before.
	Healthy bool `json:"healthy"`
}

// Claimant is a lineage that may own containers of its namespace.
type Claimant struct {
	// Name of the lineage.
	Name string
	// Reference is its canonical repository:tag; without a tag where spec.tags chooses.
	Reference reference.Reference
	// Tags are those that the lineage claims; nil where that is the reference's own, and
	// where spec.tags cannot be read.
	Tags *TagRule
	// Mirror is the repository of spec.mirror; zero without one.
	Mirror reference.Reference
	// Mirrors are the repositories in which copies of its revisions are; that one
	// among them.
	Mirrors []string
	// UseMirror is true where workloads are moved to the copies.
	UseMirror bool
	// Acts is true where its rollout mode is Patch, it is not suspended, and its tags can
	// be read.
	Acts bool
	// Current revision, with a copy only where that is in Mirror; nil while there is
	// none.
	Current *v1alpha1.Revision
	// History, newest first, current among it.
	History []v1alpha1.Revision
	// ChangeOn is what counts as a change: who runs the same content is current.
	ChangeOn v1alpha1.IdentityKind
}

// ImageChange is one container to move.
type ImageChange struct {
	// Container to change.
	Container Container
	// To is the image to write.
	To string
	// Memory is what to remember on the workload.
	Memory Remembered
}
