// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package plan decides. Compute takes a Snapshot of one lineage and returns a
// Plan: what is true of the lineage, what to do about it, and why. Roll does the
// same for one workload.
//
// The package is pure: no client, no context, no clock, no logger. Equal
// snapshots give equal plans. A decision that a test cannot state in a table
// does not belong here.
//
// A lineage's life, in the order in which Compute looks at it:
//
//  1. a run that ended is finished first: its output published, or its failure
//     recorded;
//  2. what the tag shows is believed: followed, adopted, or seen as a rollback;
//  3. what current was built from is compared with the parents: outdated or not,
//     with every reason;
//  4. an outdated lineage is held (suspended, source unknown, a person's
//     rollback, outside its windows, not approved), waits for its ancestors, or is
//     built.
package plan
