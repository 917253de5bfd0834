// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/tekton"
)

// execute does the plan's step. Every effect is idempotent: killed before its
// outcome is stored, it is decided and done again with the same result.
func (r *Reconciler) execute(ctx context.Context, s plan.Snapshot, p plan.Plan) (plan.Outcome, error) {
	if p.Check {
		refs := references(s)
		if s.Tags != nil {
			refs = append(refs, s.Reference) // the list of tags
		}
		r.Poller.Check(refs...)
	}
	for _, digest := range p.Recheck {
		r.Poller.Check(s.Reference.WithDigest(string(digest)))
	}
	owner, now := ownerOf(s.Lineage), r.Clock.Now()
	if _, creates := p.Step.(plan.Create); !creates {
		r.builds.leave(owner)
	}
	try := attemptOf(s, p.Step)
	if outcome, paused := r.memory.paused(owner, try, now); paused {
		return outcome, nil
	}
	outcome, err := r.do(ctx, s, p)
	return r.memory.pause(owner, try, outcome, now), err
}

// attemptOf is what a step asks others for; empty where it asks nobody. A person who
// edits the lineage, or asks for a check, has it tried at once.
func attemptOf(s plan.Snapshot, step plan.Step) attempt {
	var of string
	switch step := step.(type) {
	case plan.Create:
		of = step.Build.Name
	case plan.Publish:
		of = step.Run.Name
	case plan.Restore:
		of = string(step.Digest)
	default:
		return attempt{}
	}
	return attempt{of: of, generation: s.Lineage.Generation, check: plan.CheckToken(s.Lineage)}
}

// do does the step.
func (r *Reconciler) do(ctx context.Context, s plan.Snapshot, p plan.Plan) (plan.Outcome, error) {
	switch step := p.Step.(type) {
	case plan.Accept:
		if step.Mirror {
			return r.mirror(s, step.Revision), nil
		}
		return plan.Outcome{Done: true, At: s.Now}, nil
	case plan.Mirror:
		return r.mirror(s, step.Revision), nil
	case plan.Create:
		return r.create(ctx, s, step.Build)
	case plan.Publish:
		return r.asking(s, func() (plan.Outcome, error) { return r.publish(ctx, s, step) })
	case plan.Restore:
		return r.asking(s, func() (plan.Outcome, error) { return r.restore(ctx, s, step.Digest) })
	case plan.Prune:
		return r.prune(ctx, s, step)
	default:
		return plan.Outcome{Done: p.Step != nil, At: s.Now}, nil
	}
}

// templateProblem turns an error that only the template's author can mend into
// the problem to show; nil for every other error.
func templateProblem(err error) *plan.Problem {
	if user, ok := errors.AsType[*tekton.UserError](err); ok {
		return &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: user.Error()}
	}
	if refused, ok := errors.AsType[*tekton.RefusedError](err); ok {
		return &plan.Problem{
			Reason:  v1alpha1.ReasonTemplateRefused,
			Message: "spec.build.pipelineRun: Tekton refuses it: " + refused.Message,
		}
	}
	return nil
}

// publish confirms what a run pushed, and puts it under the tag unless somebody
// else moved the tag meanwhile.
func (r *Reconciler) publish(ctx context.Context, s plan.Snapshot, step plan.Publish) (plan.Outcome, error) {
	run := step.Run
	keychain, err := r.Registry.Credentials(ctx, pushCredentials(s.Lineage))
	if err != nil {
		return r.unpublished(s, err)
	}
	revisionTag, unparsable := reference.ParseTag(run.Output)
	if unparsable != nil {
		return refused("run %s: its annotation %s was changed", run.Name, v1alpha1.OutputAnnotation), nil
	}
	pushed, err := r.Registry.Confirm(ctx, revisionTag, keychain)
	switch {
	case registry.ClassOf(err) == registry.Absent && !step.Late:
		return waiting(v1alpha1.ReasonPublishing, outputAgain, "run %s succeeded, and the registry does not show its image at %s yet", run.Name, run.Output), nil
	case registry.ClassOf(err) == registry.Absent:
		return refused("run %s succeeded and pushed nothing to %s%s: its template has to push to $(lineage.output)", run.Name, run.Output, elsewhere(run)), nil
	case err != nil:
		return r.unpublished(s, fmt.Errorf("confirming the output of run %s: %w", run.Name, err))
	case run.Digest != "" && string(run.Digest) != pushed:
		return refused("run %s reported %s, and %s shows %s", run.Name, run.Digest, run.Output, pushed), nil
	}
	output, err := r.outputOf(ctx, s, step, pushed, keychain)
	if err != nil {
		return r.unpublished(s, fmt.Errorf("reading the output of run %s: %w", run.Name, err))
	}
	published, err := r.Registry.Publish(ctx, s.Reference, string(output.Digest), run.Expected, keychain)
	if err != nil {
		return r.unpublished(s, fmt.Errorf("publishing %s: %w", s.Reference.Name(), err))
	}
	outcome := plan.Outcome{
		Done: true, Output: output, At: r.Clock.Now(),
		Superseded: published.Outcome == registry.Superseded,
	}
	// Children, and other lineages of the same image, hear of it at once.
	r.Poller.Check(s.Reference)
	return outcome, nil
}

