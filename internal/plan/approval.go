// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// keyPrefix tells a build's key from a digest, which the same annotation holds
	// for spec.poll.minAge, and keeps YAML from reading it as a number.
	keyPrefix = "plan-"
	// keyLength is the number of hex digits that are kept: 64 bits. They are for people
	// to copy, and enough that nobody who can push a base finds one with which another
	// build has the key of one that was approved.
	keyLength = 16
)

// ApprovalKey names a build: the revision that it makes, and what it is made of. A retry
// has the key of the build that failed; whatever else is built has another one, the
// same inputs a second time among it.
func ApprovalKey(number int64, inputs string) string {
	sum := sha256.Sum256(canonical([]string{strconv.FormatInt(number, 10), inputs}))
	return keyPrefix + hex.EncodeToString(sum[:])[:keyLength]
}

// approvalKey is the key of the build that would be next.
func approvalKey(s Subject) string {
	number, _ := nextRun(s.Lineage)
	return ApprovalKey(number, inputs(s))
}

// unapproved is true where a build needs a person's approval and does not have it.
func unapproved(s Subject) bool {
	return s.Lineage.Spec.Build != nil && s.Lineage.Spec.Build.Approval == v1alpha1.ApprovalRequired &&
		ApproveToken(s.Lineage) != approvalKey(s)
}

// holdUnapproved is true where a build that is due waits for its approval.
func (d *decision) holdUnapproved(headline Verdict) bool {
	if !unapproved(d.subject) {
		return false
	}
	d.holdBuild(v1alpha1.ReasonHeldApproval, "a build waits for approval (spec.build.approval): kubectl annotate imagelineage %s -n %s %s=%s --overwrite; why it is due: %s",
		d.Lineage.Name, d.Lineage.Namespace, v1alpha1.ApproveAnnotation, approvalKey(d.subject), headline.Message)
	return true
}
