//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import "testing"

// TestStoryCascade: the base moves, and the whole ancestry follows, once and in order.
func TestStoryCascade(t *testing.T) { tell(t, cascade) }

// TestStoryServiceImage: a vendor's image moves, and its pods follow without any build.
func TestStoryServiceImage(t *testing.T) { tell(t, serviceImage) }

// TestStoryParentNotAllowed: a parent refuses a namespace until it is admitted.
func TestStoryParentNotAllowed(t *testing.T) { tell(t, parentNotAllowed) }

// TestStoryRelease: a release pushed by hand is adopted and rolled out.
func TestStoryRelease(t *testing.T) { tell(t, release, "TestStoryCascade") }

// TestStoryUndo: a workload that a person sets back is left alone and reported.
func TestStoryUndo(t *testing.T) { tell(t, undo, "TestStoryRelease") }

// TestStoryTagPutBack: a tag that a person puts back is followed and not undone.
func TestStoryTagPutBack(t *testing.T) { tell(t, tagPutBack, "TestStoryCascade") }

// TestStoryAtRest: while nothing moves, the operator writes nothing; and what people have
// put back stays as they put it.
func TestStoryAtRest(t *testing.T) { tell(t, atRest, "TestStoryCascade") }

// TestStoryOperatorKilled: the operator dies in the middle of a cascade, and nothing is
// lost or done twice.
func TestStoryOperatorKilled(t *testing.T) { tell(t, operatorKilled, "TestStoryCascade") }

// TestStoryReleaseSurvives: the base has moved, and the release is what it was.
func TestStoryReleaseSurvives(t *testing.T) {
	tell(t, releaseSurvives, "TestStoryRelease", "TestStoryOperatorKilled")
}

// TestStorySuspend: what is suspended was not built, and is when it is resumed.
func TestStorySuspend(t *testing.T) {
	tell(t, suspended, "TestStoryParentNotAllowed", "TestStoryOperatorKilled")
}

// TestStoryAuthority: nobody gains rights through a lineage.
func TestStoryAuthority(t *testing.T) { tell(t, authority) }
