// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package e2e tells the operator's stories on a real cluster: Tekton runs buildah,
// kubelets pull, and the operator is a Pod from config/default with the ServiceAccount
// that is shipped. "make test-e2e" runs them; stories.txt lists those that must pass.
//
// The stories share one shop and are told in the order of their files: later ones begin
// where earlier ones ended. stories.txt is the table of contents.
//
// KUBECONFIG and REGISTRY name the cluster. AUDIT_LOG, the path of its API server's
// audit log, lets the story of the operator at rest count every write; without it the
// story counts what changed, which misses a write that changes nothing, and with
// E2E=required it fails. E2E_KEEP=1 leaves everything as it is at the end.
package e2e
