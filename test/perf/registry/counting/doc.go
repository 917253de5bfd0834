// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package counting is a registry that counts: real HTTP with bearer tokens on a
// port of the loopback address, which notes each request and costs next to
// nothing. It holds no images. Every repository exists, every tag shows an image
// that is computed from its name, and Move makes all of them show another one.
package counting
