// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package status turns what was observed, decided and done into the status of a
// lineage and the Events that tell of it.
//
// The package is pure. Summarize is the only place that sets a condition: what a
// user reads is stated once, in one table (conditions.go), and follows kstatus:
// Reconciling and Stalled are there only while true, never both, and never with
// Ready true.
package status
