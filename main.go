// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command imagelineage is the operator that keeps every container image of an
// organisation on a fresh base.
package main

import (
	"flag"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/imagelineage/imagelineage/internal/operator"
)

func main() {
	var options operator.Options
	options.Bind(flag.CommandLine)
	flag.Parse()

	if err := operator.Run(ctrl.SetupSignalHandler(), options); err != nil {
		fmt.Fprintln(os.Stderr, "imagelineage:", err)
		os.Exit(1)
	}
}
