// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// Roll decides which containers of a workload to move, for all lineages of its
// namespace together: what is due goes into one patch and one restart.
func Roll(w Workload, claimants []Claimant) []ImageChange {
	if w.Controlled {
		return nil
	}
	var changes []ImageChange
	for _, c := range w.Containers {
		claim := claimOf(c, claimants)
		if claim.by == nil || !claim.by.Acts || assess(w, c, claim) != containerDrifted {
			continue
		}
		to := claim.by.target(claim.ref)
		if to == "" {
			continue
		}
		changes = append(changes, ImageChange{Container: c, To: to, Memory: Remembered{
			Lineage: claim.by.Name, From: c.Image, To: to,
			Revision: claim.by.Current.Revision, Healthy: w.Health == Healthy,
		}})
	}
	return changes
}

// target is what a container of the lineage is moved to. It keeps its repository,
// unless workloads are to use the mirror. One that names a copy moves to a copy: to
// nothing, while that is being made.
func (c Claimant) target(from reference.Reference) string {
	copied := from.Repository != c.Reference.Repository
	if !c.Mirror.IsZero() && (copied || c.UseMirror && c.Current.Mirror != "") {
		return c.Current.Mirror
	}
	if c.Reference.Tag != "" {
		return c.Reference.TaggedPinned(string(c.Current.Digest))
	}
	return c.Reference.WithTag(c.Current.Tag).TaggedPinned(string(c.Current.Digest))
}

// elsewhere is true for the original of a copy that workloads are to use, and for a
// copy in a former mirror.
func (c Claimant) elsewhere(ref reference.Reference) bool {
	return c.UseMirror && c.Current.Mirror != "" && ref.Repository != c.Mirror.Repository
}

// claims is true for the lineage's own tag, or every one of those that spec.tags
// chooses from. Where that cannot be read, what it chose before is still the lineage's.
func (c Claimant) claims(tag string) bool {
	switch {
	case c.Tags != nil:
		return c.Tags.Claims(tag)
	case c.Reference.Tag != "":
		return c.Reference.Tag == tag
	default:
		return slices.ContainsFunc(c.History, func(r v1alpha1.Revision) bool { return r.Tag == tag })
	}
}

// isAhead is true for a tag above current's. The tags of copies are the operator's own,
// and may look like higher ones.
func (c Claimant) isAhead(ref reference.Reference) bool {
	return c.Tags != nil && ref.Repository == c.Reference.Repository && c.Tags.Higher(ref.Tag, c.Current.Tag)
}

// claim is which lineage a container runs.
type claim struct {
	// by is the lineage; nil where none, or more than one, has a claim.
	by *Claimant
	// ref is the container's image, parsed.
	ref reference.Reference
	// unclear lists the lineages that have an equal claim, or a bare digest's
	// repository: nobody touches the container, and each of them says so.
	unclear []string
}

// claimOf finds the lineage that a container runs: by repository and tag, with or
// without a digest behind it. A bare repository@digest belongs to a lineage only
// where the digest is one of its revisions and of no other's.
func claimOf(c Container, claimants []Claimant) claim {
	ref, err := reference.Parse(c.Image)
	if err != nil {
		return claim{}
	}
	var matching, sharing []*Claimant
	for i := range claimants {
		candidate := &claimants[i]
		mirrored := candidate.Reference.Repository != ref.Repository
		if mirrored && !slices.Contains(candidate.Mirrors, ref.Repository) {
			continue
		}
		sharing = append(sharing, candidate)
		byTag := ref.Tag != "" && !mirrored && candidate.claims(ref.Tag)
		byDigest := (ref.Tag == "" || mirrored && ref.Digest != "") && findDigest(candidate.History, v1alpha1.Digest(ref.Digest)) != nil
		if byTag || byDigest {
			matching = append(matching, candidate)
		}
	}
	switch {
	case len(matching) == 1:
		return claim{by: matching[0], ref: ref}
	case len(matching) > 1:
		return claim{ref: ref, unclear: names(matching)}
	case ref.Tag == "":
		return claim{ref: ref, unclear: names(sharing)}
	default:
		return claim{ref: ref}
	}
}

func names(claimants []*Claimant) []string {
	out := make([]string, 0, len(claimants))
	for _, c := range claimants {
		out = append(out, c.Name)
	}
	return out
}

// containerState is how a container stands to the lineage that it runs.
type containerState int

