// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// hashVersion stands before the hash, so that another way of hashing can be
	// told from another template: an upgrade of the operator builds nothing.
	hashVersion = "v1:"
	// hashLength is the number of hex digits that are kept: 128 bits.
	hashLength = 32
)

// hashedFields are those of a run's spec that say what is built. The others, such
// as timeouts and taskRunTemplate, say how.
var hashedFields = []string{"pipelineRef", "pipelineSpec", "params"}

// TemplateHash is the hash of what a template builds: pipelineRef or pipelineSpec
// and params as written, with the variables not yet replaced. Neither whitespace
// nor the order of keys counts, and a field that is null counts as absent. It is
// empty without a build.
//
// The error is a *UserError where the spec is no JSON object.
func TemplateHash(b *v1alpha1.Build) (string, error) {
	if b == nil {
		return "", nil
	}
	// Numbers stay as they are written.
	decoder := json.NewDecoder(bytes.NewReader(b.PipelineRun.Spec.Raw))
	decoder.UseNumber()
	var spec map[string]any
	if err := decoder.Decode(&spec); err != nil || spec == nil {
		return "", notAnObject()
	}
	hashed := map[string]any{}
	for _, field := range hashedFields {
		if value := spec[field]; value != nil {
			hashed[field] = value
		}
	}
	canonical, err := json.Marshal(hashed) // Sorts the keys.
	if err != nil {
		return "", notAnObject()
	}
	sum := sha256.Sum256(canonical)
	return hashVersion + hex.EncodeToString(sum[:])[:hashLength], nil
}
