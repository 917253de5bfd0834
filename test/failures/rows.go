// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package failures

import "github.com/imagelineage/imagelineage/api/v1alpha1"

// Level is where a failure is made to happen.
type Level string

// The levels.
const (
	// Integration is the operator on a real API server, with a registry that fails on
	// demand and stand-ins for Tekton and the kubelet.
	Integration Level = "integration"
	// Cluster is a real Kubernetes with a real Tekton, registry and kubelet.
	Cluster Level = "cluster"
)

// Row is one failure: what a person sees of it, and how it ends.
type Row struct {
	// Name says what goes wrong.
	Name string
	// Level is where it is made to happen.
	Level Level
	// Reason is the reason of Ready while it lasts; empty where it does not show.
	Reason string
	// Says are words of the message: the field or the cause, and the cure.
	Says []string
	// Event is the reason of the Event that tells of it; empty where there is none,
	// because nobody has to know.
	Event string
	// After is the reason of Ready when the cause is gone.
	After string
}

// Group is failures of one kind.
type Group struct {
	Name string
	Rows []Row
}

// Groups are all failures on the main path.
var Groups = []Group{
	{"Spec", []Row{
		{"an unknown variable", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.build.pipelineRun.spec.params[0].value", "$(lineage.nonsense)", "known are"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"a PipelineRun that a policy refuses", Integration, v1alpha1.ReasonTemplateRefused, []string{"spec.build.pipelineRun", "no forbidden pipelines"}, v1alpha1.ReasonTemplateRefused, v1alpha1.ReasonUpToDate},
		{"a PipelineRun that Tekton refuses", Cluster, v1alpha1.ReasonTemplateRefused, []string{"spec.build.pipelineRun", "Tekton refuses it"}, v1alpha1.ReasonTemplateRefused, v1alpha1.ReasonUpToDate},
		{"a parent that does not exist, and appears later", Integration, v1alpha1.ReasonParentNotFound, []string{"spec.from[p0]", "create it, or correct lineageRef"}, v1alpha1.ReasonParentNotFound, v1alpha1.ReasonUpToDate},
		{"a parent that does not allow this child", Integration, v1alpha1.ReasonParentNotAllowed, []string{"spec.from[p0]", "spec.allowedChildren"}, v1alpha1.ReasonParentNotAllowed, v1alpha1.ReasonUpToDate},
		{"a parent that stops allowing it while a run is in flight", Integration, v1alpha1.ReasonParentNotAllowed, []string{"spec.from[p0]", "spec.allowedChildren"}, v1alpha1.ReasonParentNotAllowed, v1alpha1.ReasonUpToDate},
		{"a cycle through an image parent", Integration, v1alpha1.ReasonCycle, []string{"/left → ", "spec.from"}, v1alpha1.ReasonCycle, v1alpha1.ReasonUpToDate},
		{"a cycle through a followed lineage that stands for a produced reference", Integration, v1alpha1.ReasonCycle, []string{"/alias", "spec.from"}, v1alpha1.ReasonCycle, v1alpha1.ReasonUpToDate},
		{"an unparsable image", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.image"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"an unparsable image of a parent", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.from[p0]"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"a range of versions that is none", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.tags.semver", "write one such as"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"a pattern that is none", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.tags.pattern"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"a build window with a schedule that is none", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.build.windows[0].schedule", "write five fields"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"a build window in a time zone of nowhere", Integration, v1alpha1.ReasonInvalidSpec, []string{"spec.build.windows[0].timeZone", "Europe/Berlin"}, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonUpToDate},
		{"two lineages that produce one reference", Integration, v1alpha1.ReasonReferenceTaken, []string{"spec.image", "/first", "remove spec.build"}, v1alpha1.ReasonReferenceTaken, v1alpha1.ReasonUpToDate},
		{"two lineages in one pod: both work", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"two tags of one repository in one namespace: neither touches the other's pods", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"a lineage that is deleted during its run", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"a parent that is deleted during a run", Integration, v1alpha1.ReasonParentNotFound, []string{"spec.from[p0]", "create it"}, v1alpha1.ReasonParentNotFound, v1alpha1.ReasonUpToDate},
		{"a namespace that is deleted during a run", Cluster, "", nil, "", ""},
		{"a thousand lineages at once", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
	}},
	{"Registry", []Row{
		{"404: the tag does not exist", Integration, v1alpha1.ReasonTagAbsent, []string{"app:1 does not exist", "push it"}, v1alpha1.ReasonTagAbsent, v1alpha1.ReasonUpToDate},
		{"404 in words that are no registry's: hidden from us", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"404", "not in the words of a registry"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"401", Integration, v1alpha1.ReasonUnauthorized, []string{"401", "spec.pullSecrets"}, v1alpha1.ReasonUnauthorized, v1alpha1.ReasonUpToDate},
		{"403", Integration, v1alpha1.ReasonUnauthorized, []string{"403", "spec.pullSecrets"}, v1alpha1.ReasonUnauthorized, v1alpha1.ReasonUpToDate},
		{"a pull Secret that is missing", Integration, v1alpha1.ReasonUnauthorized, []string{"/registry: it does not exist", "spec.pullSecrets"}, v1alpha1.ReasonUnauthorized, v1alpha1.ReasonUpToDate},
		{"429, with the wish to be left alone", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"429"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"500", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"500"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"no answer at all", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"no answer in time"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"a connection that breaks in the middle of an answer", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"the connection broke off"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"a web page with status 200", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"web page"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"no digest header: it works all the same", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"no right to push: said before the first run", Integration, v1alpha1.ReasonPublishForbidden, []string{"403", "spec.build.pushSecrets"}, v1alpha1.ReasonPublishForbidden, v1alpha1.ReasonUpToDate},
		{"a tag that vanishes is put back", Integration, "", nil, v1alpha1.ReasonRestored, v1alpha1.ReasonUpToDate},
		{"none of a repository's tags counts", Integration, v1alpha1.ReasonTagAbsent, []string{"none of the 1 tags", "correct spec.tags"}, v1alpha1.ReasonTagAbsent, v1alpha1.ReasonUpToDate},
		{"a tag that a policy has chosen drops out of the list: no lower one is taken", Integration, "", nil, v1alpha1.ReasonTagAbsent, v1alpha1.ReasonUpToDate},
		{"a mirror that is down: the image before stays current", Integration, v1alpha1.ReasonMirroring, []string{"cannot be copied to", "503", "it is tried again"}, "", v1alpha1.ReasonUpToDate},
		{"a mirror that lets nobody push: a person has to act", Integration, v1alpha1.ReasonMirrorRefused, []string{"cannot be copied to", "403", "spec.mirror.pushSecrets"}, v1alpha1.ReasonMirrorRefused, v1alpha1.ReasonUpToDate},
		{"an image that a person went back to is deleted", Integration, v1alpha1.ReasonHeldByUser, []string{"deployment/app", "set back"}, v1alpha1.ReasonDigestGone, v1alpha1.ReasonHeldByUser},
		{"the current image of a suspended lineage is deleted", Integration, v1alpha1.ReasonHeldSuspended, []string{"spec.suspend"}, v1alpha1.ReasonDigestGone, v1alpha1.ReasonHeldSuspended},
		{"a registry that is down for the whole of a publish", Integration, v1alpha1.ReasonRegistryUnreachable, []string{"503", "it is tried again"}, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonUpToDate},
		{"a registry that is down for the whole of a rollout: nothing goes back", Integration, v1alpha1.ReasonRollingOut, []string{"deployment/app", "the image of container app cannot be pulled"}, v1alpha1.ReasonRollingOut, v1alpha1.ReasonUpToDate},
	}},
	{"Runs", []Row{
		{"a run that fails is tried again", Integration, v1alpha1.ReasonBuildFailed, []string{"task build, step push: exit code 3", "kubectl logs", "-c step-push", "attempt 2 of 4"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a run that fails for good needs a person", Integration, v1alpha1.ReasonBuildFailed, []string{"4 times in a row", "imagelineage.dev/rebuild"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a step that fails in a real pod", Cluster, v1alpha1.ReasonBuildFailed, []string{"task build, step build: exit code 7", "kubectl logs", "attempt 2 of"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a run that times out", Integration, v1alpha1.ReasonBuildFailed, []string{"PipelineRunTimeout", "attempt 2 of 4"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a run that times out in a real pod", Cluster, v1alpha1.ReasonBuildFailed, []string{"PipelineRunTimeout", "stopped because the run timed out", "kubectl describe", "attempt 2 of"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a run that Tekton cannot carry out is not tried again", Integration, v1alpha1.ReasonBuildInvalid, []string{"CouldntGetTask", "kubectl describe", "imagelineage.dev/rebuild"}, v1alpha1.ReasonBuildInvalid, v1alpha1.ReasonUpToDate},
		{"a run that a person cancels stays cancelled", Integration, v1alpha1.ReasonBuildCancelled, []string{"Cancelled", "imagelineage.dev/rebuild"}, v1alpha1.ReasonBuildCancelled, v1alpha1.ReasonUpToDate},
		{"a run that a person deletes is made again", Integration, v1alpha1.ReasonBuilding, nil, v1alpha1.ReasonRunLost, v1alpha1.ReasonUpToDate},
		{"runs that are deleted again and again need a person", Integration, v1alpha1.ReasonRunLost, []string{"disappeared", "4 times in a row", "imagelineage.dev/rebuild"}, v1alpha1.ReasonRunLost, v1alpha1.ReasonUpToDate},
		{"a run that is deleted before it was recorded is made again", Integration, v1alpha1.ReasonBuilding, nil, "", v1alpha1.ReasonUpToDate},
		{"a run that is edited is not used", Integration, v1alpha1.ReasonBuilding, []string{"annotations of run", "were edited"}, "", v1alpha1.ReasonUpToDate},
		{"a run that pushes and then fails: its image is never used", Integration, v1alpha1.ReasonBuildFailed, []string{"exit code 3"}, v1alpha1.ReasonBuildFailed, v1alpha1.ReasonUpToDate},
		{"a run that reports a digest which the registry does not have", Integration, v1alpha1.ReasonOutputRefused, []string{"reported sha256:0000", "attempt 2 of 4"}, v1alpha1.ReasonOutputRefused, v1alpha1.ReasonUpToDate},
		{"a run that reports no digest: the registry's word counts", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"a run that pushes nothing", Integration, v1alpha1.ReasonOutputRefused, []string{"pushed nothing to", "$(lineage.output)"}, v1alpha1.ReasonOutputRefused, v1alpha1.ReasonUpToDate},
		{"a run that pushes elsewhere than asked", Integration, v1alpha1.ReasonOutputRefused, []string{"says that it pushed to", "$(lineage.output)"}, v1alpha1.ReasonOutputRefused, v1alpha1.ReasonUpToDate},
		{"a run that succeeds after its lineage was suspended", Integration, v1alpha1.ReasonHeldSuspended, []string{"spec.suspend"}, "", v1alpha1.ReasonUpToDate},
		{"Tekton's controller is down for the whole cascade", Integration, v1alpha1.ReasonBuilding, []string{"Tekton has not begun it"}, "", v1alpha1.ReasonUpToDate},
		{"Tekton's real controller is down, and comes back", Cluster, v1alpha1.ReasonBuilding, nil, "", v1alpha1.ReasonUpToDate},
		{"a quota that lets no run in", Integration, v1alpha1.ReasonRunNotCreated, []string{"exceeded quota"}, v1alpha1.ReasonRunNotCreated, v1alpha1.ReasonUpToDate},
		{"Tekton is not installed, and comes later", Integration, v1alpha1.ReasonTektonMissing, []string{"spec.build", "install Tekton"}, v1alpha1.ReasonTektonMissing, v1alpha1.ReasonUpToDate},
		{"Tekton's CRDs are removed while a run is in flight", Integration, v1alpha1.ReasonTektonMissing, []string{"spec.build", "install Tekton"}, v1alpha1.ReasonTektonMissing, v1alpha1.ReasonUpToDate},
	}},
	{"Tag", []Row{
		{"a release that is pushed during our run wins", Integration, v1alpha1.ReasonBuiltFromUnknown, nil, v1alpha1.ReasonSuperseded, v1alpha1.ReasonBuiltFromUnknown},
		{"two releases that are pushed during our run: the newer wins", Integration, v1alpha1.ReasonBuiltFromUnknown, nil, v1alpha1.ReasonSuperseded, v1alpha1.ReasonBuiltFromUnknown},
		{"a release that lands between our read and our write is overwritten, and kept under its digest", Integration, "", nil, v1alpha1.ReasonPublished, v1alpha1.ReasonUpToDate},
		{"a tag that a person puts back to an older revision stays there", Integration, v1alpha1.ReasonHeldByUser, []string{"from revision 2", "imagelineage.dev/rebuild"}, v1alpha1.ReasonHeldByUser, v1alpha1.ReasonHeldByUser},
		{"a base that moves there, back, and there again", Integration, "", nil, v1alpha1.ReasonPublished, v1alpha1.ReasonUpToDate},
	}},
	{"Workloads", []Row{
		{"a workload that is deleted in the middle of its rollout", Integration, v1alpha1.ReasonRollingOut, []string{"deployment/app"}, "", v1alpha1.ReasonUpToDate},
		{"a workload that is scaled to zero", Integration, v1alpha1.ReasonRolloutPending, []string{"deployment/app", "scaled to zero"}, "", v1alpha1.ReasonUpToDate},
		{"a workload that is renamed", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"a workload that somebody else edits in the middle of its rollout", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"a workload that a policy does not let us change", Integration, v1alpha1.ReasonRolloutRefused, []string{"deployment/app", "no images by digest", "it is tried again"}, v1alpha1.ReasonRolloutRefused, v1alpha1.ReasonUpToDate},
		{"an image that crash-loops", Integration, v1alpha1.ReasonRolloutFailed, []string{"deployment/app", "exceeded its progress deadline", "container app exits with code 1", "kubectl describe"}, v1alpha1.ReasonRolloutFailed, v1alpha1.ReasonUpToDate},
		{"an image that crash-loops in a real pod", Cluster, v1alpha1.ReasonRolloutFailed, []string{"exceeded its progress deadline", "exits with code 5", "kubectl describe"}, v1alpha1.ReasonRolloutFailed, v1alpha1.ReasonUpToDate},
		{"an image that cannot be pulled", Integration, v1alpha1.ReasonRollingOut, []string{"deployment/app", "the image of container app cannot be pulled"}, v1alpha1.ReasonRollingOut, v1alpha1.ReasonUpToDate},
		{"an image that a real kubelet cannot pull", Cluster, v1alpha1.ReasonRollingOut, []string{"cannot be pulled"}, v1alpha1.ReasonRollingOut, v1alpha1.ReasonUpToDate},
	}},
	{"Operator", []Row{
		{"the API server is restarted in the middle of a cascade", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"every watch is dropped in the middle of a cascade", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"leadership is handed over in the middle of a cascade", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"two operators work at once", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"the clock is moved back, and forward again", Integration, "", nil, "", v1alpha1.ReasonUpToDate},
		{"the operator hits its memory limit in the middle of a cascade", Cluster, "", nil, "", v1alpha1.ReasonUpToDate},
	}},
	{"Budgets", []Row{
		{"more builds are due than may run at once", Integration, v1alpha1.ReasonQueued, []string{"--max-concurrent-builds"}, "", v1alpha1.ReasonUpToDate},
	}},
}

// Story is a test that tells of many failures at once, or has no lineage that could say
// anything.
type Story struct {
	// Name says what goes wrong.
	Name string
	// Dir and Test are where it is told.
	Dir, Test string
}

// Stories are the failures that are no row of the table.
var Stories = []Story{
	{"the operator is killed right after every single effect of a cascade", "test/integration", "TestKilledAfterEveryEffect"},
	{"caches lag, answers come late, people push, retag, edit and delete, and operators are killed and handed over, in any order", "controllers/imagelineage", "TestWhateverTheOrder"},
	{"the operator's real Pod is killed in the middle of a cascade", "test/e2e", "TestStoryOperatorKilled"},
	{"the operator itself is broken on purpose: the tests have to notice", "test/variants", "TestBrokenVariantsAreCaught"},
}

// Of lists the rows of a level.
func Of(level Level) []Row {
	var rows []Row
	for _, group := range Groups {
		for _, row := range group.Rows {
			if row.Level == level {
				rows = append(rows, row)
			}
		}
	}
	return rows
}
