// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// pretence is a fleet in which things happen that did not.
type pretence struct {
	fleet   Fleet
	now     time.Time
	graph   lineage.Graph
	members map[lineage.Key]*member
	// standing are the lineages that stand for an image, naming those that name it as a
	// parent, and in are those of a namespace.
	standing, naming, in map[string][]lineage.Key
	// workloads by namespace, with what was moved so far.
	workloads map[string][]plan.Workload
	// madeUp are the digests that nobody has.
	madeUp []v1alpha1.Digest
	// unknown says what could not be known, each once.
	unknown []string
}

// member is a lineage with the status that it would have.
type member struct {
	Member

	// run is in flight; nil where none is.
	run *v1alpha1.RunStatus
	// ignorance is why it cannot be known what the lineage does; empty where it can.
	ignorance string
	// changed is true once it got a new image.
	changed bool
}

func pretend(f Fleet) *pretence {
	p := &pretence{
		fleet: f, now: f.Now, members: map[lineage.Key]*member{}, workloads: map[string][]plan.Workload{},
		standing: map[string][]lineage.Key{}, naming: map[string][]lineage.Key{}, in: map[string][]lineage.Key{},
	}
	for _, of := range f.Members {
		m := &member{Member: of}
		m.Lineage = of.Lineage.DeepCopy()
		if run := m.Lineage.Status.Run; plan.InFlight(run) {
			m.run, m.Lineage.Status.Run = run, nil
		}
		key := lineage.Key{Namespace: of.Lineage.Namespace, Name: of.Lineage.Name}
		p.add(key, m)
	}
	for namespace, all := range f.Workloads {
		for _, w := range all {
			p.workloads[namespace] = append(p.workloads[namespace], clone(w))
		}
	}
	return p
}

// add puts a lineage where it is found.
func (p *pretence) add(key lineage.Key, m *member) {
	node := plan.NodeOf(m.Lineage)
	p.members[key] = m
	p.graph.Put(key, node)
	p.in[key.Namespace] = append(p.in[key.Namespace], key)
	p.standing[node.Reference] = append(p.standing[node.Reference], key)
	for _, parent := range node.From {
		if parent.Image != "" {
			p.naming[parent.Image] = append(p.naming[parent.Image], key)
		}
	}
}

// digest makes up a digest, which nobody has.
func (p *pretence) digest() v1alpha1.Digest {
	sum := sha256.Sum256(fmt.Appendf(nil, "preview %d", len(p.madeUp)))
	digest := v1alpha1.Digest("sha256:" + hex.EncodeToString(sum[:]))
	p.madeUp = append(p.madeUp, digest)
	return digest
}

// names replaces the digests that were made up, as messages have them.
func (p *pretence) names() *strings.Replacer {
	var pairs []string
	for _, digest := range p.madeUp {
		pairs = append(pairs, reference.ShortDigest(string(digest)), "new")
	}
	return strings.NewReplacer(pairs...)
}

// passes lets a moment pass, so that what comes later is later.
func (p *pretence) passes() { p.now = p.now.Add(time.Millisecond) }

// snapshot is what the operator would decide on.
func (p *pretence) snapshot(key lineage.Key) plan.Snapshot {
	m := p.members[key]
	l := m.Lineage
	s := plan.Snapshot{
		Now: p.now, Lineage: l, HasChild: p.graph.HasChild(key), Parents: p.parents(m),
		Template: m.Template, TemplateProblem: m.TemplateProblem,
	}
	var err error
	if s.Reference, err = plan.ReferenceOf(l); err != nil {
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf("spec.image: %v", err)}
		return s
	}
	if s.Tags, err = plan.TagRuleOf(l); err != nil {
		s.Problem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	}
	if way := p.graph.Cycle(key); way != nil {
		s.Problem = plan.OnCycle(way)
	}
	if holder, held := p.graph.Holder(s.Reference.Name()); held && holder != key && plan.Produced(l) {
		s.Problem = plan.TakenBy(holder, s.Reference)
	}
	if current := l.Status.Current; current != nil {
		// The tag shows what the status tells: where it does not, the operator is about to
		// say so.
		s.Tag = current.Tag
		s.Observation = &plan.Observation{Digest: current.Digest, Started: p.now, Repeats: 1}
	}
	return s
}

// parents resolves spec.from as the operator does, from what is known.
func (p *pretence) parents(m *member) []plan.Parent {
	var out []plan.Parent
	for _, from := range m.Lineage.Spec.From {
		parent := plan.ParentOf(from)
		if from.LineageRef != nil {
			p.declared(m, plan.ParentKey(m.Lineage.Namespace, *from.LineageRef), &parent)
		} else if parent.Problem == nil {
			plan.ImplicitParent(&parent, m.Lineage, nil, p.now)
		}
		out = append(out, parent)
	}
	return out
}

