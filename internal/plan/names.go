// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

const (
	// runNameLength bounds the lineage's part of a run's name. With the hash it
	// leaves room for what Tekton appends for pods, within the 63 characters of
	// a label value.
	runNameLength = 40
	// runHashLength is 50 bits in base32.
	runHashLength = 10
	// tagLength is the longest tag that a registry takes (OCI distribution-spec,
	// "Pulling manifests").
	tagLength = 128
	// inputsVersion stands before the hash, so that another way of hashing can be
	// told from other inputs.
	inputsVersion = "v1:"
	// inputsLength is the number of hex digits that are kept: 128 bits.
	inputsLength = 32
)

// RunName names the PipelineRun that makes revision number of a lineage from
// inputs: NAME-HASH, with at most 40 characters of the lineage's name and a hash
// of 10 characters over all arguments but the name. The same arguments give the
// same name, so that the API server refuses to create a run twice, whoever
// restarts in between.
func RunName(lineageName string, uid types.UID, number int64, inputs string, attempt int64) string {
	prefix := strings.ReplaceAll(lineageName, ".", "-")
	if len(prefix) > runNameLength {
		prefix = prefix[:runNameLength]
	}
	prefix = strings.TrimRight(prefix, "-")
	sum := sha256.Sum256(canonical([]string{
		string(uid), strconv.FormatInt(number, 10), inputs, strconv.FormatInt(attempt, 10),
	}))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:runHashLength]
	return prefix + "-" + hash
}

// OutputTag is the revision tag that a run pushes to: TAG-HASH, with the hash of
// the run's name. The tag is cut where the whole would be longer than the 128
// characters that a registry takes.
func OutputTag(tag, runName string) string {
	hash := runName[strings.LastIndexByte(runName, '-')+1:]
	room := max(tagLength-len(hash)-1, 0)
	if len(tag) > room {
		tag = tag[:room]
	}
	return tag + "-" + hash
}

// inputParent is a parent as it counts for InputsHash.
type inputParent struct {
	Name       string   `json:"name"`
	Reference  string   `json:"reference"`
	Identities []string `json:"identities"`
}

// InputsHash is the hash of everything that an image is made of: the lineage's
// canonical reference, the identities of its parents, the hash of the template,
// the rebuild token where a person asked, and the epoch where a build is due because
// of the time. Without an epoch the hash is what it was before there were any. The order of parents and of their
// identities does not count, and neither do the parents' digests, except that a
// parent without identities is known by its digest alone.
//
// It is recorded in runs and revisions: a change here needs another version
// before the hash.
func InputsHash(reference string, builtFrom []v1alpha1.BuiltFrom, template, request, epoch string) string {
	parents := make([]inputParent, 0, len(builtFrom))
	for _, b := range builtFrom {
		parents = append(parents, inputParent{
			Name: string(b.Name), Reference: b.Reference, Identities: identityValues(b),
		})
	}
	slices.SortFunc(parents, func(a, b inputParent) int { return strings.Compare(a.Name, b.Name) })
	sum := sha256.Sum256(canonical(struct {
		Reference string        `json:"reference"`
		Parents   []inputParent `json:"parents"`
		Template  string        `json:"template"`
		Request   string        `json:"request"`
		Epoch     string        `json:"epoch,omitempty"`
	}{reference, parents, template, request, epoch}))
	return inputsVersion + hex.EncodeToString(sum[:])[:inputsLength]
}

// identityValues are the parent's identities as KIND=VALUE, sorted.
func identityValues(b v1alpha1.BuiltFrom) []string {
	if len(b.Identities) == 0 {
		return []string{"Digest=" + string(b.Digest)}
	}
	values := make([]string, 0, len(b.Identities))
	for _, identity := range b.Identities {
		values = append(values, string(identity.Kind)+"="+identity.Value)
	}
	slices.Sort(values)
	return values
}

// canonical is the JSON of v. It is given only strings and structs and slices of
// strings, whose JSON is always the same and never fails.
func canonical(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("plan: JSON of %T: %v", v, err))
	}
	return raw
}
