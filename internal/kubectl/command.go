// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package kubectl is what "kubectl lineage" does, with the rights of the user who calls
// it. Each subcommand has a file.
package kubectl

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// NewCommand is the root of the subcommands. The flags of kubectl that say which cluster,
// as whom and in which namespace are those of all of them.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	config := genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:         "kubectl-lineage",
		Short:       "Ask about image lineages",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl lineage"},
		// What goes wrong is seldom a wrong flag.
		SilenceUsage: true,
	}
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(newPlanCommand(config))
	return root
}
