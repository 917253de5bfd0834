// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Command troubleshooting writes docs/troubleshooting.md from the table of failures. It
// is run by "make docs".
package main

import (
	"fmt"
	"os"

	"github.com/imagelineage/imagelineage/test/failures"
)

func main() {
	if err := os.WriteFile(failures.Page, []byte(failures.Render()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "troubleshooting:", err)
		os.Exit(1)
	}
}
