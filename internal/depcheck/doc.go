// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package depcheck holds the tests that keep the architecture: which package may import
// what, and that the packages which decide cannot act. It has no code of its own.
package depcheck