const (
	// containerCurrent: the template asks for the current digest, or its pods run
	// it already.
	containerCurrent containerState = iota
	// containerDrifted: it asks for, or runs, something else.
	containerDrifted
	// containerHeld: a person set it to an older revision of the lineage, or
	// somebody takes back what we wrote.
	containerHeld
	// containerStarting: its pods do not tell yet what they run.
	containerStarting
	// containerForeign: it asks for, or runs, a digest that is no revision, and
	// that may be a release which the registry has not told us of.
	containerForeign
	// containerUnknown: the lineage has no image yet.
	containerUnknown
)

func assess(w Workload, c Container, claim claim) containerState {
	current := claim.by.Current
	if current == nil {
		return containerUnknown
	}
	digest := v1alpha1.Digest(claim.ref.Digest)
	switch {
	case digest == current.Digest && claim.by.elsewhere(claim.ref):
		return containerDrifted
	case digest == current.Digest:
		return containerCurrent
	case claim.by.isAhead(claim.ref):
		return containerForeign // never to a lower tag
	case digest == "":
		return assessPlainTag(w, c, claim.ref, *claim.by)
	}
	return assessPinned(w, c, claim, digest)
}

// assessPinned looks at another digest than current.
func assessPinned(w Workload, c Container, claim claim, digest v1alpha1.Digest) containerState {
	current := claim.by.Current
	older := findDigest(claim.by.History, digest)
	switch {
	case older != nil && sameContent(claim.by.ChangeOn, *older, *current):
		return containerCurrent
	case older == nil && foreign(*claim.by, writtenAt(w, c)):
		return containerForeign
	case older != nil && setByPerson(w, c, *claim.by, *older):
		return containerHeld
	default:
		return containerDrifted
	}
}

// assessPlainTag looks at what the pods of a plain tag run: where it is the
// current digest already, a patch would only restart them.
func assessPlainTag(w Workload, c Container, ref reference.Reference, by Claimant) containerState {
	if w.Health == Pending && len(c.Running) == 0 && !c.Unreported {
		return containerCurrent
	}
	unknown := false
	for _, digest := range c.Running {
		known := findDigest(by.History, digest)
		if digest == by.Current.Digest || known != nil && sameContent(by.ChangeOn, *known, *by.Current) {
			continue
		}
		if known != nil || !foreign(by, c.Newest) {
			return drifted(c, ref, w, by)
		}
		unknown = true
	}
	switch {
	case unknown:
		return containerForeign
	case c.Unreported || len(c.Running) == 0:
		return containerStarting
	default:
		return containerCurrent
	}
}

// drifted is true drift, unless somebody took back the very revision that we
// wrote: trying again would be a fight, and restart the pods with every round.
func drifted(c Container, ref reference.Reference, w Workload, by Claimant) containerState {
	memory, ok := w.Remembered[c.Name]
	if ok && memory.Lineage == by.Name && memory.To == by.target(ref) && c.SetBy != v1alpha1.RolloutFieldManager {
		return containerHeld
	}
	return containerDrifted
}

// foreign is true for a digest that is no revision and appeared after current was
// accepted: somebody may have released it, and rolled it out, before the tag was
// checked again. What was there when the lineage was declared is left alone, too:
// installing the operator restarts nothing. Both are moved with the next revision.
func foreign(by Claimant, appeared time.Time) bool {
	return len(by.History) <= 1 || appeared.After(by.Current.Accepted.Time)
}

// writtenAt is when a container's image was written last, as far as is known.
func writtenAt(w Workload, c Container) time.Time {
	if c.SetAt.IsZero() {
		return w.Created
	}
	return c.SetAt
}

// setByPerson tells a person's rollback from a container that is merely behind.
// The annotation remembers what we wrote: an older revision than that is
// somebody's decision. Where we never wrote, it is a decision if it was made when
// a newer revision was current already.
func setByPerson(w Workload, c Container, by Claimant, older v1alpha1.Revision) bool {
	if memory, ok := w.Remembered[c.Name]; ok && memory.Lineage == by.Name {
		switch {
		case memory.To != c.Image && memory.Revision > older.Revision:
			return true
		case memory.To == c.Image && (c.SetBy == "" || c.SetBy == v1alpha1.RolloutFieldManager):
			return false
		}
		// "kubectl rollout undo" brings back the annotation together with the image, so
		// that it remembers what was undone to: who wrote the image last tells, and when.
	}
	replaced := replacedAt(by.History, older)
	return !replaced.IsZero() && writtenAt(w, c).After(replaced)
}

// replacedAt is when the next revision became current.
func replacedAt(history []v1alpha1.Revision, r v1alpha1.Revision) time.Time {
	var next *v1alpha1.Revision
	for i := range history {
		if history[i].Revision > r.Revision && (next == nil || history[i].Revision < next.Revision) {
			next = &history[i]
		}
	}
	if next == nil {
		return time.Time{}
	}
	return next.Accepted.Time
}

