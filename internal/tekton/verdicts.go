// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// verdictLimit bounds the memory: beyond it everything is forgotten, which
	// costs one question for each content.
	verdictLimit = 10_000
	// refusalLasts is how long a refusal is believed. A person who changes a
	// policy or upgrades Tekton does not touch the lineage.
	refusalLasts = 10 * time.Minute
)

// contentHash stands for what a dry run judges.
type contentHash [sha256.Size]byte

// verdicts remember the answers to dry runs.
type verdicts struct {
	now     func() time.Time
	mu      sync.Mutex
	answers map[contentHash]verdict
}

type verdict struct {
	refused *RefusedError // nil where the content is let in.
	at      time.Time
}

func newVerdicts(now func() time.Time) *verdicts {
	return &verdicts{now: now, answers: map[contentHash]verdict{}}
}

// get is the answer for a content, if it is known.
func (v *verdicts) get(key contentHash) (known bool, refusal error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	answer, ok := v.answers[key]
	switch {
	case !ok:
		return false, nil
	case answer.refused == nil:
		return true, nil
	case v.now().Sub(answer.at) >= refusalLasts:
		delete(v.answers, key)
		return false, nil
	}
	return true, answer.refused
}

// put remembers an answer; refused is nil where the content is let in.
func (v *verdicts) put(key contentHash, refused *RefusedError) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.answers) >= verdictLimit {
		clear(v.answers)
	}
	v.answers[key] = verdict{refused: refused, at: v.now()}
}

// contentKey is the hash of what a template's author can be told about: the
// namespace, the spec, and the labels and annotations that are not ours. The
// name, the owner and our annotations differ from run to run and are always
// valid.
func contentKey(run *unstructured.Unstructured) (contentHash, error) {
	ours := func(key, _ string) bool { return strings.HasPrefix(key, "imagelineage.dev/") }
	labels, annotations := run.GetLabels(), run.GetAnnotations()
	maps.DeleteFunc(labels, ours)
	maps.DeleteFunc(annotations, ours)
	content, err := json.Marshal([]any{run.GetAPIVersion(), run.GetNamespace(), run.Object["spec"], labels, annotations})
	if err != nil {
		return contentHash{}, fmt.Errorf("content of PipelineRun %s/%s: %w", run.GetNamespace(), run.GetName(), err)
	}
	return sha256.Sum256(content), nil
}
