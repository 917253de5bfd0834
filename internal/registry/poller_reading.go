// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"cmp"
	"slices"

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
}

// lacks is what all followers together want to know of a digest, where any of it is not
// known yet; it is false where nothing is missing. A description takes the place of the
// one before: for one follower alone it could lack what another one knew by then.
func (f *feed) lacks(digest v1alpha1.Digest) (Detail, bool) {
	var wanted Detail
	lacking := false
	for _, by := range f.demands {
		if by.target.needs(digest) {
			wanted = wanted.with(by.target.Detail)
			lacking = lacking || !f.knows(digest, by.target.Detail)
		}
	}
	return wanted, lacking
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

// learnMore keeps what a description told, and is true where it is news.
func (f *feed) learnMore(found answer) bool {
	was := f.undescribed
	f.undescribed = nil
	if !found.tried {
		return was != nil
	}
	before := f.described
	if found.undescribed == nil {
		f.described, f.detail = found.described.with(before), found.detail
		return true
	}
	if before.Digest != found.digest && found.described.Digest != "" {
		f.detail = Detail{}
	}
	f.described = found.described.with(before)
	now := failureOf(found.undescribed, f.begun, was)
	f.undescribed = &now
	return was == nil || was.Reason != now.Reason || now.Count == newsworthy ||
		before.Digest != f.described.Digest || !slices.Equal(before.Children, f.described.Children)
}