// Count is how the workloads of a lineage stand.
type Count struct {
	Total, Current, Progressing, Pending, Drifted, Failed, Held, Unknown int32
	// Unseen is when the newest image was written or started that is no revision:
	// the tag has to be checked after that; zero where there is none.
	Unseen time.Time
	// Refused names a workload whose change the cluster refuses; empty where none is.
	Refused string
	// Trouble names a workload on its way whose pods do not come up; empty where none
	// is.
	Trouble string
	// WouldMove names the workloads that would be moved, where the operator only observes;
	// empty otherwise.
	WouldMove string
	// Notes say what to know about single workloads: of those that failed first, then
	// of those that are refused, and those that are in trouble on their way.
	Notes []string
}

// maxNotes is how many notes the status holds (status.rollout.notes).
const maxNotes = 8

func (c *Count) note(format string, args ...any) {
	if len(c.Notes) < maxNotes {
		c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
	}
}

// Tally counts the workloads that run a lineage. A workload counts once, by its
// worst container: drifted before held before unknown before its health.
func Tally(l *v1alpha1.ImageLineage, workloads []Workload, claimants []Claimant) Count {
	var t tally
	for _, w := range workloads {
		if w.Controlled {
			continue
		}
		t.add(l.Name, w, claimants)
	}
	if len(t.refused) > 0 {
		t.Refused = t.refused[0]
	}
	if len(t.troubled) > 0 {
		t.Trouble = t.troubled[0]
	}
	// The first note stands in the RolledOut condition, and the last ones may not fit.
	t.Notes = slices.Concat(t.failed, t.refused, t.troubled, t.Notes)
	if len(t.Notes) > maxNotes {
		t.Notes = t.Notes[:maxNotes]
	}
	return t.Count
}

// tally is a Count in the making.
type tally struct {
	Count

	// failed, refused and troubled are the notes that go before the others.
	failed, refused, troubled []string
}

func (t *tally) add(lineage string, w Workload, claimants []Claimant) {
	found := map[containerState]bool{}
	for _, container := range w.Containers {
		claim := claimOf(container, claimants)
		for _, name := range claim.unclear {
			if name == lineage {
				found[containerUnknown] = true
				t.note("%s: container %s belongs to no single lineage (%v): it is left alone", w, container.Name, claim.unclear)
			}
		}
		if claim.by == nil || claim.by.Name != lineage {
			continue
		}
		state := assess(w, container, claim)
		found[state] = true
		t.explain(w, container, claim, state)
	}
	if len(found) == 0 {
		return
	}
	t.Total++
	switch {
	case found[containerDrifted]:
		t.Drifted++
		if w.Refused != "" {
			t.refused = append(t.refused, fmt.Sprintf("%s: %s", w, w.Refused))
		}
	case found[containerHeld]:
		t.Held++
	case found[containerForeign], found[containerUnknown]:
		t.Unknown++
	default:
		t.byHealth(w, found[containerStarting])
	}
}

// explain notes what a person should know of a container that is left alone.
func (c *Count) explain(w Workload, container Container, claim claim, state containerState) {
	switch state {
	case containerHeld:
		c.note("%s: container %s was set back%s: it is left alone until its image changes again, or the lineage has a newer revision than was taken back", w, container.Name, byWhom(container))
	case containerForeign:
		appeared := container.Newest
		if claim.ref.Digest != "" {
			appeared = writtenAt(w, container)
		}
		if appeared.After(c.Unseen) {
			c.Unseen = appeared
		}
		c.note("%s: container %s runs an image that is no revision of the lineage: it is left alone until the next one", w, container.Name)
	default:
	}
}

func (t *tally) byHealth(w Workload, starting bool) {
	health := w.Health
	if starting && health == Healthy {
		health = Progressing
	}
	switch health {
	case Healthy:
		t.Current++
	case Pending:
		t.Pending++
		t.note("%s: %s", w, w.HealthMessage)
	case Failed:
		t.Failed++
		note := fmt.Sprintf("%s: %s", w, w.HealthMessage)
		if w.Trouble != "" {
			note += ": " + w.Trouble
		}
		note += fmt.Sprintf("; see: kubectl describe -n %s %s", w.Namespace, w)
		t.failed = append(t.failed, note)
	default:
		t.Progressing++
		if w.Trouble != "" {
			// Without the health, which changes with each pod that comes.
			t.troubled = append(t.troubled, fmt.Sprintf("%s: %s", w, w.Trouble))
		}
	}
}

func byWhom(c Container) string {
	if c.SetBy == "" {
		return ""
	}
	return " by " + c.SetBy
}
