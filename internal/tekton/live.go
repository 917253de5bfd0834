// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"fmt"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// CRDName is the name of the CustomResourceDefinition of PipelineRuns.
const CRDName = "pipelineruns.tekton.dev"

// CRD is an empty CustomResourceDefinition to read by CRDName, metadata only: while it
// exists, the cluster has PipelineRuns.
func CRD() client.Object {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	return crd
}

// RESTMapper knows the kinds of Tekton that the operator uses, whether the cluster has
// them or not.
func RESTMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{pipelinev1.SchemeGroupVersion})
	for _, kind := range []string{"PipelineRun", "TaskRun"} {
		mapper.Add(pipelinev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return mapper
}

// IsLive is true for a PipelineRun that has not ended.
func IsLive(obj client.Object) bool {
	run, ok := obj.(*pipelinev1.PipelineRun)
	return ok && !run.IsDone()
}

// ListLive names the runs of all lineages that have not ended.
func ListLive(ctx context.Context, reader client.Reader) ([]types.NamespacedName, error) {
	var runs pipelinev1.PipelineRunList
	if err := reader.List(ctx, &runs, client.HasLabels{v1alpha1.LineageUIDLabel}); err != nil {
		return nil, fmt.Errorf("list PipelineRuns: %w", err)
	}
	var live []types.NamespacedName
	for i := range runs.Items {
		if IsLive(&runs.Items[i]) {
			live = append(live, client.ObjectKeyFromObject(&runs.Items[i]))
		}
	}
	return live, nil
}

// Delete deletes a run, and with it its TaskRuns and pods. One that is gone is a
// success.
func (r *Runs) Delete(ctx context.Context, namespace, name string) error {
	run := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := r.client.Delete(ctx, run, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete PipelineRun %s/%s: %w", namespace, name, err)
	}
	return nil
}
