// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package failures

import "github.com/imagelineage/imagelineage/api/v1alpha1"

// Kind says where a reason stands, and so whether somebody has to act.
type Kind string

// The kinds of reasons, in the order in which a person on call wants them.
const (
	// Stalled is the reason of Ready=False and Stalled: a person has to act.
	Stalled Kind = "Stalled"
	// Reconciling is the reason of Ready=False and Reconciling: the operator works or
	// waits, and goes on by itself.
	Reconciling Kind = "Reconciling"
	// Ready is the reason of Ready=True.
	Ready Kind = "Ready"
	// Detail is the reason of another condition, or of a build.
	Detail Kind = "Detail"
	// Event is the reason of an Event only.
	Event Kind = "Event"
)

// Explanation is what a reason means, and what to do.
type Explanation struct {
	// Reason is one of the API's.
	Reason string
	// Kinds of the reason; it may be more than one.
	Kinds []Kind
	// Means says what is the case.
	Means string
	// Do says what a person does; empty where that is nothing.
	Do string
}

func on(kinds ...Kind) []Kind { return kinds }

// Explanations of all reasons of the API, in the order in which they are shown.
var Explanations = []Explanation{
	{v1alpha1.ReasonInvalidSpec, on(Stalled), "a field cannot be used; the message names it and says what would be right", "correct the field"},
	{v1alpha1.ReasonTemplateRefused, on(Stalled), "Tekton, or another admission check, refuses the PipelineRun; its own message is shown", "correct `spec.build.pipelineRun`, or the policy; it is asked again every 10 minutes"},
	{v1alpha1.ReasonTektonMissing, on(Stalled), "the cluster has no PipelineRuns, or does not list them; images are followed and rolled out, and nothing is built", "install Tekton Pipelines; every lineage goes on by itself"},
	{v1alpha1.ReasonParentNotFound, on(Stalled), "a `lineageRef` names nothing. A run in flight ends, and its image is not published meanwhile", "create the parent, or correct `spec.from`"},
	{v1alpha1.ReasonParentNotAllowed, on(Stalled), "the parent does not admit this namespace. A run in flight ends, and its image is not published meanwhile", "the parent's owner admits it in `spec.allowedChildren`"},
	{v1alpha1.ReasonCycle, on(Stalled), "the lineage is its own ancestor; the message shows the way round. Nothing on the cycle is built, and everything beside it is", "remove one of its edges from `spec.from`"},
	{v1alpha1.ReasonReferenceTaken, on(Stalled), "another lineage builds the same image; the message names it", "remove `spec.build` from one of them, or delete it"},
	{v1alpha1.ReasonSourceUnknown, on(Stalled), "a rebuild is due, and the current image was pushed by somebody else: building the template could undo a release", "push a release on the new base, or annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonBuildFailed, on(Stalled, Reconciling, Event), "the run failed; the message names the task, the step, its exit code, and the command that shows the log. While Reconciling, it is tried again at the time that the message tells. It stands also where somebody moved the tag during the run and the tag shows no release", "mend the cause; then wait, or annotate `imagelineage.dev/rebuild`. Other inputs are built at once"},
	{v1alpha1.ReasonBuildInvalid, on(Stalled, Event), "Tekton could not carry out the run as it is written: a Pipeline or Task that does not exist, a parameter or workspace that is missing; the message has its reason. Trying again would give the same answer, so nothing is, and nobody waits for it", "correct `spec.build.pipelineRun` or what it names; then, if the template stayed the same, annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonBuildCancelled, on(Stalled, Event), "a person stopped the run: it is not made again by itself", "annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonRunLost, on(Stalled, Reconciling, Event), "the run disappeared before its end was seen. It is made again, at first at once; if that happens again and again, a person has to look", "find out who deletes PipelineRuns; then annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonOutputRefused, on(Stalled, Reconciling, Event), "the run succeeded, and what it pushed is not what it reported, or not at `$(lineage.output)`; or its annotations were edited. Nothing of it is used, and it is tried again like a failure", "correct the pipeline"},
	{v1alpha1.ReasonPublishForbidden, on(Stalled), "the registry does not let the operator write the tag. It is asked before the first run, so that nothing is built for nothing", "name a Secret that may push in `spec.build.pushSecrets`, or create the repository; it is tried again after 1, 2, 4, 8 and then every 10 minutes, and at once when the lineage is edited"},
	{v1alpha1.ReasonMirrorRefused, on(Stalled), "a digest cannot be copied into `spec.mirror`: a registry refuses the credentials, or what the image consists of; or the operator's configuration does not allow the mirror. The message says which. The image before stays current", "a right or a Secret in `mirror.pushSecrets` or `spec.pullSecrets`, or another mirror: [what it needs](mirror.md#what-it-needs). It is tried again by itself, at last every 10 minutes"},
	{v1alpha1.ReasonRolloutFailed, on(Stalled, Detail), "a workload missed its deadline with the current image; the message names the container, and its exit code or why it cannot be pulled", "the command in the message shows the rest. Push a mended image, or set the workload back: that is respected"},
	{v1alpha1.ReasonTagAbsent, on(Stalled, Reconciling, Detail), "the tag does not exist: a followed one was never pushed; or it vanished together with its image; or who pulls cannot see what who pushes can", "push it, annotate `imagelineage.dev/rebuild`, or mend `spec.pullSecrets`"},

	{v1alpha1.ReasonResolving, on(Reconciling, Detail), "the registry was asked and has not answered, or is asked again because its answer was a surprise", ""},
	{v1alpha1.ReasonRegistryUnreachable, on(Reconciling, Detail), "the registry does not answer, or not sensibly; the message names host and cause; or the operator's configuration does not allow it, and it is not asked. Nothing is rolled back because of it, and an image that is there stays Ready for a day", "mend the registry; it is asked again by itself, and left alone for as long as it wants. What is allowed is an administrator's to say, in [the configuration](configuration.md)"},
	{v1alpha1.ReasonUnauthorized, on(Reconciling, Detail), "the registry refuses the credentials for reading, or a Secret is missing", "`spec.pullSecrets` or `spec.serviceAccountName`; a renewed Secret is noticed by itself. [Credentials](credentials.md) has the cures"},
	{v1alpha1.ReasonParentNotReady, on(Reconciling), "a parent has no image yet", "look at the parent"},
	{v1alpha1.ReasonAncestorOutdated, on(Reconciling, Detail), "an ancestor is built first; `status.waitingFor` names it, and `status.goal` what has to come down from above. Nobody waits for one that needs a person or a window, nor for one on which nothing happens for `--settle-timeout`", "wait; if it takes long, look at who is named"},
	{v1alpha1.ReasonQueued, on(Reconciling), "as many runs are live as `--max-concurrent-builds` allows", "wait; or raise the limit"},
	{v1alpha1.ReasonRunNotCreated, on(Reconciling), "the cluster does not let the run be created now: a quota, a missing right, a webhook that does not answer; its message is shown", "mend that; it is tried again every minute"},
	{v1alpha1.ReasonBuilding, on(Reconciling), "a run is in flight. If Tekton does not begin it the message says so", "`kubectl get pipelineruns`; is Tekton's controller running?"},
	{v1alpha1.ReasonPublishing, on(Reconciling), "a run succeeded, and its image is being put under the tag", ""},
	{v1alpha1.ReasonMirroring, on(Reconciling), "a new digest is being copied into `spec.mirror`, and is current once it is there; or a registry does not answer, which is `RegistryUnreachable` from the third time on", "if it fails: mend the registry that the message names; it is tried again by itself"},
	{v1alpha1.ReasonRollingOut, on(Reconciling, Detail, Event), "workloads are on their way to the current image; the message names a container that crashes or cannot be pulled", ""},
	{v1alpha1.ReasonRolloutRefused, on(Reconciling, Detail), "the cluster does not let the image of a workload be changed: a policy, a missing right; its message is shown", "mend that; it is tried again every minute"},

	{v1alpha1.ReasonUpToDate, on(Ready, Detail, Event), "the image is what it should be, and so are the workloads. As an Event: a build for `build.rebuildEvery` made the layers that are current already, and nothing was published", ""},
	{v1alpha1.ReasonHeldSuspended, on(Ready), "`spec.suspend` is set; `UpToDate` and `RolledOut` still tell the truth. A run in flight ends, and its image is not published meanwhile", "remove it"},
	{v1alpha1.ReasonHeldByUser, on(Ready, Detail, Event), "a person put the tag, or a container, back to an older revision", "push again, move the workload, or annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonHeldSoaking, on(Ready, Reconciling), "a new digest is not old enough yet (`spec.poll.minAge`); the message says when it is taken. Reconciling only before the first image", "wait; or annotate `imagelineage.dev/approve: DIGEST` to take it at once"},
	{v1alpha1.ReasonHeldWindow, on(Ready, Reconciling), "a build is due, and none of `spec.build.windows` is open; the message says when the next one opens. Nobody waits for it. Reconciling only before the first image", "wait; or annotate `imagelineage.dev/rebuild: urgent:REASON` to build at once"},
	{v1alpha1.ReasonHeldApproval, on(Ready, Reconciling), "a build is due, and `spec.build.approval` wants a person to say so; the message says what would be built, and has the command. Nobody waits for it. Reconciling only before the first image", "run the command in the message. What the build is made of may change meanwhile; then it has another key"},
	{v1alpha1.ReasonHeldObserveOnly, on(Ready, Reconciling, Detail), "the operator runs with `--observe-only`: the message says what would be built, published, copied or moved, and nothing of it is done. Reconciling only before the first image", "nothing; or [take the flag off](preview.md#observe-only)"},
	{v1alpha1.ReasonBuiltFromUnknown, on(Ready, Detail), "it cannot be proven what the image was built on; nothing is built until a parent moves", "nothing; or build it once with `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonOutdatedUpstream, on(Ready), "a tracked image is behind its parents", "rebuild it where it is built"},
	{v1alpha1.ReasonNotRolledOut, on(Ready, Detail), "workloads run another image, and `rollout` does not ask to move them", "`rollout: {mode: Patch}`, or move them yourself"},
	{v1alpha1.ReasonWorkloadsUnknown, on(Ready, Detail), "workloads run an image that is no revision of the lineage, or that two lineages claim; `status.rollout.notes` names them. They are left alone: it may be a release that the registry has not told of", "check the tag; the next revision moves them"},
	{v1alpha1.ReasonRolloutPending, on(Ready, Detail), "workloads have the image in their template and are paused, `OnDelete`, partitioned or scaled to zero", "resume or scale them"},

	{v1alpha1.ReasonDigestGone, on(Detail, Event), "reason of ImageMissing: an image that is current, that a workload runs, or that a child is built from is gone from its registry, which said so twice; or its copy is gone from `spec.mirror`, and the source has it no more either. Pods that run go on; one that is scheduled anew cannot pull it", "push it again, or move what uses it before its node is drained; keep digests in the registry's clean-up rules"},

	{v1alpha1.ReasonResolved, on(Detail), "the registry told what the tag shows", ""},
	{v1alpha1.ReasonRolledOut, on(Detail), "every workload runs the current image and is healthy", ""},
	{v1alpha1.ReasonNoWorkloads, on(Detail), "nothing in the namespace runs the image", ""},
	{v1alpha1.ReasonNeverBuilt, on(Detail), "reason of a build: the tag does not exist yet", ""},
	{v1alpha1.ReasonParentChanged, on(Detail), "reason of a build: a parent is not the one that the image was built from", ""},
	{v1alpha1.ReasonTemplateChanged, on(Detail), "reason of a build: the template is not the one that built the image", ""},
	{v1alpha1.ReasonPatchSuperseded, on(Detail), "somebody pushed a release while the image was being built on a newer parent, and the release is built on the older one, as it says itself; the message names both", "push a release on the newer parent, or annotate `imagelineage.dev/rebuild`"},
	{v1alpha1.ReasonRequested, on(Detail), "reason of a build: a person asked for it. The request stands until its build has succeeded", ""},
	{v1alpha1.ReasonPeriodic, on(Detail), "reason of a build: the image is as old as `build.rebuildEvery` allows. It makes what a cache would keep anew; the same layers again are not published", ""},

	{v1alpha1.ReasonSettleTimeout, on(Detail), "second reason of a build: it began without waiting longer for ancestors that come first, since nothing had happened there for `--settle-timeout`; the Event `BuildStarted` names them. It is built once more when they are done", "look at who is named: a run that Tekton does not end, or a queue that does not move"},

	{v1alpha1.ReasonAdopted, on(Reconciling, Event), "a release that somebody else pushed was taken on", ""},
	{v1alpha1.ReasonFollowed, on(Reconciling, Event), "a followed tag moved", ""},
	{v1alpha1.ReasonBuildStarted, on(Event), "a run was created", ""},
	{v1alpha1.ReasonPublished, on(Reconciling, Event), "a built image was put under the tag", ""},
	{v1alpha1.ReasonSuperseded, on(Event), "a run's image was left aside: somebody else moved the tag meanwhile, or its inputs moved on while it could not be published", ""},
	{v1alpha1.ReasonRestored, on(Event), "the tag had vanished and was put back", "find out who deletes tags"},
}
