// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImageLineageStatus is what the operator observed, decided and did. It is
// written only when something changed.
type ImageLineageStatus struct {
	// conditions: Ready, Reconciling and Stalled as kstatus has them; Resolved,
	// UpToDate and RolledOut tell the details.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status answers.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// role is the position in the graph: a followed lineage with a child is a
	// Base, without one a Service; a produced or tracked one with a child is an
	// Intermediary, without one an Application.
	//
	// +optional
	// +operator-sdk:csv:customresourcedefinitions:type=status,displayName="Role"
	Role Role `json:"role,omitempty"`

	// parents are the names in spec.from, as kubectl prints them.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=288
	Parents string `json:"parents,omitempty"`

	// observed is what the registry says now.
	//
	// +optional
	Observed *Observed `json:"observed,omitempty"`

	// current is the accepted revision: what children and workloads get.
	//
	// +optional
	// +operator-sdk:csv:customresourcedefinitions:type=status,displayName="Current image"
	Current *CurrentRevision `json:"current,omitempty"`

	// candidates are digests that are not old enough yet to be taken
	// (spec.poll.minAge), oldest first.
	//
	// +optional
	// +listType=map
	// +listMapKey=digest
	// +kubebuilder:validation:MaxItems=32
	Candidates []Candidate `json:"candidates,omitempty"`

	// from is what is known of each parent, by its name in spec.from.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	From []ParentStatus `json:"from,omitempty"`

	// outdatedSince is when the first change appeared that current lacks.
	//
	// +optional
	OutdatedSince *metav1.Time `json:"outdatedSince,omitempty"`

	// goal is what this lineage waits for: the roots of its ancestry as they were when
	// it fell behind. It is built when its parents contain these or newer ones. What a
	// root shows later lengthens no wait. It is empty while nothing is waited for, and
	// while a run is in flight.
	//
	// +optional
	// +listType=map
	// +listMapKey=reference
	Goal []Root `json:"goal,omitempty"`

	// waitingFor names the ancestors that have to settle before this lineage is
	// built, as namespace/name.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	WaitingFor []string `json:"waitingFor,omitempty"`

	// waitingSince is when waitingFor last began to name anybody.
	//
	// +optional
	WaitingSince *metav1.Time `json:"waitingSince,omitempty"`

	// run is the newest PipelineRun: in flight while it has no outcome.
	//
	// +optional
	Run *RunStatus `json:"run,omitempty"`

	// rollout counts the workloads of this namespace that run the lineage.
	//
	// +optional
	// +operator-sdk:csv:customresourcedefinitions:type=status,displayName="Workloads"
	Rollout *RolloutStatus `json:"rollout,omitempty"`

	// handled echoes the tokens of the annotations that were answered.
	//
	// +optional
	Handled *Handled `json:"handled,omitempty"`

	// history holds the newest revisions, newest first, and every revision that
	// a workload or a child still uses.
	//
	// +optional
	// +listType=map
	// +listMapKey=revision
	// +kubebuilder:validation:MaxItems=50
	History []Revision `json:"history,omitempty"`
}

// Role is a lineage's position in the graph; it is derived, never declared.
//
// +kubebuilder:validation:Enum=Base;Intermediary;Application;Service
type Role string

// The roles.
const (
	// RoleBase is a followed image that others are built on.
	RoleBase Role = "Base"
	// RoleIntermediary is a produced or tracked image that others are built on.
	RoleIntermediary Role = "Intermediary"
	// RoleApplication is a produced or tracked image that nothing is built on.
	RoleApplication Role = "Application"
	// RoleService is a followed image that nothing is built on.
	RoleService Role = "Service"
)

// Observed is an answer of the registry.
type Observed struct {
	// digest that the tag shows; empty where the tag does not exist.
	//
	// +optional
	Digest Digest `json:"digest,omitempty"`

	// since is when the tag was first seen to show this.
	//
	// +required
	Since metav1.Time `json:"since"`

	// asked is when the check began that first saw it: an answer to an older question
	// does not replace this one.
	//
	// +optional
	Asked *metav1.MicroTime `json:"asked,omitempty"`
}

// Candidate is a digest that was seen and not taken yet.
type Candidate struct {
	// digest of the image.
	//
	// +required
	Digest Digest `json:"digest"`

	// tag that showed it, where spec.tags chooses.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// firstSeen is when it was first seen here.
	//
	// +required
	FirstSeen metav1.MicroTime `json:"firstSeen"`
}

// ParentStatus is what is known of one parent.
type ParentStatus struct {
	// name of the parent in spec.from.
	//
	// +required
	Name ParentName `json:"name"`

	// reference of the parent, canonical; empty while it does not exist.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=384
	Reference string `json:"reference,omitempty"`

	// observed is the digest that an implicit parent's tag shows.
	//
	// +optional
	Observed Digest `json:"observed,omitempty"`

	// accepted is the parent's current digest: what a build would be pinned to.
	//
	// +optional
	Accepted Digest `json:"accepted,omitempty"`

	// identity of accepted, where something else than the digest counts
	// (poll.changeOn of the parent's lineage, or of this one for an image).
	//
	// +optional
	Identity *Identity `json:"identity,omitempty"`

	// firstSeen is when accepted was first seen.
	//
	// +optional
	FirstSeen *metav1.MicroTime `json:"firstSeen,omitempty"`

	// baseline is the parent's digest at the moment when an image of unknown
	// ancestry was taken on; nothing is outdated while the parent shows it.
	//
	// +optional
	Baseline Digest `json:"baseline,omitempty"`

	// error says why the parent is of no use now.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Error string `json:"error,omitempty"`
}