func (p *pretence) declared(child *member, key lineage.Key, parent *plan.Parent) {
	var l *v1alpha1.ImageLineage
	if m := p.members[key]; m != nil {
		l = m.Lineage
	}
	labels, known := p.fleet.NamespaceLabels[child.Lineage.Namespace]
	plan.DeclaredParent(parent, child.Lineage, key, l, labels)
	switch {
	case l == nil && p.fleet.Partial:
		child.ignorance = fmt.Sprintf("its parent %s could not be read", key)
	case parent.Problem != nil && parent.Problem.Reason == v1alpha1.ReasonParentNotAllowed && !known && selects(l):
		child.ignorance = fmt.Sprintf("whether %s admits namespace %s: its labels could not be read", key, child.Lineage.Namespace)
	}
}

// selects is true for a parent that admits namespaces by their labels.
func selects(l *v1alpha1.ImageLineage) bool {
	return l.Spec.AllowedChildren != nil && l.Spec.AllowedChildren.Namespaces.From == v1alpha1.NamespacesSelector
}

// become gives a lineage a new current image, as the operator's status would tell it.
func (m *member) become(r v1alpha1.Revision) {
	status := &m.Lineage.Status
	status.Current = &v1alpha1.CurrentRevision{Revision: r, Short: reference.ShortDigest(string(r.Digest))}
	status.History = append([]v1alpha1.Revision{r}, status.History...)
	m.changed = true
}

// identities are those of a made up digest: it counts as a change, whatever counts.
func identities(l *v1alpha1.ImageLineage, digest v1alpha1.Digest) []v1alpha1.Identity {
	return plan.WithIdentity(plan.IdentityOf(digest), identity(l, digest))
}

func identity(l *v1alpha1.ImageLineage, digest v1alpha1.Digest) v1alpha1.Identity {
	return v1alpha1.Identity{Kind: plan.ChangeOn(l), Value: string(digest)}
}

// take has a lineage take what its tag shows.
func (p *pretence) take(m *member, ref reference.Reference, digest v1alpha1.Digest) {
	l := m.Lineage
	r := v1alpha1.Revision{
		Revision: 1, Digest: digest, Identities: identities(l, digest), Reference: ref.Pinned(string(digest)),
		Origin: v1alpha1.OriginFollowed, Accepted: metav1.NewMicroTime(p.now),
	}
	if current := l.Status.Current; current != nil {
		r.Revision, r.Tag = current.Revision.Revision+1, current.Tag
	}
	if plan.Followed(l) {
		r.Roots = []v1alpha1.Root{{Reference: ref.Name(), Digest: digest, Revision: r.Revision, Accepted: r.Accepted}}
	}
	if mirror := plan.MirrorOf(l); !mirror.IsZero() {
		r.Mirror = mirror.Pinned(string(digest))
	}
	m.become(r)
}

// publish has a lineage built, and returns the digest.
func (p *pretence) publish(m *member, ref reference.Reference, b plan.Build) v1alpha1.Digest {
	digest := p.digest()
	m.become(plan.Published(m.Lineage, ref, plan.Run{Build: b}, plan.Output{Digest: digest, Identity: identity(m.Lineage, digest)}, p.now))
	return digest
}

// show has a tag show a digest: who names the image as a parent sees it, and the lineages
// that follow it, and are returned, take it; so does the one that chose the tag by
// spec.tags, if it is that one's.
func (p *pretence) show(ref reference.Reference, digest v1alpha1.Digest, chosenBy lineage.Key) []lineage.Key {
	for _, key := range p.naming[ref.Name()] {
		p.members[key].see(ref, digest, p.now)
	}
	var took []lineage.Key
	for _, key := range p.standing[ref.Name()] {
		l := p.members[key].Lineage
		follows := !plan.Produced(l) && !l.Spec.Suspend && l.DeletionTimestamp.IsZero()
		if follows && (ref.Tag != "" || key == chosenBy) {
			p.take(p.members[key], ref, digest)
			took = append(took, key)
		}
	}
	return p.graph.Order(took)
}

// see has the status tell that parents which are only an image show a digest.
func (m *member) see(ref reference.Reference, digest v1alpha1.Digest, now time.Time) {
	for i, from := range m.Lineage.Status.From {
		if from.Reference == ref.Name() && named(m.Lineage, from.Name) {
			seen, counts := metav1.NewMicroTime(now), identity(m.Lineage, digest)
			from.Observed, from.Accepted, from.Identity, from.FirstSeen = digest, digest, &counts, &seen
			m.Lineage.Status.From[i] = from
		}
	}
}

// named is true for a parent that is named by its image.
func named(l *v1alpha1.ImageLineage, name v1alpha1.ParentName) bool {
	for _, from := range l.Spec.From {
		if from.Name == name {
			return from.LineageRef == nil
		}
	}
	return false
}
