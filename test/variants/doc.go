// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package variants holds a test of the tests: the operator is broken on purpose, in
// the ways that would hurt most, and the suite has to notice each.
package variants
