// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package v1alpha1 is the API of Image Lineage: the kind ImageLineage, which
// declares one moving image reference and what that image is built on.
//
// The package holds types only. Everything a status can say, condition types
// and reasons, stands in condition_types.go; every label, annotation and field
// manager in label_types.go.
//
// +kubebuilder:object:generate=true
// +groupName=imagelineage.dev
package v1alpha1
