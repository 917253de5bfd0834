// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package kubectl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/preview"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// newPlanCommand is "kubectl lineage plan".
func newPlanCommand(config *genericclioptions.ConfigFlags) *cobra.Command {
	var moved, output string
	command := &cobra.Command{
		Use:   "plan --if-moved LINEAGE|IMAGE",
		Short: "Show what would be built, in what order, and which workloads restart",
		Long: `Show what would be built, in what order, and which workloads restart, if an image had a new digest.

It decides as the operator does, from what the API server tells, and changes nothing.
It asks no registry, and takes it that every build makes another image.`,
		Example: `  # a lineage, in another namespace or in this one
  kubectl lineage plan --if-moved platform/debian
  kubectl lineage plan --if-moved web

  # an image that may have no lineage of its own
  kubectl lineage plan --if-moved docker.io/library/golang:1.26 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reader, namespace, err := connect(config)
			if err != nil {
				return err
			}
			return showPlan(cmd.Context(), cmd.OutOrStdout(), reader, namespace, moved, output)
		},
	}
	command.Flags().StringVar(&moved, "if-moved", "", "What is to move: a lineage as NAME or NAMESPACE/NAME, or an image as REPOSITORY:TAG.")
	command.Flags().StringVarP(&output, "output", "o", "", "Output format: json, or nothing for text.")
	cobra.CheckErr(command.MarkFlagRequired("if-moved"))
	return command
}

// showPlan writes what would happen. Workloads are read only where some may be moved.
func showPlan(ctx context.Context, out io.Writer, c client.Reader, namespace, what, output string) error {
	if output != "" && output != "json" {
		return fmt.Errorf("--output %s: write json, or leave it out", output)
	}
	moved, err := parseMoved(what, namespace)
	if err != nil {
		return err
	}
	fleet, err := readFleet(ctx, c, namespace, time.Now())
	if err != nil {
		return err
	}
	said, err := preview.Of(fleet, moved)
	if err != nil {
		return err
	}
	if err := readWorkloads(ctx, c, &fleet, said.Namespaces()); err != nil {
		return err
	}
	if said, err = preview.Of(fleet, moved); err != nil {
		return err
	}
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(said)
	}
	_, err = io.WriteString(out, said.String())
	return err
}

// parseMoved reads what is to move. Names of lineages have no colon, and an image that can
// move has a tag.
func parseMoved(what, namespace string) (preview.Moved, error) {
	if strings.Contains(what, ":") {
		ref, err := reference.ParseTag(what)
		if err != nil {
			return preview.Moved{}, fmt.Errorf("--if-moved: %w", err)
		}
		return preview.Moved{Image: ref}, nil
	}
	key := lineage.Key{Namespace: namespace, Name: what}
	if before, after, qualified := strings.Cut(what, "/"); qualified {
		key = lineage.Key{Namespace: before, Name: after}
	}
	if key.Namespace == "" || key.Name == "" || strings.Contains(key.Name, "/") {
		return preview.Moved{}, fmt.Errorf("--if-moved %s: write a lineage as NAME or NAMESPACE/NAME, or an image with its tag, REPOSITORY:TAG", what)
	}
	return preview.Moved{Lineage: key}, nil
}
