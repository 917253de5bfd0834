// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"fmt"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// AddToScheme adds Tekton's types to a scheme.
func AddToScheme(scheme *runtime.Scheme) error { return pipelinev1.AddToScheme(scheme) }

// Object is an empty PipelineRun, the type to watch and to cache.
func Object() client.Object { return &pipelinev1.PipelineRun{} }

// List observes the runs of the lineage of that UID, in any order. results are
// the lineage's spec.build.results, which may be nil.
func List(ctx context.Context, reader client.Reader, namespace string, uid types.UID,
	results *v1alpha1.BuildResults,
) ([]plan.Run, error) {
	var runs pipelinev1.PipelineRunList
	err := reader.List(ctx, &runs, client.InNamespace(namespace),
		client.MatchingLabels{v1alpha1.LineageUIDLabel: string(uid)})
	if err != nil {
		return nil, fmt.Errorf("list PipelineRuns of %s: %w", namespace, err)
	}
	observed := make([]plan.Run, 0, len(runs.Items))
	for i := range runs.Items {
		observed = append(observed, Observe(&runs.Items[i], results))
	}
	return observed, nil
}

// Get observes one run by its name; nil where it does not exist. Where the cluster
// has no PipelineRuns at all it is not known to be gone, and the error is Missing.
func Get(ctx context.Context, reader client.Reader, namespace, name string, results *v1alpha1.BuildResults) (*plan.Run, error) {
	run := &pipelinev1.PipelineRun{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, run)
	if apierrors.IsNotFound(err) && !Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get PipelineRun %s/%s: %w", namespace, name, err)
	}
	observed := Observe(run, results)
	return &observed, nil
}

// OwnerOf is the lineage that a run belongs to: its controller, or else the one
// that its label names, which for a name of more than 63 characters is no more
// than a guess. It is false where the object is no run of a lineage.
func OwnerOf(obj client.Object) (types.NamespacedName, bool) {
	name := obj.GetLabels()[v1alpha1.LineageLabel]
	if owner := metav1.GetControllerOfNoCopy(obj); owner != nil {
		gv, err := schema.ParseGroupVersion(owner.APIVersion)
		if err == nil && gv.Group == v1alpha1.SchemeGroupVersion.Group && owner.Kind == lineageKind {
			name = owner.Name
		}
	}
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}, name != ""
}
