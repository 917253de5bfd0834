//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/test/shop"
)

// operatorLabels select the operator's Pod.
const operatorLabels = "app.kubernetes.io/name=imagelineage,app.kubernetes.io/component=operator"

// TestStoryOperatorKilled: the operator dies in the middle of a cascade, and nothing is
// lost or done twice.
func TestStoryOperatorKilled(t *testing.T) {
	begin(t, "TestStoryCascade")
	if passed["TestStoryParentNotAllowed"] {
		suspendGuest(t)
	}
	before, untouched := count(t), templates(t)
	pushed := move(t, third)
	until(t, answerLimit, "the first run", func(context.Context) error {
		_, err := entry(pushed, shop.RunStarted, live.Namespace("platform")+"/corp-base")
		return err
	})
	kill(t)
	until(t, cascadeLimit, "the cascade", func(ctx context.Context) error {
		if err := baseIsSeen(ctx); err != nil {
			return err
		}
		if err := onParent(ctx, "platform", "corp-base", "platform", "debian"); err != nil {
			return err
		}
		// That the tag of api was put back holds until its parents move.
		if err := onParent(ctx, "shop", "api", "platform", "corp-base"); err != nil {
			return err
		}
		return live.AtRest(ctx)
	})
	want := inventory{"run corp-base": 1, "run api": 1, "template StatefulSet/api": 1}
	if !passed["TestStoryRelease"] {
		want["run web"], want["template Deployment/web"], want["template Deployment/web-admin"] = 1, 1, 1
	}
	added(t, before, want)
	checkRunsUnique(t)
	for what, template := range templates(t) {
		if want["template StatefulSet/api"] > 0 && what == "statefulset/api" {
			continue
		}
		if diff := cmp.Diff(untouched[what], template); diff != "" && passed["TestStoryRelease"] {
			t.Errorf("%s was touched (-before +after):\n%s", what, diff)
		}
	}
	version, err := live.Version(t.Context(), "api")
	must(t, err)
	if version != third {
		t.Errorf("the pods of api have %s %s, want %s", shop.Package, version, third)
	}
}

// kill deletes the operator's Pods, and waits for another one.
func kill(t *testing.T) {
	t.Helper()
	old, err := operatorPods(t.Context())
	must(t, err)
	for i := range old {
		must(t, client.IgnoreNotFound(live.Client.Delete(t.Context(), &old[i])))
	}
	until(t, answerLimit, "another operator", func(ctx context.Context) error {
		pods, err := operatorPods(ctx)
		if err != nil {
			return err
		}
		for i := range pods {
			if pods[i].UID != old[0].UID && pods[i].Status.Phase == corev1.PodRunning {
				return nil
			}
		}
		return errors.New("none is running")
	})
}

func operatorPods(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := live.Client.List(ctx, pods, client.InNamespace(shop.OperatorNamespace), client.MatchingLabels{
		"app.kubernetes.io/name": "imagelineage", "app.kubernetes.io/component": "operator",
	})
	if err == nil && len(pods.Items) == 0 {
		err = fmt.Errorf("no Pod of the operator is in %s", shop.OperatorNamespace)
	}
	return pods.Items, err
}

// onParent holds when a lineage is built from what its parent base is now.
func onParent(ctx context.Context, namespace, name, parentNamespace, parentName string) error {
	child, err := live.Lineage(ctx, namespace, name)
	if err != nil {
		return err
	}
	parent, err := live.Lineage(ctx, parentNamespace, parentName)
	if err != nil {
		return err
	}
	return builtOn(child, "base", parent)
}
