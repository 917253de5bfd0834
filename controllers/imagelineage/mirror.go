// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"fmt"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
)

// mirror has an image copied into spec.mirror. Copying takes its time, and is done in
// the background: who waits for it is woken.
func (r *Reconciler) mirror(s plan.Snapshot, revision v1alpha1.Revision) plan.Outcome {
	l, to := s.Lineage, plan.MirrorOf(s.Lineage)
	if to.IsZero() {
		return plan.Outcome{} // the plan says what is wrong with it
	}
	from := s.Watched()
	if revision.Tag != "" {
		from = s.Reference.WithTag(revision.Tag)
	}
	state := r.Copies.Ensure(ownerOf(l), copyRequest(l, from, revision.Digest))
	switch {
	case !state.Copy.IsZero():
		return plan.Outcome{Done: true, Copy: state.Copy.String(), At: r.Clock.Now()}
	case state.Failure != nil:
		return uncopied(state, revision, to, r.Clock.Now())
	default:
		// The copier wakes the lineage.
		return waiting(v1alpha1.ReasonMirroring, 0, "%s is being copied to %s", reference.ShortDigest(string(revision.Digest)), to.Repository)
	}
}

// gatherCopy has the copy of the current image looked after: the copier looks for it once
// an hour, and makes it again where somebody has deleted it.
func (r *Reconciler) gatherCopy(s *plan.Snapshot) {
	l := s.Lineage
	current := l.Status.Current
	if current == nil || plan.CopyOf(l, current.Revision) == "" {
		return
	}
	copied, err := reference.Parse(current.Mirror)
	if err != nil {
		return
	}
	if r.ObserveOnly {
		s.CopyUnknown = true // the copier would make a copy again that is gone
		return
	}
	// It was found under this tag, whatever is watched by now.
	from := s.Reference.WithTag(registry.FoundTag(copied.Tag, string(current.Digest)))
	state := r.Copies.Ensure(ownerOf(l), copyRequest(l, from, current.Digest))
	failed := state.Failure
	s.CopyUnknown = state.Copy.IsZero() && failed == nil
	if failed != nil && failed.Err.Class == registry.Absent {
		s.CopyAbsent = failed.Count
	}
}

// copyRequest asks for a copy in a lineage's mirror.
func copyRequest(l *v1alpha1.ImageLineage, from reference.Reference, digest v1alpha1.Digest) registry.CopyRequest {
	return registry.CopyRequest{
		From: from, Digest: string(digest), To: plan.MirrorOf(l), Read: pullCredentials(l), Write: mirrorCredentials(l),
	}
}

// lastingFailures is how many copies in a row fail before it is told as trouble of a
// registry, rather than as something that goes on.
const lastingFailures = 3

// uncopied is the outcome of a copy that has failed. It is tried again, and stays that
// outcome meanwhile; where a registry refuses, a person is told.
func uncopied(state registry.CopyState, revision v1alpha1.Revision, to reference.Reference, now time.Time) plan.Outcome {
	failed := state.Failure
	message := fmt.Sprintf("%s cannot be copied to %s: %v", reference.ShortDigest(string(revision.Digest)), to.Repository, failed.Err)
	var again time.Duration
	if !state.UnderWay { // else the copier wakes the lineage
		again = max(failed.Next.Sub(now), time.Second)
	}
	refused := func(cure string) plan.Outcome {
		return plan.Outcome{Again: again, Problem: &plan.Problem{Reason: v1alpha1.ReasonMirrorRefused, Message: message + cure}}
	}
	switch class := failed.Err.Class; {
	case class == registry.Invalid:
		return refused("")
	case class != registry.Unauthorized && class != registry.Forbidden:
		reason := v1alpha1.ReasonMirroring
		if failed.Count >= lastingFailures {
			reason = v1alpha1.ReasonRegistryUnreachable
		}
		return waiting(reason, again, "%s: it is tried again", message)
	case failed.Err.Host == to.Host():
		return refused(": spec.mirror.pushSecrets has to name a Secret that may pull there and push")
	default:
		return refused(": spec.pullSecrets has to name a Secret that may pull it")
	}
}

// mirrorCredentials are what is written to the mirror with: by default what is read
// with.
func mirrorCredentials(l *v1alpha1.ImageLineage) registry.CredentialSource {
	if len(l.Spec.Mirror.PushSecrets) > 0 {
		return registry.CredentialSource{Namespace: l.Namespace, Secrets: secretNames(l.Spec.Mirror.PushSecrets)}
	}
	return pullCredentials(l)
}
