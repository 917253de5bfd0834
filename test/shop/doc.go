// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package shop is a small firm to watch the operator with: one base, one intermediary,
// two applications (one with a builder), one service image, one image that somebody
// else builds, and the workloads that run them. The demonstration and the end-to-end
// tests share it.
//
// Nothing in it is faked: Tekton runs buildah, kubelets pull, and the base is a Debian
// with a real dpkg database. manifests/ holds what a user would write.
package shop
