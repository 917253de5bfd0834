// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command kubectl-lineage is a plugin for kubectl: where it is on the PATH, "kubectl
// lineage" runs it.
package main

import (
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/imagelineage/imagelineage/internal/kubectl"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	if err := kubectl.NewCommand(streams).Execute(); err != nil {
		os.Exit(1) // cobra has said why
	}
}
