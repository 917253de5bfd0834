// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"context"
	"errors"
	"fmt"

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
		r.Poller.Check(references(s)...)
	}
	switch step := p.Step.(type) {
	case plan.Create:
		return r.create(ctx, s, step.Build)
	case plan.Publish:
		return r.publish(ctx, s, step.Run)
	case plan.Restore:
		return r.restore(ctx, s, step.Digest)
	default:
		return plan.Outcome{Done: p.Step != nil, At: s.Now}, nil
	}
}

// create starts a run. Where it exists already, a pass before this one made it
// and could not say so.
func (r *Reconciler) create(ctx context.Context, s plan.Snapshot, b plan.Build) (plan.Outcome, error) {
	run, err := tekton.Render(s.Lineage, s.Reference, b)
	if err == nil {
		err = r.Runs.Create(ctx, run)
	}
	if problem := templateProblem(err); problem != nil {
		return plan.Outcome{Problem: problem}, nil
	}
	if err != nil {
		return plan.Outcome{}, fmt.Errorf("creating run %s: %w", b.Name, err)
	}
	return plan.Outcome{Done: true, At: r.Clock.Now()}, nil
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
func (r *Reconciler) publish(ctx context.Context, s plan.Snapshot, run plan.Run) (plan.Outcome, error) {
	keychain, err := r.Registry.Credentials(ctx, s.Lineage.Namespace, pushSecrets(s.Lineage))
	if err != nil {
		return unpublished(s, err)
	}
	output, unparsable := reference.ParseTag(run.Output)
	if unparsable != nil {
		return refused("run %s: its annotation %s was changed", run.Name, v1alpha1.OutputAnnotation), nil
	}
	pushed, err := r.Registry.Head(ctx, output, keychain)
	switch {
	case registry.ClassOf(err) == registry.Absent:
		return refused("run %s succeeded and pushed nothing to %s: its template has to push to $(lineage.output)", run.Name, run.Output), nil
	case err != nil:
		return unpublished(s, fmt.Errorf("confirming the output of run %s: %w", run.Name, err))
	case run.Digest != "" && string(run.Digest) != pushed:
		return refused("run %s reported %s, and %s shows %s", run.Name, run.Digest, run.Output, pushed), nil
	}
	published, err := r.Registry.Publish(ctx, s.Reference, pushed, run.Expected, keychain)
	if err != nil {
		return unpublished(s, fmt.Errorf("publishing %s: %w", s.Reference.Name(), err))
	}
	outcome := plan.Outcome{
		Done: true, Digest: v1alpha1.Digest(pushed), At: r.Clock.Now(),
		Superseded: published.Outcome == registry.Superseded,
	}
	// Children, and other lineages of the same image, hear of it at once.
	r.Poller.Check(s.Reference)
	return outcome, nil
}

// restore puts the current digest back under a tag that has vanished.
func (r *Reconciler) restore(ctx context.Context, s plan.Snapshot, digest v1alpha1.Digest) (plan.Outcome, error) {
	keychain, err := r.Registry.Credentials(ctx, s.Lineage.Namespace, pushSecrets(s.Lineage))
	if err != nil {
		return unpublished(s, err)
	}
	published, err := r.Registry.Publish(ctx, s.Reference, string(digest), v1alpha1.ExpectedAbsent, keychain)
	switch {
	case registry.ClassOf(err) == registry.Absent:
		return plan.Outcome{Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonTagAbsent,
			Message: fmt.Sprintf("%s and the image that it showed, %s, are gone from the registry: push it again, or set the annotation %s to build it", s.Reference.Name(), digest, v1alpha1.RebuildAnnotation),
		}}, nil
	case err != nil:
		return unpublished(s, fmt.Errorf("putting %s back: %w", s.Reference.Name(), err))
	case published.Outcome != registry.Moved:
		// Asking again would give the same two answers, without end.
		return plan.Outcome{Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonTagAbsent,
			Message: s.Reference.Name() + " is there for who pushes, and hidden from who pulls: spec.pullSecrets has to name a Secret that may read it",
		}}, nil
	}
	r.Poller.Check(s.Reference)
	return plan.Outcome{Done: true, Digest: digest, At: r.Clock.Now()}, nil
}

// unpublished is the outcome of a publish that did not happen. It is tried again;
// where the registry or the Secret refuses, a person is told.
func unpublished(s plan.Snapshot, err error) (plan.Outcome, error) {
	if class := registry.ClassOf(err); class != registry.Unauthorized && class != registry.Forbidden {
		return plan.Outcome{}, err
	}
	return plan.Outcome{Problem: &plan.Problem{
		Reason:  v1alpha1.ReasonPublishForbidden,
		Message: fmt.Sprintf("%v: name a Secret that may push to %s in spec.build.pushSecrets", err, s.Reference.Repository),
	}}, err
}

func refused(format string, args ...any) plan.Outcome {
	return plan.Outcome{Done: true, Refused: true, Problem: &plan.Problem{
		Reason: v1alpha1.ReasonOutputRefused, Message: fmt.Sprintf(format, args...),
	}}
}

// pushSecrets are the Secrets to publish with: by default those to pull with.
func pushSecrets(l *v1alpha1.ImageLineage) []string {
	if l.Spec.Build != nil && len(l.Spec.Build.PushSecrets) > 0 {
		return secretNames(l.Spec.Build.PushSecrets)
	}
	return secretNames(l.Spec.PullSecrets)
}

func secretNames(refs []v1alpha1.SecretReference) []string {
	names := make([]string, 0, len(refs))
	for _, ref := range refs {
		names = append(names, string(ref.Name))
	}
	return names
}

// references are the lineage's own tag and those of its implicit parents.
func references(s plan.Snapshot) []reference.Reference {
	refs := []reference.Reference{s.Reference}
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
