// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// MinAge is how long a new digest of a followed image is left alone; 0 where it is
// taken at once.
func MinAge(l *v1alpha1.ImageLineage) time.Duration {
	if l.Spec.Poll == nil || l.Spec.Poll.MinAge == nil || !Followed(l) {
		return 0
	}
	age, err := time.ParseDuration(string(*l.Spec.Poll.MinAge))
	if err != nil {
		return 0
	}
	return age
}

// ApproveToken is what the approve annotation holds, a digest or the key of a plan, cut
// to what the status can echo.
func ApproveToken(l *v1alpha1.ImageLineage) string {
	return cutTo(l.Annotations[v1alpha1.ApproveAnnotation], maxToken)
}

// maxCandidates is how many digests are remembered (status.candidates).
const maxCandidates = 32

// soak decides over what the tag shows where digests have to age. Each is aged from
// when it was first seen here; of those that are old enough the newest that still
// exists is taken. One that ages from the last move would never be old enough where
// the tag moves all the time. known is the kept revision of the digest, which has
// aged before.
func (d *decision) soak(known *v1alpha1.Revision) bool {
	candidates := slices.Clone(d.plan.Candidates)
	if at := indexOf(candidates, d.Observation.Digest); at >= 0 {
		// What came after the digest that the tag shows was taken back.
		if at < len(candidates)-1 && !d.confirmed("%s is back at an older digest", d.Watched().Name()) {
			return true
		}
		candidates = candidates[:at+1]
	} else {
		first := d.Now
		if known != nil {
			first = known.Accepted.Time
		}
		candidates = append(candidates, v1alpha1.Candidate{Digest: d.Observation.Digest, Tag: d.Tag, FirstSeen: metav1.NewMicroTime(first)})
	}
	d.plan.Candidates = thin(candidates)
	return d.takeMatured()
}

// takeMatured takes the newest candidate that is old enough, or approved, and still
// exists; it is true where one is taken. One that cannot be looked up does not keep the
// older ones.
func (d *decision) takeMatured() bool {
	for at, candidate := range slices.Backward(d.plan.Candidates) {
		if d.matures(candidate) > 0 {
			continue
		}
		there := d.told(candidate.Digest)
		gone := there.Answered() && there.Absent
		switch {
		case there != nil && there.Failure != nil && (!there.Answered() || gone && there.Repeats < settledRepeats):
			// The poller's own retries ask again.
			if d.notLookedUp(candidate, *there.Failure) {
				continue
			}
		case !there.Answered():
			// The registry is asked whether it exists; see LookFor.
		case gone && there.Repeats < settledRepeats:
			d.plan.Recheck = append(d.plan.Recheck, candidate.Digest)
		case gone:
			d.plan.Candidates = slices.Delete(slices.Clone(d.plan.Candidates), at, at+1)
			continue
		default:
			step := d.accept(found{Digest: candidate.Digest, Tag: candidate.Tag, Identity: there.Identity, Base: there.Base}, findDigest(d.Lineage.Status.History, candidate.Digest))
			step.Candidates = d.plan.Candidates[at+1:]
			d.plan.Step = step
			return true
		}
		break
	}
	d.waitForAge()
	return false
}

// told is what the registry says of a digest: by the tag that shows it, or by itself.
func (d *decision) told(digest v1alpha1.Digest) *Observation {
	if d.Observation.Answered() && d.Observation.Digest == digest {
		return d.Observation
	}
	return d.Presence[digest]
}

// notLookedUp tells of a candidate that is old enough, and of which the registry does not
// say whether it exists. It is true where that is more than a short outage.
func (d *decision) notLookedUp(c v1alpha1.Candidate, f Failure) bool {
	f.Message = fmt.Sprintf("%s is old enough to be taken, and cannot be looked up: %s", reference.ShortDigest(string(c.Digest)), f.Message)
	told := d.unresolved(f)
	if d.plan.Registry.Resolved == True {
		d.plan.Registry = told
		d.again(told.Again)
	}
	return f.Count >= unresolvedFailures
}

// matures is how long until a candidate may be taken; 0 or less where it may now.
func (d *decision) matures(c v1alpha1.Candidate) time.Duration {
	if ApproveToken(d.Lineage) == string(c.Digest) {
		return 0
	}
	return MinAge(d.Lineage) - d.Now.Sub(d.past(c.FirstSeen.Time))
}

// waitForAge says what is waited for, and until when.
func (d *decision) waitForAge() {
	var next *v1alpha1.Candidate
	for i, c := range d.plan.Candidates {
		wait := d.matures(c)
		if wait <= 0 {
			continue // the registry is asked for it
		}
		d.again(wait)
		if next == nil || wait < d.matures(*next) {
			next = &d.plan.Candidates[i]
		}
	}
	if next == nil {
		return
	}
	const message = "%s is taken at %s (spec.poll.minAge); set the annotation %s to %s to take it at once"
	args := []any{
		reference.ShortDigest(string(next.Digest)), d.Now.Add(d.matures(*next)).UTC().Format(time.RFC3339),
		v1alpha1.ApproveAnnotation, next.Digest,
	}
	if d.subject.current() == nil {
		d.busy(v1alpha1.ReasonHeldSoaking, message, args...)
		return
	}
	d.hold(v1alpha1.ReasonHeldSoaking, message, args...)
}

// withdraw drops the candidates of a tag that shows the current image again: whoever
// moved it has taken them back. It is true while that has to be confirmed.
func (d *decision) withdraw() bool {
	if len(d.plan.Candidates) == 0 {
		return false
	}
	if !d.confirmed("%s is back at the current digest", d.Watched().Name()) {
		return true
	}
	d.plan.Candidates = nil
	return false
}

// thin keeps as many candidates as the status holds: without those whose neighbours
// are closest together in time, so that some mature all the time. The oldest is next
// to be taken, and the newest is what the tag shows: both stay.
func thin(candidates []v1alpha1.Candidate) []v1alpha1.Candidate {
	for len(candidates) > maxCandidates {
		least, drop := time.Duration(0), 0
		for i := 1; i < len(candidates)-1; i++ {
			if gap := candidates[i+1].FirstSeen.Sub(candidates[i-1].FirstSeen.Time); drop == 0 || gap < least {
				least, drop = gap, i
			}
		}
		candidates = slices.Delete(candidates, drop, drop+1)
	}
	return candidates
}

func indexOf(candidates []v1alpha1.Candidate, digest v1alpha1.Digest) int {
	return slices.IndexFunc(candidates, func(c v1alpha1.Candidate) bool { return c.Digest == digest })
}
