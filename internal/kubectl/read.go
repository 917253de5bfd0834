// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/preview"
	"github.com/imagelineage/imagelineage/internal/tekton"
	"github.com/imagelineage/imagelineage/internal/workload"
)

// connect is a connection to the cluster that the flags name, which can only read, and
// the namespace that they name.
func connect(config *genericclioptions.ConfigFlags) (client.Reader, string, error) {
	namespace, _, err := config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", err
	}
	cluster, err := config.ToRESTConfig()
	if err != nil {
		return nil, "", err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, "", err
		}
	}
	c, err := client.New(cluster, client.Options{Scheme: scheme})
	return c, namespace, err
}

// readFleet reads all lineages that the user may: those of all namespaces, or else of one.
func readFleet(ctx context.Context, c client.Reader, namespace string, now time.Time) (preview.Fleet, error) {
	fleet := preview.Fleet{Now: now, NamespaceLabels: map[string]map[string]string{}}
	lineages := &v1alpha1.ImageLineageList{}
	err := c.List(ctx, lineages)
	if apierrors.IsForbidden(err) {
		fleet.Partial = true
		err = c.List(ctx, lineages, client.InNamespace(namespace))
	}
	if err != nil {
		return fleet, fmt.Errorf("listing ImageLineages: %w", err)
	}
	for i := range lineages.Items {
		fleet.Members = append(fleet.Members, memberOf(&lineages.Items[i]))
		if err := readLabels(ctx, c, fleet.NamespaceLabels, lineages.Items[i].Namespace); err != nil {
			return fleet, err
		}
	}
	return fleet, nil
}

// memberOf is a lineage with what can be told of its template without Tekton.
func memberOf(l *v1alpha1.ImageLineage) preview.Member {
	m := preview.Member{Lineage: l}
	if !plan.Produced(l) {
		return m
	}
	hash, err := tekton.TemplateHash(l.Spec.Build)
	if err == nil {
		m.Template, err = hash, tekton.Check(l)
	}
	if err != nil {
		m.TemplateProblem = &plan.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	}
	return m
}

// readLabels reads the labels of a namespace, unless they are known, or the user may not.
func readLabels(ctx context.Context, c client.Reader, known map[string]map[string]string, namespace string) error {
	if _, read := known[namespace]; read {
		return nil
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := c.Get(ctx, client.ObjectKey{Name: namespace}, found)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil
	}
	known[namespace] = found.Labels
	return err
}

// readWorkloads reads the workloads of namespaces, and what their pods run. Where the
// user may not read all of that, nothing is known of a namespace.
func readWorkloads(ctx context.Context, c client.Reader, fleet *preview.Fleet, namespaces []string) error {
	fleet.Workloads = map[string][]plan.Workload{}
	for _, namespace := range namespaces {
		found, err := workloadsOf(ctx, c, namespace)
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the workloads of namespace %s: %w", namespace, err)
		}
		fleet.Workloads[namespace] = found
	}
	return nil
}

func workloadsOf(ctx context.Context, c client.Reader, namespace string) ([]plan.Workload, error) {
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var out []plan.Workload
	add := func(o runtime.Object) error {
		obj, ok := o.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", o)
		}
		w, err := workload.FromObject(obj)
		if err != nil {
			return err
		}
		selector, err := workload.Selector(obj)
		if err != nil {
			return err
		}
		out = append(out, workload.Running(w, selector, pods.Items))
		return nil
	}
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}} {
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		if err := meta.EachListItem(list, add); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b plan.Workload) int { return cmp.Compare(a.String(), b.String()) })
	return out, nil
}
