// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
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
		return plan.Outcome{Problem: &plan.Problem{
			Reason:  v1alpha1.ReasonInvalidSpec,
			Message: "spec.mirror.image: it is no repository; write one such as registry.example.com/mirror/debian",
		}}
	}
	from := s.Watched()
	if revision.Tag != "" {
		from = s.Reference.WithTag(revision.Tag)
	}
	state := r.Copies.Ensure(ownerOf(l), registry.CopyRequest{
		From: from, Digest: string(revision.Digest), To: to, Read: pullCredentials(l), Write: mirrorCredentials(l),
	})
	short := reference.ShortDigest(string(revision.Digest))
	switch {
	case !state.Copy.IsZero():
		return plan.Outcome{Done: true, Copy: state.Copy.String(), At: r.Clock.Now()}
	case state.Failure != nil:
		again := max(state.Failure.Next.Sub(r.Clock.Now()), time.Second)
		return waiting(v1alpha1.ReasonMirroring, again, "%s cannot be copied to %s: %v: it is tried again", short, to.Repository, state.Failure.Err)
	default:
		// The copier wakes the lineage.
		return waiting(v1alpha1.ReasonMirroring, 0, "%s is being copied to %s", short, to.Repository)
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
