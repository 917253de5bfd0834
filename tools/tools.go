// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package tools is empty: its go.mod pins the tools that generate and check code.
package tools