// RunOutcome says how a run ended for the lineage.
//
// +kubebuilder:validation:Enum=Published;Confirmed;Superseded;Failed;Invalid;Cancelled;Refused;Lost;Discarded
type RunOutcome string

// The outcomes of a run.
const (
	// RunPublished is a run whose image was put under the tag.
	RunPublished RunOutcome = "Published"
	// RunConfirmed is a run that made the very image that is current already.
	RunConfirmed RunOutcome = "Confirmed"
	// RunSuperseded is a run whose image was left aside because somebody else
	// moved the tag meanwhile.
	RunSuperseded RunOutcome = "Superseded"
	// RunFailed is a run that Tekton reports as failed.
	RunFailed RunOutcome = "Failed"
	// RunInvalid is a run that Tekton could not carry out as it is written, such as one
	// whose Task does not exist: it is not tried again by itself.
	RunInvalid RunOutcome = "Invalid"
	// RunCancelled is a run that a person stopped: it is not tried again by itself.
	RunCancelled RunOutcome = "Cancelled"
	// RunRefused is a run that succeeded, and whose output was not what it said.
	RunRefused RunOutcome = "Refused"
	// RunLost is a run that disappeared before its end was seen.
	RunLost RunOutcome = "Lost"
	// RunDiscarded is a run that ended while nothing could be published, as during
	// a suspension, and whose inputs are not wanted any more.
	RunDiscarded RunOutcome = "Discarded"
)

// RunStatus is the newest PipelineRun of a lineage.
type RunStatus struct {
	// name of the PipelineRun.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// number of the revision that the run makes.
	//
	// +required
	Number int64 `json:"number"`

	// attempt counts the runs for one number, from 1.
	//
	// +required
	Attempt int64 `json:"attempt"`

	// inputs is the hash of everything that the run is made of.
	//
	// +required
	// +kubebuilder:validation:MaxLength=80
	Inputs string `json:"inputs"`

	// reasons why the run was created, the headline first.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Reasons []string `json:"reasons,omitempty"`

	// started is when the run was created.
	//
	// +optional
	Started *metav1.Time `json:"started,omitempty"`

	// finished is when Tekton completed the run. While the run has no outcome, it is
	// set only where its image is withheld: during a suspension, or while a parent
	// is missing or does not allow this child.
	//
	// +optional
	Finished *metav1.Time `json:"finished,omitempty"`

	// ended is when the outcome was recorded.
	//
	// +optional
	Ended *metav1.MicroTime `json:"ended,omitempty"`

	// outcome is empty while the run is in flight.
	//
	// +optional
	Outcome RunOutcome `json:"outcome,omitempty"`

	// failures counts the runs in a row that failed with these inputs, this one
	// among them once it has.
	//
	// +optional
	Failures int64 `json:"failures,omitempty"`

	// message says what went wrong, and the command that shows the log.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// RolloutStatus counts workloads of the lineage's namespace.
type RolloutStatus struct {
	// summary is current/total, as kubectl prints it.
	//
	// +required
	// +kubebuilder:validation:MaxLength=24
	Summary string `json:"summary"`

	// total is the number of workloads that run the lineage.
	//
	// +optional
	Total int32 `json:"total"`

	// current is the number of those that run the current digest and are healthy.
	//
	// +optional
	Current int32 `json:"current"`

	// progressing is the number that are on their way to the current digest.
	//
	// +optional
	Progressing int32 `json:"progressing,omitempty"`

	// pending is the number that have the current digest in their template and
	// cannot start it now: paused, OnDelete, or scaled to zero.
	//
	// +optional
	Pending int32 `json:"pending,omitempty"`

	// drifted is the number that do not run the current digest.
	//
	// +optional
	Drifted int32 `json:"drifted,omitempty"`

	// failed is the number that have the current digest in their template and
	// missed their deadline.
	//
	// +optional
	Failed int32 `json:"failed,omitempty"`

	// held is the number that a person set to an older revision.
	//
	// +optional
	Held int32 `json:"held,omitempty"`

	// unknown is the number whose digest belongs to more than one lineage, or
	// whose pods do not tell yet what they run.
	//
	// +optional
	Unknown int32 `json:"unknown,omitempty"`

	// notes say what to know about single workloads, such as who holds them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Notes []string `json:"notes,omitempty"`
}

// Handled echoes annotation tokens.
type Handled struct {
	// check is the last token of imagelineage.dev/check that was answered.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Check string `json:"check,omitempty"`

	// rebuild is the last token of imagelineage.dev/rebuild that was answered.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Rebuild string `json:"rebuild,omitempty"`

	// approve is the last digest of imagelineage.dev/approve that was taken, or the
	// last key whose build has begun.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Approve string `json:"approve,omitempty"`
}
