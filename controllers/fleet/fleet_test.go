// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

var created = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// made is a lineage in shop, with an image of its own name.
func made(name string, edits ...func(*v1alpha1.ImageLineage)) *v1alpha1.ImageLineage {
	l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(created),
	}}
	l.Spec.Image = v1alpha1.ImageReference("registry.example.com/shop/" + name + ":1")
	for _, edit := range edits {
		edit(l)
	}
	return l
}

func on(namespace, name string) func(*v1alpha1.ImageLineage) {
	return func(l *v1alpha1.ImageLineage) {
		ref := &v1alpha1.LineageReference{Namespace: v1alpha1.NamespaceName(namespace), Name: v1alpha1.ObjectName(name)}
		l.Spec.From = append(l.Spec.From, v1alpha1.Parent{LineageRef: ref})
	}
}

func onImage(image string) func(*v1alpha1.ImageLineage) {
	return func(l *v1alpha1.ImageLineage) {
		l.Spec.From = append(l.Spec.From, v1alpha1.Parent{Image: v1alpha1.ImageReference(image)})
	}
}

func isBuilt(l *v1alpha1.ImageLineage) { l.Spec.Build = &v1alpha1.Build{} }

func TestNode(t *testing.T) {
	tests := map[string]struct {
		lineage *v1alpha1.ImageLineage
		want    lineage.Node
	}{
		"a followed image in its canonical form": {
			lineage: made("debian", func(l *v1alpha1.ImageLineage) { l.Spec.Image = "debian:12" }),
			want:    lineage.Node{Reference: "docker.io/library/debian:12"},
		},
		"where tags choose it stands for no tag": {
			lineage: made("debian", func(l *v1alpha1.ImageLineage) {
				l.Spec.Image, l.Spec.Tags = "docker.io/library/debian", &v1alpha1.TagPolicy{}
			}),
			want: lineage.Node{Reference: "docker.io/library/debian"},
		},
		"parents by name, here and elsewhere, and by image": {
			lineage: made("web", on("", "base"), on("platform", "go"), onImage("golang:1.26")),
			want: lineage.Node{
				Reference: "registry.example.com/shop/web:1",
				From: []lineage.Parent{
					{Lineage: lineage.Key{Namespace: "shop", Name: "base"}},
					{Lineage: lineage.Key{Namespace: "platform", Name: "go"}},
					{Image: "docker.io/library/golang:1.26"},
				},
			},
		},
		"a parent that cannot be used is nobody, and the lineage not followed": {
			lineage: made("web", onImage("UPPER:1")),
			want:    lineage.Node{Reference: "registry.example.com/shop/web:1", From: []lineage.Parent{{}}},
		},
		"one that is built claims its image": {
			lineage: made("web", isBuilt),
			want:    lineage.Node{Reference: "registry.example.com/shop/web:1", Claim: &lineage.Claim{Created: created.Unix(), UID: "uid-web"}},
		},
		"what it has to show for its claim": {
			lineage: made("web", isBuilt, func(l *v1alpha1.ImageLineage) {
				l.Status.Current = &v1alpha1.CurrentRevision{}
				l.Status.History = []v1alpha1.Revision{{Origin: v1alpha1.OriginAdopted}, {Origin: v1alpha1.OriginBuilt}}
			}),
			want: lineage.Node{
				Reference: "registry.example.com/shop/web:1",
				Claim:     &lineage.Claim{Built: true, Current: true, Created: created.Unix(), UID: "uid-web"},
			},
		},
		"one that is being deleted claims nothing": {
			lineage: made("web", isBuilt, func(l *v1alpha1.ImageLineage) { l.DeletionTimestamp = &metav1.Time{Time: created} }),
			want:    lineage.Node{Reference: "registry.example.com/shop/web:1"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, plan.NodeOf(tc.lineage)); diff != "" {
				t.Errorf("node (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFleet: the lineages and their graph change together.
func TestFleet(t *testing.T) {
	base, web := made("base", isBuilt, onImage("debian:12")), made("web", isBuilt, on("", "base"))
	of := client.ObjectKeyFromObject
	names := func(all []*v1alpha1.ImageLineage) (out []string) {
		for _, l := range all {
			out = append(out, l.Name)
		}
		return out
	}
	ref, err := reference.ParseTag(string(base.Spec.Image))
	if err != nil {
		t.Fatal(err)
	}
	var f Fleet
	check := func(when string, wantHolder, wantParents, wantDependents, wantAncestry []string) {
		t.Helper()
		var holder []string
		if l := f.Holder(ref); l != nil {
			holder = []string{l.Name}
		}
		graph, lineages := f.Ancestry(of(web))
		var ancestry []string
		for _, key := range append(graph.Ancestors(of(web)), of(web)) {
			if lineages[key] != nil {
				ancestry = append(ancestry, lineages[key].Name)
			}
		}
		got := [][]string{holder, names(f.Parents(of(web))), names(f.Dependents(of(base))), ancestry}
		want := [][]string{wantHolder, wantParents, wantDependents, wantAncestry}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if got, want := f.HasChild(of(base)), f.Get(of(base)) != nil && len(wantDependents) > 0; got != want {
			t.Errorf("%s: HasChild = %v, want %v", when, got, want)
		}
	}
	check("empty", nil, nil, nil, nil)
	f.Put(web)
	check("without the parent", nil, nil, []string{"web"}, []string{"web"})
	f.Put(base)
	check("both", []string{"base"}, []string{"base"}, []string{"web"}, []string{"base", "web"})
	if f.Get(of(base)) != base {
		t.Error("Get returns another object than was put")
	}
	f.Put(made("web", isBuilt, onImage("debian:12")))
	check("edited", []string{"base"}, nil, nil, []string{"web"})
	f.Delete(of(base))
	f.Delete(of(web))
	check("empty again", nil, nil, nil, nil)
}
