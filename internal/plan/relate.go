// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// ParentKey is the lineage that a reference names from a child's namespace.
func ParentKey(childNamespace string, ref v1alpha1.LineageReference) lineage.Key {
	key := lineage.Key{Namespace: string(ref.Namespace), Name: string(ref.Name)}
	if key.Namespace == "" {
		key.Namespace = childNamespace
	}
	return key
}

// NodeOf is what a lineage says of its place. A parent that cannot be used stands for
// nobody: the lineage itself tells of it.
func NodeOf(l *v1alpha1.ImageLineage) lineage.Node {
	n := lineage.Node{}
	if ref, err := ReferenceOf(l); err == nil {
		n.Reference = ref.Name()
	}
	for _, from := range l.Spec.From {
		parent := lineage.Parent{}
		if from.LineageRef != nil {
			parent.Lineage = ParentKey(l.Namespace, *from.LineageRef)
		} else if ref, err := reference.ParseTag(string(from.Image)); err == nil {
			parent.Image = ref.Name()
		}
		n.From = append(n.From, parent)
	}
	if Produced(l) && l.DeletionTimestamp.IsZero() {
		n.Claim = &lineage.Claim{
			Built: HasBuilt(l), Current: l.Status.Current != nil,
			Created: l.CreationTimestamp.Unix(), UID: l.UID,
		}
	}
	return n
}

// ParentOf is an entry of spec.from with all that it says itself. ImplicitParent completes
// one that names an image, unless it has a Problem, and DeclaredParent the others.
func ParentOf(from v1alpha1.Parent) Parent {
	parent := Parent{Name: from.Name, Use: from.As}
	if parent.Use == "" {
		parent.Use = v1alpha1.ParentBase
	}
	if from.LineageRef != nil {
		return parent
	}
	var err error
	if parent.Reference, err = reference.ParseTag(string(from.Image)); err != nil {
		parent.Problem = &Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	}
	return parent
}

// OnCycle is the problem of a lineage that is its own ancestor, by the way of
// lineage.Graph.Cycle.
func OnCycle(way []lineage.Key) *Problem {
	names := make([]string, 0, len(way))
	for _, key := range slices.Backward(way) {
		names = append(names, key.String())
	}
	return &Problem{
		Reason:  v1alpha1.ReasonCycle,
		Message: fmt.Sprintf("the lineage is its own ancestor: %s. Remove one of these from the spec.from of the next", strings.Join(names, " → ")),
	}
}

// TakenBy is the problem of a lineage whose image another one builds already.
func TakenBy(holder lineage.Key, ref reference.Reference) *Problem {
	return &Problem{
		Reason: v1alpha1.ReasonReferenceTaken, Passing: true,
		Message: fmt.Sprintf("spec.image: %s is built by %s already: remove spec.build here to follow it, or delete the other lineage", ref.Name(), holder),
	}
}

// DeclaredParent completes a parent of child that is a lineage of its own, of that key:
// l, or nil where there is none. The labels are those of the child's namespace.
func DeclaredParent(parent *Parent, child *v1alpha1.ImageLineage, key lineage.Key, l *v1alpha1.ImageLineage, namespaceLabels map[string]string) {
	if l == nil {
		parent.Problem = &Problem{
			Reason: v1alpha1.ReasonParentNotFound, Passing: true,
			Message: fmt.Sprintf("the ImageLineage %s does not exist: create it, or correct lineageRef", key),
		}
		return
	}
	if parent.Problem = Admits(l, child.Namespace, namespaceLabels); parent.Problem != nil {
		return
	}
	ref, err := ReferenceOf(l)
	if err != nil {
		parent.Problem = &Problem{Reason: v1alpha1.ReasonParentNotFound, Passing: true, Message: fmt.Sprintf("the spec.image of %s cannot be used: %v", key, err)}
		return
	}
	parent.Lineage = key
	parent.Reference, parent.Kept, parent.Mirrors, parent.Current = ref, l.Status.History, Mirrors(l), CurrentOf(l)
}

// ImplicitParent completes a parent of child that is only an image, of which the registry
// says o; nil before the first answer. What was accepted before stays in use while the registry has not answered, so
// that a restart is no news.
func ImplicitParent(parent *Parent, child *v1alpha1.ImageLineage, o *Observation, now time.Time) {
	ref := parent.Reference
	known := knownParent(child, parent.Name, ref)
	digest, identity, accepted := known.Accepted, known.Identity, now
	parent.Observed = known.Observed
	if o != nil && o.Digest != "" {
		parent.Observed = o.Digest
		if digest != o.Digest || o.Identity.Kind != "" {
			digest, identity = o.Digest, &o.Identity
		}
	}
	if digest == "" {
		return
	}
	if known.Accepted == digest && known.FirstSeen != nil {
		accepted = known.FirstSeen.Time
	}
	var identities []v1alpha1.Identity
	if identity != nil {
		identities = []v1alpha1.Identity{*identity}
	}
	parent.Current = &ParentCurrent{
		Digest: digest, Identity: Counting(ChangeOn(child), digest, identities), Accepted: accepted,
		Roots: []v1alpha1.Root{{Reference: ref.Name(), Digest: digest, Accepted: metav1.NewMicroTime(accepted)}},
	}
}

// knownParent is what the status remembers of an implicit parent, while it stands
// for the same image.
func knownParent(child *v1alpha1.ImageLineage, name v1alpha1.ParentName, ref reference.Reference) v1alpha1.ParentStatus {
	for _, known := range child.Status.From {
		if known.Name == name && known.Reference == ref.Name() {
			return known
		}
	}
	return v1alpha1.ParentStatus{}
}

// ClaimantOf is a lineage as one that may own containers; it is false for one that cannot,
// because its image cannot be read or it is being deleted.
func ClaimantOf(l *v1alpha1.ImageLineage) (Claimant, bool) {
	ref, err := ReferenceOf(l)
	if err != nil || !l.DeletionTimestamp.IsZero() {
		return Claimant{}, false
	}
	tags, unusable := TagRuleOf(l)
	claimant := Claimant{
		Name: l.Name, Reference: ref, Tags: tags, History: l.Status.History, ChangeOn: ChangeOn(l),
		Mirror: MirrorOf(l), Mirrors: Mirrors(l), UseMirror: l.Spec.Rollout != nil && l.Spec.Rollout.UseMirror,
		Acts: l.Spec.Rollout != nil && l.Spec.Rollout.Mode == v1alpha1.RolloutPatch && !l.Spec.Suspend && unusable == nil,
	}
	if l.Status.Current != nil {
		current := l.Status.Current.Revision
		current.Mirror = CopyOf(l, current)
		claimant.Current = &current
	}
	return claimant, true
}
