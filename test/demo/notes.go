// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

const (
	// partOf marks the demo's namespaces.
	partOf = "imagelineage-demo"
	// madeAnnotation notes on the platform namespace what else the demo made.
	madeAnnotation = "demo.imagelineage.dev/made"
)

// made is what the demo made beside its namespaces, and what down removes.
type made struct {
	Cluster  bool `json:"cluster"`
	Operator bool `json:"operator"`
}

// connect finds the shop in a cluster, open or not.
func connect(ctx context.Context, cluster shop.Cluster, s *screen) (*demo, error) {
	registry, err := shop.Reach(ctx, cluster.Registry)
	if err != nil {
		return nil, err
	}
	connected, config, err := cluster.Connect()
	if err != nil {
		return nil, err
	}
	d := &demo{config: config, screen: s, Live: shop.Live{
		Shop: shop.Shop{Registry: registry, PartOf: partOf}, Cluster: cluster, Client: connected,
	}}
	base, err := d.Lineage(ctx, "platform", "debian")
	switch {
	case err == nil:
		d.Room = strings.TrimSuffix(strings.TrimPrefix(string(base.Spec.Image), registry.Host+"/"), shop.BaseTag)
	case !apierrors.IsNotFound(err) && !shop.NoKind(err):
		return nil, err
	}
	return d, nil
}

// made reads the note; false where there is no demo.
func (d *demo) made(ctx context.Context) (made, bool, error) {
	namespace := &corev1.Namespace{}
	err := d.Client.Get(ctx, types.NamespacedName{Name: d.Namespace("platform")}, namespace)
	if err != nil || namespace.Labels[shop.PartOfLabel] != partOf {
		return made{}, false, client.IgnoreNotFound(err)
	}
	var m made
	if note := namespace.Annotations[madeAnnotation]; note != "" {
		if err := json.Unmarshal([]byte(note), &m); err != nil {
			return made{}, false, fmt.Errorf("annotation %s of namespace %s: %w", madeAnnotation, namespace.Name, err)
		}
	}
	return m, true, nil
}

// note adds to what is noted.
func (d *demo) note(ctx context.Context, also made) error {
	m, _, err := d.made(ctx)
	if err != nil {
		return err
	}
	m.Cluster, m.Operator = m.Cluster || also.Cluster, m.Operator || also.Operator
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{madeAnnotation: string(value)}},
	})
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{}
	namespace.Name = d.Namespace("platform")
	return d.Client.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, patch))
}
