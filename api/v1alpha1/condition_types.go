// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus: Reconciling and
// Stalled are present only while true, never both, and never with Ready true.
const (
	// ConditionReady is true when nothing needs to be done, or deliberately
	// nothing is done; its reason is the STATUS column.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the operator is at work or waits.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when a person has to act.
	ConditionStalled = "Stalled"
	// ConditionResolved is true when the registry told what the tag shows.
	ConditionResolved = "Resolved"
	// ConditionUpToDate is true when current is built from the parents' current
	// images, false when it is outdated, and unknown where that cannot be proven.
	ConditionUpToDate = "UpToDate"
	// ConditionRolledOut is true when every workload runs current and is healthy.
	ConditionRolledOut = "RolledOut"
	// ConditionImageMissing is true while an image that is in use is gone from its
	// registry: a pod that is scheduled anew cannot pull it. It is present only then.
	ConditionImageMissing = "ImageMissing"
)

// Reasons of conditions, and of the Events that tell of a change. One reason is
// one situation; docs/troubleshooting.md lists each with its cure.
const (
	// ReasonUpToDate: current is what it should be, and so are the workloads.
	ReasonUpToDate = "UpToDate"
	// ReasonResolving: the registry has not answered yet.
	ReasonResolving = "Resolving"
	// ReasonResolved: the registry told what the tag shows.
	ReasonResolved = "Resolved"
	// ReasonTagAbsent: the tag does not exist at its registry.
	ReasonTagAbsent = "TagAbsent"
	// ReasonRegistryUnreachable: the registry does not answer, or not sensibly.
	ReasonRegistryUnreachable = "RegistryUnreachable"
	// ReasonUnauthorized: the registry refuses the credentials.
	ReasonUnauthorized = "Unauthorized"

	// ReasonNeverBuilt: the tag does not exist yet; a build makes it.
	ReasonNeverBuilt = "NeverBuilt"
	// ReasonParentChanged: a parent is not the one that current was built from.
	ReasonParentChanged = "ParentChanged"
	// ReasonTemplateChanged: the build template is not the one that built current.
	ReasonTemplateChanged = "TemplateChanged"
	// ReasonRequested: a person asked for a rebuild.
	ReasonRequested = "Requested"
	// ReasonPeriodic: the image is as old as spec.build.rebuildEvery allows.
	ReasonPeriodic = "Periodic"

	// ReasonSettleTimeout: a build did not wait longer for ancestors on which nothing got
	// on (beside the reason of the build).
	ReasonSettleTimeout = "SettleTimeout"

	// ReasonQueued: a build is due, and as many as are allowed at once are running.
	ReasonQueued = "Queued"
	// ReasonRunNotCreated: the cluster does not let the run be created now; it is
	// tried again.
	ReasonRunNotCreated = "RunNotCreated"
	// ReasonBuilding: a run is in flight.
	ReasonBuilding = "Building"
	// ReasonPublishing: the run's image is being put under the tag.
	ReasonPublishing = "Publishing"
	// ReasonMirroring: a new digest is being copied into spec.mirror.
	ReasonMirroring = "Mirroring"
	// ReasonRollingOut: workloads are on their way to the current digest.
	ReasonRollingOut = "RollingOut"
	// ReasonAncestorOutdated: an ancestor is rebuilt first.
	ReasonAncestorOutdated = "AncestorOutdated"
	// ReasonParentNotReady: a parent has no current image yet.
	ReasonParentNotReady = "ParentNotReady"
	// ReasonOutdatedUpstream: a tracked image is behind its parents; whoever
	// builds it has to.
	ReasonOutdatedUpstream = "OutdatedUpstream"
	// ReasonPatchSuperseded: a release that somebody else pushed took the place of a
	// build on a newer parent, and is itself built on the older one.
	ReasonPatchSuperseded = "PatchSuperseded"
	// ReasonBuiltFromUnknown: it cannot be proven what current was built from.
	ReasonBuiltFromUnknown = "BuiltFromUnknown"
	// ReasonNotRolledOut: workloads drift, and rollout does not ask to move them.
	ReasonNotRolledOut = "NotRolledOut"
	// ReasonWorkloadsUnknown: workloads run an image that is no revision, or that
	// belongs to more than one lineage; they are left alone.
	ReasonWorkloadsUnknown = "WorkloadsUnknown"
	// ReasonRolloutPending: workloads have the current digest in their template and
	// cannot start it now: paused, OnDelete, or scaled to zero.
	ReasonRolloutPending = "RolloutPending"
	// ReasonRolloutRefused: the cluster does not let the image of a workload be
	// changed; it is tried again.
	ReasonRolloutRefused = "RolloutRefused"
	// ReasonRolloutFailed: a workload missed its deadline with the current digest.
	ReasonRolloutFailed = "RolloutFailed"
	// ReasonRolledOut: every workload runs current and is healthy.
	ReasonRolledOut = "RolledOut"
	// ReasonNoWorkloads: nothing in the namespace runs the lineage.
	ReasonNoWorkloads = "NoWorkloads"

	// ReasonHeldSuspended: spec.suspend is set.
	ReasonHeldSuspended = "HeldSuspended"
	// ReasonHeldByUser: a person put the tag, or a container, back to an older
	// revision.
	ReasonHeldByUser = "HeldByUser"

	// ReasonHeldSoaking: a new digest is not old enough yet to be taken.
	ReasonHeldSoaking = "HeldSoaking"

	// ReasonHeldWindow: a build is due, and none of spec.build.windows is open.
	ReasonHeldWindow = "HeldWindow"
	// ReasonHeldApproval: a build is due, and needs a person's approval.
	ReasonHeldApproval = "HeldApproval"
	// ReasonHeldObserveOnly: something is due, and the operator runs with --observe-only.
	ReasonHeldObserveOnly = "HeldObserveOnly"

	// ReasonDigestGone: an image that is in use is gone from its registry.
	ReasonDigestGone = "DigestGone"

	// ReasonInvalidSpec: a field of the spec cannot be used; the message names it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonTemplateRefused: Tekton refuses the PipelineRun.
	ReasonTemplateRefused = "TemplateRefused"
	// ReasonTektonMissing: the cluster has no PipelineRuns.
	ReasonTektonMissing = "TektonMissing"
	// ReasonParentNotFound: a lineageRef names nothing that exists.
	ReasonParentNotFound = "ParentNotFound"
	// ReasonParentNotAllowed: the parent's allowedChildren does not admit this
	// namespace.
	ReasonParentNotAllowed = "ParentNotAllowed"
	// ReasonCycle: the lineage is its own ancestor.
	ReasonCycle = "Cycle"
	// ReasonReferenceTaken: another produced lineage has the same image.
	ReasonReferenceTaken = "ReferenceTaken"
	// ReasonSourceUnknown: a rebuild is due, and nobody can tell from which
	// source the current image was built.
	ReasonSourceUnknown = "SourceUnknown"
	// ReasonBuildFailed: the run failed.
	ReasonBuildFailed = "BuildFailed"
	// ReasonBuildInvalid: Tekton cannot carry out the run as it is written.
	ReasonBuildInvalid = "BuildInvalid"
	// ReasonBuildCancelled: a person stopped the run.
	ReasonBuildCancelled = "BuildCancelled"
	// ReasonOutputRefused: the run succeeded, and what it pushed is not what it
	// reported.
	ReasonOutputRefused = "OutputRefused"
	// ReasonPublishForbidden: the registry does not let us write the tag.
	ReasonPublishForbidden = "PublishForbidden"
	// ReasonMirrorRefused: an image cannot be copied into spec.mirror before a person
	// acts.
	ReasonMirrorRefused = "MirrorRefused"

	// ReasonAdopted: a release that somebody else pushed was taken on (Event).
	ReasonAdopted = "Adopted"
	// ReasonFollowed: a followed tag moved (Event).
	ReasonFollowed = "Followed"
	// ReasonPublished: a built image was put under the tag (Event).
	ReasonPublished = "Published"
	// ReasonSuperseded: somebody else moved the tag during a run (Event).
	ReasonSuperseded = "Superseded"
	// ReasonRunLost: a run disappeared before its end was seen.
	ReasonRunLost = "RunLost"
	// ReasonBuildStarted: a run was created (Event).
	ReasonBuildStarted = "BuildStarted"
	// ReasonRestored: the tag had vanished and was put back (Event).
	ReasonRestored = "Restored"
)
