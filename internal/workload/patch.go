// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// operation is one operation of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// test fails the whole patch where path does not hold value. A path that does
// not exist holds nil, in the implementation that the API server uses
// (gopkg.in/evanphx/json-patch.v4).
func test(path string, value any) operation { return operation{"test", path, value} }

func add(path string, value any) operation { return operation{"add", path, value} }

func replace(path string, value any) operation { return operation{"replace", path, value} }

const annotationsPath = "/metadata/annotations"

// Patch is one JSON patch that makes all changes of obj's images, and remembers
// them in the rollout annotation. It tests everything that it replaces, and the
// object's UID, so that it applies to what was read or not at all.
//
// It fails for other kinds, for no changes, and for a change of a container that
// obj does not have.
func Patch(obj client.Object, changes []plan.ImageChange) ([]byte, error) {
	s, err := shapeOf(obj)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return nil, errors.New("a patch needs a change")
	}
	operations := []operation{test("/metadata/uid", string(obj.GetUID()))}
	for i := range changes {
		moves, err := imageOperations(&s.template.Spec, &changes[i])
		if err != nil {
			return nil, fmt.Errorf("%s %s/%s: %w", s.kind, obj.GetNamespace(), obj.GetName(), err)
		}
		operations = append(operations, moves...)
	}
	memory, err := memoryOf(obj, &s.template.Spec, changes)
	if err != nil {
		return nil, err
	}
	return json.Marshal(append(operations, annotationOperations(obj, memory)...))
}

// imageOperations replace the image of one container. The name is tested too:
// containers are addressed by index, and may have been reordered since.
func imageOperations(spec *corev1.PodSpec, change *plan.ImageChange) ([]operation, error) {
	list, containers := "containers", spec.Containers
	if change.Container.Init {
		list, containers = "initContainers", spec.InitContainers
	}
	i := change.Container.Index
	if i < 0 || i >= len(containers) || containers[i].Name != change.Container.Name {
		return nil, fmt.Errorf("no container %q at index %d of %s", change.Container.Name, i, list)
	}
	path := "/spec/template/spec/" + list + "/" + strconv.Itoa(i)
	return []operation{
		test(path+"/name", change.Container.Name),
		test(path+"/image", change.Container.Image),
		replace(path+"/image", change.To),
	}, nil
}

// memoryOf is the rollout annotation after the changes. Memories of other
// containers are kept to the letter, those of containers that are gone dropped.
func memoryOf(obj client.Object, spec *corev1.PodSpec, changes []plan.ImageChange) (string, error) {
	var former map[string]json.RawMessage
	if json.Unmarshal([]byte(obj.GetAnnotations()[v1alpha1.RolloutAnnotation]), &former) != nil {
		former = nil // Damaged: nothing to keep.
	}
	memory := map[string]json.RawMessage{}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if kept, ok := former[list[i].Name]; ok {
				memory[list[i].Name] = kept
			}
		}
	}
	for i := range changes {
		entry, err := json.Marshal(changes[i].Memory)
		if err != nil {
			return "", fmt.Errorf("memory of container %q: %w", changes[i].Container.Name, err)
		}
		memory[changes[i].Container.Name] = entry
	}
	value, err := json.Marshal(memory)
	return string(value), err
}

// annotationOperations write the rollout annotation over what obj shows of it,
// and over nothing else. In particular no annotations are created where somebody
// else has just created some: an add would replace them.
func annotationOperations(obj client.Object, value string) []operation {
	annotations := obj.GetAnnotations()
	path := annotationsPath + "/" + escape(v1alpha1.RolloutAnnotation)
	former, ok := annotations[v1alpha1.RolloutAnnotation]
	switch {
	case ok:
		return []operation{test(path, former), replace(path, value)}
	case len(annotations) > 0:
		return []operation{test(path, nil), add(path, value)}
	}
	return []operation{
		test(annotationsPath, nil),
		add(annotationsPath, map[string]string{v1alpha1.RolloutAnnotation: value}),
	}
}

// escape makes a token of a JSON pointer (RFC 6901, section 3).
func escape(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}
