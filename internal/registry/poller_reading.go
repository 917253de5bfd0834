// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"cmp"
	"slices"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// reading is what was read of the digest that a tag shows.
type reading struct {
	// described is what is known of a digest; detail is to what it is known whole.
	described Description
	detail    Detail
	// undescribed is set while not all that is wanted of the digest can be read.
	undescribed *plan.Failure
	// tried is the detail that could not be read whole, attempts how often that was
	// tried of this digest, and again when it is tried once more.
	tried    Detail
	attempts int
	again    time.Time
}

// lacks is what all followers together want to know of a digest, where any of it is not
// known yet; it is false where nothing is missing. A description takes the place of the
// one before: for one follower alone it could lack what another one knew by then. What
// could not be read is missing again when its time has come.
func (f *feed) lacks(digest v1alpha1.Digest, now time.Time) (Detail, bool) {
	var wanted Detail
	lacking := false
	waits := f.undescribed != nil && digest == f.seen.Digest && now.Before(f.again) && !f.answering
	for _, by := range f.demands {
		if by.target.needs(digest) {
			wanted = wanted.with(by.target.Detail)
			lacking = lacking || !f.knows(digest, by.target.Detail)
		}
	}
	return wanted, lacking && (!waits || !wanted.equal(f.tried))
}

// knows is whether all is read that a detail takes. Where some of it cannot be read, what
// could serves those who need no more.
func (f *feed) knows(digest v1alpha1.Digest, detail Detail) bool {
	if f.described.Digest != string(digest) {
		return false
	}
	if f.detail.covers(detail) {
		return true
	}
	_, ok := f.described.Identity(detail)
	return ok
}

// told is the last answer as a follower hears it that needs the description.
func (f *feed) told(to Target) plan.Observation {
	seen := f.seen
	if f.knows(seen.Digest, to.Detail) {
		seen.Base = plan.BaseAnnotation{Name: f.described.BaseName, Digest: v1alpha1.Digest(f.described.BaseDigest)}
		identity, ok := f.described.Identity(to.Detail)
		if ok {
			seen.Identity = identity
			return seen
		}
		return plan.Observation{Failure: &plan.Failure{
			Reason: v1alpha1.ReasonRegistryUnreachable, Since: seen.Started, Count: newsworthy,
			Message: f.ref.Name() + " has none of the platforms of spec.poll.platforms",
		}}
	}
	if f.undescribed == nil || to.Detail.needed() {
		return plan.Observation{Failure: cmp.Or(seen.Failure, f.undescribed)}
	}
	return seen
}

// learnMore keeps what a description told, and is true where it is news. The digest may
// be the same as before.
func (f *feed) learnMore(found answer, same bool, now time.Time) bool {
	was := f.undescribed
	if !same {
		f.attempts = 0
	}
	switch {
	case !found.tried && same && f.begun.Before(f.again) && !f.answering:
		return false // it was not tried again so soon
	case !found.tried:
		f.undescribed = nil
		return was != nil
	}
	before := f.described
	f.described = found.described.with(before)
	if found.undescribed == nil {
		f.detail, f.undescribed, f.attempts = found.detail, nil, 0
		return true
	}
	if before.Digest != f.described.Digest {
		f.detail = Detail{}
	}
	failure := failureOf(found.undescribed, f.begun, was)
	f.undescribed, f.tried = &failure, found.detail
	f.attempts++
	f.again = f.readAgainAt(now, found.undescribed)
	return was == nil || was.Reason != failure.Reason || failure.Count == newsworthy ||
		before.Digest != f.described.Digest || !slices.Equal(before.Children, f.described.Children)
}

// readAgainAt is when to read a digest again that could not be read whole. What is
// damaged or missing mends itself seldom, since a digest's content never changes, and to
// read it may count as a pull: the time grows beyond the interval, up to an hour.
func (f *feed) readAgainAt(now time.Time, err error) time.Time {
	switch ClassOf(err) {
	case Invalid, Absent:
		return now.Add(min(firstRetry<<min(f.attempts-1, maxDoubling), maxRetryAfter))
	default:
		return f.retryAt(now, f.attempts, err)
	}
}
