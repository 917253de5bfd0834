// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package tekton renders PipelineRuns from a lineage's template, creates them,
// and reads back what became of them. It is the only importer of tektoncd/pipeline.
//
// A run is created unstructured, so that the cluster's own Tekton decides what is
// valid, and read with Tekton's types. All that is needed to finish a run after a
// restart stands in its annotations: what it makes, of what, and what its tag
// showed when it was decided.
//
// The package decides nothing: plan.Build says what to create, and plan.Run is
// what was observed.
package tekton
