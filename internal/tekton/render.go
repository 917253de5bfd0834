// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// lineageKind is the kind of the owner of every run.
const lineageKind = "ImageLineage"

// Render is the PipelineRun of a build, to be created: named b.Name in the
// lineage's namespace, controlled by the lineage, with the template's labels and
// annotations under ours, and with the template's spec in which the variables of
// params are replaced. ref is the lineage's image in canonical form.
//
// The error is a *UserError where the template cannot be used.
func Render(lineage *v1alpha1.ImageLineage, ref reference.Reference, b plan.Build) (*unstructured.Unstructured, error) {
	if lineage.Spec.Build == nil {
		return nil, errors.New("a lineage without a build has no run")
	}
	variables, err := VariablesOf(ref, b)
	if err != nil {
		return nil, err
	}
	spec, err := renderSpec(lineage.Spec.Build, variables)
	if err != nil {
		return nil, err
	}
	annotations, err := annotationsOf(b)
	if err != nil {
		return nil, err
	}
	run := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	run.SetGroupVersionKind(pipelinev1.SchemeGroupVersion.WithKind("PipelineRun"))
	run.SetNamespace(lineage.Namespace)
	run.SetName(b.Name)
	run.SetOwnerReferences([]metav1.OwnerReference{ownerReference(lineage)})
	var metadata v1alpha1.TemplateMetadata
	if m := lineage.Spec.Build.PipelineRun.Metadata; m != nil {
		metadata = *m
	}
	run.SetLabels(merge(metadata.Labels, map[string]string{
		v1alpha1.LineageLabel:    labelValue(lineage.Name),
		v1alpha1.LineageUIDLabel: string(lineage.UID),
	}))
	run.SetAnnotations(merge(metadata.Annotations, annotations))
	return run, nil
}

func ownerReference(lineage *v1alpha1.ImageLineage) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion:         v1alpha1.SchemeGroupVersion.String(),
		Kind:               lineageKind,
		Name:               lineage.Name,
		UID:                lineage.UID,
		Controller:         new(true),
		BlockOwnerDeletion: new(true),
	}
}

// merge is theirs with ours over it.
func merge(theirs, ours map[string]string) map[string]string {
	merged := make(map[string]string, len(theirs)+len(ours))
	maps.Copy(merged, theirs)
	maps.Copy(merged, ours)
	return merged
}

// labelValue is the name of a lineage as a label takes it: 63 characters at most,
// where a name may have 253. A longer one is cut and a hash of the whole appended.
func labelValue(name string) string {
	const hashDigits = 10
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	prefix := strings.TrimRight(name[:validation.LabelValueMaxLength-hashDigits-1], "-.")
	return prefix + "-" + hex.EncodeToString(sum[:])[:hashDigits]
}

// annotationsOf are all that a restarted operator needs to finish the run; read
// back by buildOf.
func annotationsOf(b plan.Build) (map[string]string, error) {
	builtFrom, err := json.Marshal(b.BuiltFrom)
	if err != nil {
		return nil, fmt.Errorf("parents of run %s: %w", b.Name, err)
	}
	roots, err := json.Marshal(b.Roots)
	if err != nil {
		return nil, fmt.Errorf("roots of run %s: %w", b.Name, err)
	}
	annotations := map[string]string{
		v1alpha1.NumberAnnotation:    strconv.FormatInt(b.Number, 10),
		v1alpha1.AttemptAnnotation:   strconv.FormatInt(b.Attempt, 10),
		v1alpha1.InputsAnnotation:    b.Inputs,
		v1alpha1.OutputAnnotation:    b.Output,
		v1alpha1.ExpectedAnnotation:  b.Expected,
		v1alpha1.BuiltFromAnnotation: string(builtFrom),
		v1alpha1.RootsAnnotation:     string(roots),
		v1alpha1.ReasonsAnnotation:   strings.Join(b.Reasons, ","),
		v1alpha1.TemplateAnnotation:  b.Template,
	}
	if b.Request != "" {
		annotations[v1alpha1.RequestAnnotation] = b.Request
	}
	return annotations, nil
}
