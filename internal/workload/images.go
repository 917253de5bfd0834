// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Images are the canonical repositories that a workload's containers name, init
// containers included, each once and sorted: the keys of a cache's index. Images
// that cannot be parsed are left out, since no lineage can claim them; an object
// of another kind has none.
func Images(obj client.Object) []string {
	s, err := shapeOf(obj)
	if err != nil {
		return nil
	}
	var repositories []string
	for _, list := range [][]corev1.Container{s.template.Spec.InitContainers, s.template.Spec.Containers} {
		for i := range list {
			if ref, err := reference.Parse(list[i].Image); err == nil {
				repositories = append(repositories, ref.Repository)
			}
		}
	}
	slices.Sort(repositories)
	return slices.Compact(repositories)
}