// outputOf is what a run made: the image that is under the tag already, where the run
// made its layers again, and else what it pushed.
func (r *Reconciler) outputOf(ctx context.Context, s plan.Snapshot, step plan.Publish, pushed string, keychain registry.Keychain) (plan.Output, error) {
	output := plan.Output{Digest: v1alpha1.Digest(pushed)}
	if step.UnlessSame != "" {
		same, err := r.sameContent(ctx, s, string(step.UnlessSame), pushed, keychain)
		if err != nil {
			return output, err
		}
		if same {
			output.Digest = step.UnlessSame
		}
	}
	var err error
	output.Identity, err = r.identify(ctx, s, string(output.Digest), keychain)
	return output, err
}

// sameContent is whether two images of the lineage have the same layers on all
// platforms. What was and is gone from the registry, or has no layers, is another one.
func (r *Reconciler) sameContent(ctx context.Context, s plan.Snapshot, was, pushed string, keychain registry.Keychain) (bool, error) {
	if was == pushed {
		return true, nil
	}
	detail := registry.Detail{Kind: v1alpha1.IdentityContent}
	var identities [2]v1alpha1.Identity
	for i, digest := range []string{was, pushed} {
		description, err := r.Registry.Describe(ctx, s.Reference, digest, detail, keychain)
		if digest == was && registry.ClassOf(err) == registry.Absent {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		identity, known := description.Identity(detail)
		if !known {
			return false, nil
		}
		identities[i] = identity
	}
	return identities[0] == identities[1], nil
}

// identify reads what counts as a change of an image, where that is something else
// than its digest. It is known before the image is current: children would be built
// for nothing otherwise.
func (r *Reconciler) identify(ctx context.Context, s plan.Snapshot, digest string, keychain registry.Keychain) (v1alpha1.Identity, error) {
	if plan.ChangeOn(s.Lineage) == v1alpha1.IdentityIndex {
		return v1alpha1.Identity{}, nil
	}
	detail := detailOf(s.Lineage)
	description, err := r.Registry.Describe(ctx, s.Reference, digest, detail, keychain)
	identity, _ := description.Identity(detail)
	return identity, err
}

// elsewhere says where a run tells that it pushed to, where that is not where it
// should have.
func elsewhere(run plan.Run) string {
	told, err := reference.Parse(run.URL)
	if err != nil || told.Name() == run.Output {
		return ""
	}
	return ", but says that it pushed to " + told.Name()
}

// restore puts the current digest back under a tag that has vanished.
func (r *Reconciler) restore(ctx context.Context, s plan.Snapshot, digest v1alpha1.Digest) (plan.Outcome, error) {
	keychain, err := r.Registry.Credentials(ctx, pushCredentials(s.Lineage))
	if err != nil {
		return r.unpublished(s, err)
	}
	published, err := r.Registry.Publish(ctx, s.Reference, string(digest), v1alpha1.ExpectedAbsent, keychain)
	switch {
	case registry.ClassOf(err) == registry.Absent:
		return plan.Outcome{Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonTagAbsent,
			Message: fmt.Sprintf("%s and the image that it showed, %s, are gone from the registry: push it again, or set the annotation %s to build it", s.Reference.Name(), digest, v1alpha1.RebuildAnnotation),
		}}, nil
	case err != nil:
		return r.unpublished(s, fmt.Errorf("putting %s back: %w", s.Reference.Name(), err))
	case published.Outcome != registry.Moved:
		// Asking again would give the same two answers, without end.
		return plan.Outcome{Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonTagAbsent,
			Message: s.Reference.Name() + " is there for who pushes, and hidden from who pulls: spec.pullSecrets has to name a Secret that may read it",
		}}, nil
	}
	r.Poller.Check(s.Reference)
	return plan.Outcome{Done: true, Output: plan.Output{Digest: digest}, At: r.Clock.Now()}, nil
}

