//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/test/shop"
)

// openAdmin makes the second workload of web, and waits until it runs.
func openAdmin(ctx context.Context) error {
	text, err := os.ReadFile("testdata/admin.yaml")
	if err != nil {
		return err
	}
	objects, err := live.RenderText(string(text), nil)
	if err != nil {
		return err
	}
	if err := shop.CreateMissing(ctx, live.Client, objects); err != nil {
		return err
	}
	return shop.Until(ctx, time.Minute, "web-admin", func(ctx context.Context) error {
		web, err := live.Lineage(ctx, "shop", "web")
		if err != nil {
			return err
		}
		if web.Status.Rollout == nil || web.Status.Rollout.Summary != "2/2" {
			return fmt.Errorf("web has %+v", web.Status.Rollout)
		}
		return live.Settled(ctx)
	})
}

// releaseDigest is what the release of web is, from its story on.
var releaseDigest string

// TestStoryRelease: a release pushed by hand is adopted and rolled out.
func TestStoryRelease(t *testing.T) {
	begin(t, "TestStoryCascade")
	before := count(t)
	digest, err := live.PushRelease(t.Context(), "shop/web:stable", "1")
	must(t, err)
	web := becomes(t, answerLimit, "shop", "web", func(l *v1alpha1.ImageLineage) error {
		if err := shows(l, digest); err != nil {
			return err
		}
		return says(l, "Ready=True UpToDate", "RolledOut=True RolledOut")
	})
	if web.Status.Current.Origin != v1alpha1.OriginAdopted {
		t.Errorf("its origin is %s", web.Status.Current.Origin)
	}
	must(t, builtOn(web, "base", lineage(t, "platform", "corp-base")))
	added(t, before, inventory{"template Deployment/web": 1, "template Deployment/web-admin": 1})
	podsRun(t, second)
	releaseDigest = digest
}

// TestStoryUndo: a workload that a person sets back is left alone and reported.
func TestStoryUndo(t *testing.T) {
	begin(t, "TestStoryRelease")
	before := count(t)
	current := lineage(t, "shop", "web").Status.Current
	namespace := "--namespace=" + live.Namespace("shop")

	_, err := live.Cluster.Run(t.Context(), "rollout", "undo", "deployment/web-admin", namespace)
	must(t, err)
	held(t, revisionDigest(t, "web", current.Revision.Revision-1))

	first := live.Image("shop/web:stable") + "@" + revisionDigest(t, "web", 1)
	_, err = live.Cluster.Run(t.Context(), "set", "image", "deployment/web-admin", "app="+first, namespace)
	must(t, err)
	held(t, revisionDigest(t, "web", 1))

	// Undoing reuses the template that was there before; setting makes another one.
	added(t, before, inventory{"template Deployment/web-admin": 1})
}

// held waits until web-admin runs a digest, and web says that it is held there.
func held(t *testing.T, digest string) {
	t.Helper()
	becomes(t, answerLimit, "shop", "web", func(l *v1alpha1.ImageLineage) error {
		pods, err := live.Pods(t.Context(), "web-admin")
		if err != nil {
			return err
		}
		if len(pods) != 1 || len(pods[0].Status.ContainerStatuses) == 0 ||
			!strings.HasSuffix(pods[0].Status.ContainerStatuses[0].ImageID, digest) {
			return fmt.Errorf("web-admin does not run %s", digest)
		}
		if err := says(l, "Ready=True HeldByUser", "RolledOut=False HeldByUser", "UpToDate=True UpToDate"); err != nil {
			return err
		}
		if r := l.Status.Rollout; r.Total != 2 || r.Current != 1 || r.Held != 1 || r.Summary != "1/2" {
			return fmt.Errorf("web counts %+v", *r)
		}
		return nil
	})
}

// revisionDigest is the digest of a revision in a lineage's history.
func revisionDigest(t *testing.T, name string, number int64) string {
	t.Helper()
	for _, r := range lineage(t, "shop", name).Status.History {
		if r.Revision == number {
			return string(r.Digest)
		}
	}
	t.Fatalf("%s has no revision %d", name, number)
	return ""
}

// putBack is what the inventory was when the tag of api was put back.
var putBack inventory

// TestStoryTagPutBack: a tag that a person puts back is followed and not undone.
func TestStoryTagPutBack(t *testing.T) {
	begin(t, "TestStoryCascade")
	putBack = count(t)
	left := lineage(t, "shop", "api").Status.Current.Revision.Revision
	first := revisionDigest(t, "api", 1)
	_, err := live.Registry.Retag(t.Context(), live.Image("shop/api")+"@"+first, live.Image("shop/api:stable"))
	must(t, err)
	api := becomes(t, answerLimit, "shop", "api", func(l *v1alpha1.ImageLineage) error {
		if err := shows(l, first); err != nil {
			return err
		}
		if r := l.Status.Rollout; r == nil || r.Summary != "1/1" {
			return fmt.Errorf("api counts %+v", r)
		}
		return says(l, "Ready=True HeldByUser", "UpToDate=False ParentChanged", "RolledOut=True RolledOut")
	})
	current := api.Status.Current
	if current.Origin != v1alpha1.OriginRolledBack || current.RolledBackFrom != left || current.Revision.Revision <= left {
		t.Errorf("current is %s, revision %d, left %d; want %s of revision %d", current.Origin,
			current.Revision.Revision, current.RolledBackFrom, v1alpha1.OriginRolledBack, left)
	}
	// The template of the first image is there already, as a plain tag's it is another.
	added(t, putBack, inventory{"template StatefulSet/api": 1})
}

// stillPutBack checks that nobody has undone it, some checks of the tag later.
func stillPutBack(t *testing.T) {
	t.Helper()
	shown, err := live.Registry.Digest(t.Context(), live.Image("shop/api:stable"))
	must(t, err)
	api := lineage(t, "shop", "api")
	must(t, shows(api, shown))
	must(t, says(api, "Ready=True HeldByUser"))
	if now := count(t); now["run api"] != putBack["run api"] {
		t.Errorf("api was built after its tag was put back")
	}
}
