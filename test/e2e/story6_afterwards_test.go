//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"strings"
	"testing"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// TestStoryReleaseSurvives: the base has moved, and the release is what it was.
func TestStoryReleaseSurvives(t *testing.T) {
	begin(t, "TestStoryRelease", "TestStoryOperatorKilled")
	web := becomes(t, answerLimit, "shop", "web", func(l *v1alpha1.ImageLineage) error {
		return says(l, "Ready=False SourceUnknown", "Stalled=True SourceUnknown", "UpToDate=False ParentChanged")
	})
	must(t, shows(web, releaseDigest))
	shown, err := live.Registry.Digest(t.Context(), live.Image("shop/web:stable"))
	must(t, err)
	if shown != releaseDigest {
		t.Errorf("the tag shows %s, and the release was %s", shown, releaseDigest)
	}
	for app, digest := range map[string]string{"web": releaseDigest, "web-admin": revisionDigest(t, "web", 1)} {
		pods, err := live.Pods(t.Context(), app)
		must(t, err)
		for i := range pods {
			if id := pods[i].Status.ContainerStatuses[0].ImageID; !strings.HasSuffix(id, digest) {
				t.Errorf("pod %s runs %s, want %s", pods[i].Name, id, digest)
			}
		}
	}
}

// TestStorySuspend: what is suspended was not built, and is when it is resumed.
func TestStorySuspend(t *testing.T) {
	begin(t, "TestStoryParentNotAllowed", "TestStoryOperatorKilled")
	guest := becomes(t, answerLimit, "guest", "guest", func(l *v1alpha1.ImageLineage) error {
		return says(l, "Ready=True HeldSuspended", "UpToDate=False ParentChanged")
	})
	before := count(t)
	if before["run guest"] != 1 {
		t.Errorf("it was built while it was suspended")
	}
	patchObject(t, &v1alpha1.ImageLineage{}, guest.Namespace, guest.Name, `{"spec":{"suspend":false}}`)
	corp := lineage(t, "platform", "corp-base")
	becomes(t, answerLimit, "guest", "guest", func(l *v1alpha1.ImageLineage) error {
		if err := builtOn(l, "base", corp); err != nil {
			return err
		}
		return says(l, "Ready=True UpToDate")
	})
	added(t, before, inventory{"run guest": 1})
}