const (
	// outputAgain is when a registry is asked again for what a run has pushed.
	outputAgain = 15 * time.Second
	// registryAgain is when a registry is asked again that does not answer, unless it
	// wants to be left alone for longer.
	registryAgain = 30 * time.Second
	// forbiddenAgain is when what was refused is tried again: a Secret may have been
	// renewed, and a right given.
	forbiddenAgain = time.Minute
	// clusterAgain is when a run is created again that the cluster did not let in.
	clusterAgain = time.Minute
)

// waiting is the outcome of a step that could not be done now, and is tried again.
func waiting(reason string, again time.Duration, format string, args ...any) plan.Outcome {
	return plan.Outcome{Again: again, Waiting: plan.Busy{Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

// asking asks a registry, unless it gave nobody an answer a moment ago.
func (r *Reconciler) asking(s plan.Snapshot, ask func() (plan.Outcome, error)) (plan.Outcome, error) {
	allowed, why, again := r.memory.askHost(s.Reference.Host(), r.Clock.Now())
	if !allowed {
		return waiting(v1alpha1.ReasonRegistryUnreachable, again, "%s: it is tried again", why), nil
	}
	outcome, err := ask()
	if outcome.Done {
		r.memory.hostSilent(s.Reference.Host(), "", r.Clock.Now())
	}
	return outcome, err
}

// unpublished is the outcome of a question to the registry that was not answered
// with yes. It is asked again; where the registry or the Secret refuses, a person
// is told. What is no word of the registry is returned as it is.
func (r *Reconciler) unpublished(s plan.Snapshot, err error) (plan.Outcome, error) {
	silence := registry.Silence(err)
	if host := registry.HostOf(err); host != "" {
		r.memory.hostSilent(host, silence, r.Clock.Now())
	}
	switch registry.ClassOf(err) {
	case "":
		return plan.Outcome{}, err
	case registry.Unauthorized, registry.Forbidden:
		r.Registry.ForgetCredentials(pushCredentials(s.Lineage))
		return plan.Outcome{Again: forbiddenAgain, Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonPublishForbidden,
			Message: fmt.Sprintf("%v: name a Secret that may push to %s in spec.build.pushSecrets", err, s.Reference.Repository),
		}}, nil
	default:
		why := cmp.Or(silence, err.Error())
		return waiting(v1alpha1.ReasonRegistryUnreachable, max(registryAgain, registry.RetryAfter(err)), "%s: it is tried again", why), nil
	}
}

func refused(format string, args ...any) plan.Outcome {
	return plan.Outcome{Done: true, Refused: true, Problem: &plan.Problem{
		Reason: v1alpha1.ReasonOutputRefused, Message: fmt.Sprintf(format, args...),
	}}
}

// pullCredentials are what the lineage's image and its implicit parents are read with.
func pullCredentials(l *v1alpha1.ImageLineage) registry.CredentialSource {
	return registry.CredentialSource{
		Namespace: l.Namespace, Secrets: secretNames(l.Spec.PullSecrets), ServiceAccount: string(l.Spec.ServiceAccountName),
	}
}

// pushCredentials are what is published with: by default what is read with.
func pushCredentials(l *v1alpha1.ImageLineage) registry.CredentialSource {
	if l.Spec.Build != nil && len(l.Spec.Build.PushSecrets) > 0 {
		return registry.CredentialSource{Namespace: l.Namespace, Secrets: secretNames(l.Spec.Build.PushSecrets)}
	}
	return pullCredentials(l)
}

func secretNames(refs []v1alpha1.SecretReference) []string {
	names := make([]string, 0, len(refs))
	for _, ref := range refs {
		names = append(names, string(ref.Name))
	}
	return names
}

// references are the lineage's own tag, once there is one, and those of its implicit
// parents.
func references(s plan.Snapshot) []reference.Reference {
	var refs []reference.Reference
	if s.Watched().Tag != "" {
		refs = append(refs, s.Watched())
	}
	for i, p := range s.Parents {
		if s.Lineage.Spec.From[i].LineageRef == nil && !p.Reference.IsZero() {
			refs = append(refs, p.Reference)
		}
	}
	return refs
}

func ownerOf(l *v1alpha1.ImageLineage) types.NamespacedName {
	return types.NamespacedName{Namespace: l.Namespace, Name: l.Name}
}
