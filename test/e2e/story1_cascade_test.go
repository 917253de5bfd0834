//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// The versions of the base that the stories move to.
const (
	second = "1.1"
	third  = "1.2"
)

// TestStoryCascade: the base moves, and the whole ancestry follows, once and in order.
func TestStoryCascade(t *testing.T) {
	begin(t)
	before := count(t)
	pushed := move(t, second)
	until(t, cascadeLimit, "the cascade", func(ctx context.Context) error {
		if err := baseIsSeen(ctx); err != nil {
			return err
		}
		return live.Settled(ctx)
	})

	t.Run("each is built once, and each workload restarted once", func(t *testing.T) {
		added(t, before, inventory{
			"run corp-base": 1, "run web": 1, "run api": 1,
			"template Deployment/web": 1, "template Deployment/web-admin": 1, "template StatefulSet/api": 1,
		})
		checkRunsUnique(t)
	})
	t.Run("order", order)
	t.Run("layers", layers)
	t.Run("pods", func(t *testing.T) { podsRun(t, second) })
	t.Run("the tracked image is reported and left alone", func(t *testing.T) {
		must(t, says(lineage(t, "shop", "reports"), "Ready=True OutdatedUpstream", "UpToDate=False ParentChanged"))
	})
	t.Run("figures", func(t *testing.T) { cascadeFigures(t, pushed) })
}

// move puts a state of the base under its tag.
func move(t *testing.T, version string) time.Time {
	t.Helper()
	pushed, err := live.Move(t.Context(), version)
	must(t, err)
	return pushed
}

// baseIsSeen holds when the base's lineage has what its tag shows.
func baseIsSeen(ctx context.Context) error {
	digest, err := live.Registry.Digest(ctx, live.Image(shop.BaseTag))
	if err != nil {
		return err
	}
	base, err := live.Lineage(ctx, "platform", "debian")
	if err != nil {
		return err
	}
	if string(base.Status.Current.Digest) != digest {
		return errors.New("the base's new digest was not seen yet")
	}
	return nil
}

// order: each was built from what its parent had just become, so after it.
func order(t *testing.T) {
	base, corp := lineage(t, "platform", "debian"), lineage(t, "platform", "corp-base")
	must(t, builtOn(corp, "base", base))
	for _, app := range []string{"web", "api"} {
		child := lineage(t, "shop", app)
		must(t, builtOn(child, "base", corp))
		if !child.Status.Current.Accepted.After(corp.Status.Current.Accepted.Time) {
			t.Errorf("%s was published at %s, before corp-base at %s", app, child.Status.Current.Accepted, corp.Status.Current.Accepted)
		}
		if diff := cmp.Diff([]v1alpha1.Digest{base.Status.Current.Digest}, rootDigests(child)); diff != "" && app == "web" {
			t.Errorf("roots of %s (-want +got):\n%s", app, diff)
		}
	}
}

func rootDigests(l *v1alpha1.ImageLineage) []v1alpha1.Digest {
	var digests []v1alpha1.Digest
	for _, root := range l.Status.Current.Roots {
		digests = append(digests, root.Digest)
	}
	return digests
}

// layers: the first layers of what was built are the new base's.
func layers(t *testing.T) {
	base, err := live.Registry.Layers(t.Context(), live.BaseVersion(second))
	must(t, err)
	for _, what := range [][2]string{{"platform", "corp-base"}, {"shop", "web"}, {"shop", "api"}} {
		own, err := live.Registry.Layers(t.Context(), lineage(t, what[0], what[1]).Status.Current.Reference)
		must(t, err)
		if len(own) <= len(base) || !slices.Equal(own[:len(base)], base) {
			t.Errorf("%s has the layers %v, which do not begin with the base's %v", what[1], own, base)
		}
	}
}

// podsRun: the pods run the current digests, and their own dpkg tells the version.
func podsRun(t *testing.T, version string) {
	t.Helper()
	for app, name := range map[string]string{"web": "web", "web-admin": "web", "api": "api"} {
		current := lineage(t, "shop", name).Status.Current
		pods, err := live.Pods(t.Context(), app)
		must(t, err)
		if len(pods) == 0 {
			t.Errorf("no pod of %s runs", app)
		}
		for i := range pods {
			if id := pods[i].Status.ContainerStatuses[0].ImageID; !strings.HasSuffix(id, "@"+string(current.Digest)) {
				t.Errorf("pod %s runs %s, want %s", pods[i].Name, id, current.Digest)
			}
			got, err := live.VersionIn(t.Context(), &pods[i])
			must(t, err)
			if got != version {
				t.Errorf("pod %s has %s %s, want %s", pods[i].Name, shop.Package, got, version)
			}
		}
	}
}

// TestStoryServiceImage: a vendor's image moves, and its pods follow without any build.
func TestStoryServiceImage(t *testing.T) {
	begin(t)
	before := count(t)
	digest, err := live.PushVendor(t.Context(), live.BaseVersion(shop.FirstVersion), "second")
	must(t, err)
	becomes(t, answerLimit, "shop", "cache", func(l *v1alpha1.ImageLineage) error {
		if err := shows(l, digest); err != nil {
			return err
		}
		return says(l, "Ready=True UpToDate", "RolledOut=True RolledOut")
	})
	pods, err := live.Pods(t.Context(), "cache")
	must(t, err)
	for i := range pods {
		if id := pods[i].Status.ContainerStatuses[0].ImageID; !strings.HasSuffix(id, "@"+digest) {
			t.Errorf("pod %s runs %s, want %s", pods[i].Name, id, digest)
		}
	}
	added(t, before, inventory{"template DaemonSet/cache": 1})
}
