// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package lineage

import (
	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// RoleOf derives a lineage's role from its position (design: roles are never
// declared). followed is true where the lineage has no parents.
func RoleOf(followed, hasChild bool) v1alpha1.Role {
	switch {
	case followed && hasChild:
		return v1alpha1.RoleBase
	case followed:
		return v1alpha1.RoleService
	case hasChild:
		return v1alpha1.RoleIntermediary
	default:
		return v1alpha1.RoleApplication
	}
}
