// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package lint is empty: its go.mod pins golangci-lint.
package lint
