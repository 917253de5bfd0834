// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package failures is the table of what can go wrong on the main path, and the
// explanation of every reason that a person may read. The tests of test/integration
// and test/e2e make each of them happen, and docs/troubleshooting.md is made from both.
package failures
