// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package shop

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// FirstVersion is the version of Package in the base that a shop opens with.
const FirstVersion = "1.0"

// Step tells that something is being done, and does it.
type Step func(what string, do func() error) error

// Claim makes the shop's namespaces, and refuses those that are somebody else's.
func (l Live) Claim(ctx context.Context) error {
	for _, name := range l.Namespaces() {
		namespace := &corev1.Namespace{}
		err := l.Client.Get(ctx, types.NamespacedName{Name: name}, namespace)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err == nil && namespace.Labels[PartOfLabel] != l.PartOf {
			return fmt.Errorf("the namespace %s exists and is not ours (label %s): the shop leaves it alone", name, PartOfLabel)
		}
		if err == nil && namespace.DeletionTimestamp != nil {
			return fmt.Errorf("the namespace %s is just being deleted: try again when it is gone", name)
		}
	}
	return l.apply(ctx, "namespaces.yaml", nil)
}

// Open opens a shop whose namespaces are claimed and whose images are not there yet:
// pushes what others make, applies what a user would write, and waits until all of it
// is built and runs.
func (l Live) Open(ctx context.Context, log io.Writer, step Step) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"Debian with " + Package + " " + FirstVersion, func() error { return l.pushGiven(ctx, log) }},
		{"pipelines and lineages", func() error { return l.Declare(ctx) }},
		{"the first images", func() error { return Until(ctx, 5*time.Minute, "the first images", l.built()) }},
		{"workloads", func() error { return l.createWorkloads(ctx) }},
		{"everything Ready", func() error { return Until(ctx, 3*time.Minute, "the shop", l.Settled) }},
	}
	for _, s := range steps {
		if err := step(s.what, s.do); err != nil {
			return err
		}
	}
	return nil
}

// pushGiven pushes what the shop does not build itself.
func (l Live) pushGiven(ctx context.Context, log io.Writer) error {
	if err := l.PushBase(ctx, log, FirstVersion); err != nil {
		return err
	}
	if _, err := l.Move(ctx, FirstVersion); err != nil {
		return err
	}
	if err := l.PushBuilder(ctx); err != nil {
		return err
	}
	if err := l.PushReports(ctx); err != nil {
		return err
	}
	_, err := l.PushVendor(ctx, l.BaseVersion(FirstVersion), "first")
	return err
}

// Declare applies the pipelines and the lineages.
func (l Live) Declare(ctx context.Context) error {
	for _, namespace := range l.Namespaces() {
		if err := l.apply(ctx, "pipeline.yaml", namespace); err != nil {
			return err
		}
	}
	return l.apply(ctx, "lineages.yaml", nil)
}

func (l Live) apply(ctx context.Context, file string, given any) error {
	objects, err := l.Render(file, given)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return Apply(ctx, l.Client, objects)
}

// patience is how long a failed build may stay one: with an input that was just pushed it
// is tried again as soon as the input is seen.
const patience = 30 * time.Second

// built is a condition that holds when every lineage has an image. The workloads come
// after that: a kubelet that has once failed to pull an image waits long before it tries
// again.
func (l Live) built() func(context.Context) error {
	begun := time.Now()
	return func(ctx context.Context) error {
		lineages, err := l.Lineages(ctx)
		if err != nil {
			return err
		}
		var waiting error
		for i := range lineages {
			ready := Condition(&lineages[i], v1alpha1.ConditionReady)
			if ready.Reason == v1alpha1.ReasonBuildFailed && time.Since(begun) > patience {
				return &FatalError{Message: lineages[i].Name + ": " + ready.Message}
			}
			if lineages[i].Status.Current == nil && waiting == nil {
				waiting = fmt.Errorf("%s: %s", lineages[i].Name, SaidOf(&lineages[i]))
			}
		}
		return waiting
	}
}

func (l Live) createWorkloads(ctx context.Context) error {
	objects, err := l.Render("workloads.yaml", nil)
	if err != nil {
		return err
	}
	return CreateMissing(ctx, l.Client, objects)
}

// Close deletes every namespace of a shop, and waits until they are gone.
func Close(ctx context.Context, c client.Client, partOf string) error {
	ours := client.MatchingLabels{PartOfLabel: partOf}
	found := &corev1.NamespaceList{}
	if err := c.List(ctx, found, ours); err != nil {
		return err
	}
	for i := range found.Items {
		if err := c.Delete(ctx, &found.Items[i]); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return Until(ctx, 3*time.Minute, "the end of the namespaces", func(ctx context.Context) error {
		left := &corev1.NamespaceList{}
		if err := c.List(ctx, left, ours); err != nil {
			return err
		}
		if len(left.Items) > 0 {
			return fmt.Errorf("%s and %d more are not gone", left.Items[0].Name, len(left.Items)-1)
		}
		return nil
	})
}
