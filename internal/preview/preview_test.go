// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package preview

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

var update = flag.Bool("update", false, "write testdata anew")

// now is a Sunday.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a fleet in the making, in which everything is up to date.
type world struct {
	fleet   Fleet
	current map[string]v1alpha1.Digest
}

func newWorld() *world {
	return &world{
		fleet: Fleet{
			Now: now, Workloads: map[string][]plan.Workload{"platform": nil, "shop": nil},
			NamespaceLabels: map[string]map[string]string{"platform": nil, "shop": {"tier": "apps"}},
		},
		current: map[string]v1alpha1.Digest{},
	}
}

func imageOf(name string) string {
	return "registry.example.com/" + name + ":1"
}

// add adds a lineage, namespace/name, with an image of its name that is built from the
// present images of its parents; parents with a tag are images.
func (w *world) add(name string, parents ...string) *v1alpha1.ImageLineage {
	namespace, short, _ := strings.Cut(name, "/")
	w.current[name] = v1alpha1.Digest("sha256:" + strings.Repeat(string("123456789abcdef"[len(w.fleet.Members)]), 64))
	l := &v1alpha1.ImageLineage{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: short, UID: types.UID("uid-" + name)}}
	l.Spec.Image = v1alpha1.ImageReference(imageOf(name))
	l.Spec.AllowedChildren = &v1alpha1.AllowedChildren{Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}}
	r := v1alpha1.Revision{
		Revision: 1, Digest: w.current[name], Identities: plan.IdentityOf(w.current[name]), Template: "v1:t",
		Origin: v1alpha1.OriginFollowed, Accepted: metav1.NewMicroTime(now.Add(-time.Hour)),
	}
	uses := []v1alpha1.ParentUse{v1alpha1.ParentBase, v1alpha1.ParentBuilder}
	for i, parent := range parents {
		from := v1alpha1.Parent{Name: []v1alpha1.ParentName{"base", "builder"}[i], As: uses[i]}
		built := v1alpha1.BuiltFrom{Name: from.Name, Reference: imageOf(parent), Digest: w.current[parent]}
		if strings.Contains(parent, ":") {
			from.Image = v1alpha1.ImageReference(parent)
			built.Reference, built.Digest = parent, v1alpha1.Digest("sha256:"+strings.Repeat("0", 64))
			seen := r.Accepted
			l.Status.From = append(l.Status.From, v1alpha1.ParentStatus{Name: from.Name, Reference: parent, Observed: built.Digest, Accepted: built.Digest, FirstSeen: &seen})
		} else {
			above, name, _ := strings.Cut(parent, "/")
			from.LineageRef = &v1alpha1.LineageReference{Namespace: v1alpha1.NamespaceName(above), Name: v1alpha1.ObjectName(name)}
		}
		built.Identities = plan.IdentityOf(built.Digest)
		l.Spec.From, r.BuiltFrom, r.Origin = append(l.Spec.From, from), append(r.BuiltFrom, built), v1alpha1.OriginBuilt
	}
	member := Member{Lineage: l}
	if len(parents) > 0 {
		l.Spec.Build, member.Template = &v1alpha1.Build{}, "v1:t"
		l.Spec.Rollout = &v1alpha1.Rollout{Mode: v1alpha1.RolloutPatch}
	}
	l.Status.Current, l.Status.History = &v1alpha1.CurrentRevision{Revision: r}, []v1alpha1.Revision{r}
	w.fleet.Members = append(w.fleet.Members, member)
	return l
}

// runs adds a Deployment whose containers, called by its names, run lineages.
func (w *world) runs(namespace, name string, lineages ...string) {
	d := plan.Workload{Kind: "Deployment", Namespace: namespace, Name: name, Health: plan.Healthy}
	for i, l := range lineages {
		_, short, _ := strings.Cut(l, "/")
		d.Containers = append(d.Containers, plan.Container{
			Name: short, Index: i, Image: imageOf(l) + "@" + string(w.current[l]), SetBy: v1alpha1.RolloutFieldManager,
		})
	}
	w.fleet.Workloads[namespace] = append(w.fleet.Workloads[namespace], d)
}

func key(name string) Moved {
	return Moved{Lineage: keyOf(name)}
}

func image(name string) Moved {
	ref, err := reference.ParseTag(name)
	if err != nil {
		panic(err)
	}
	return Moved{Image: ref}
}

// threeLevels: platform/debian → platform/base → shop/web, shop/api.
func threeLevels(w *world) {
	w.add("platform/debian")
	w.add("platform/base", "platform/debian")
	w.add("shop/web", "platform/base")
	w.add("shop/api", "platform/base")
}

// TestGolden: the file of the name holds what is told; -update writes it.
func TestGolden(t *testing.T) {
	tests := map[string]struct {
		arrange func(*world)
		moved   Moved
	}{
		"three levels":                   {threeLevels, key("platform/debian")},
		"an intermediary is rebuilt":     {threeLevels, key("platform/base")},
		"an image that a lineage builds": {threeLevels, image(imageOf("platform/base"))},
		"a diamond with a suspended arm": {func(w *world) {
			w.add("platform/debian")
			w.add("platform/base", "platform/debian")
			w.add("platform/go", "platform/debian").Spec.Suspend = true
			w.add("shop/web", "platform/base", "platform/go")
			w.add("shop/tool", "platform/go")
			w.add("shop/after", "shop/web")
		}, key("platform/debian")},
		"a diamond of unequal arms": {func(w *world) {
			w.add("platform/debian")
			w.add("platform/base", "platform/debian")
			w.add("platform/runtime", "platform/base")
			w.add("shop/web", "platform/runtime", "platform/debian")
		}, key("platform/debian")},
		"every hold": {func(w *world) {
			w.add("platform/debian")
			w.add("shop/windowed", "platform/debian").Spec.Build.Windows = []v1alpha1.BuildWindow{{Schedule: "0 22 * * *", Duration: "4h"}}
			w.add("shop/approved", "platform/debian").Spec.Build.Approval = v1alpha1.ApprovalRequired
			w.add("shop/tracked", "platform/debian").Spec.Build = nil
			released := w.add("shop/released", "platform/debian")
			released.Status.Current.Origin = v1alpha1.OriginAdopted
			w.add("shop/back", "platform/debian").Status.Current.Origin = v1alpha1.OriginRolledBack
			unproven := w.add("shop/unproven", "platform/debian")
			unproven.Status.Current.Origin, unproven.Status.Current.BuiltFrom = v1alpha1.OriginAdopted, nil
			empty := w.add("shop/empty", "platform/debian")
			empty.Status.Current, empty.Status.History = nil, nil
			w.add("shop/below", "shop/windowed")
		}, key("platform/debian")},
		"workloads": {func(w *world) {
			threeLevels(w)
			w.add("shop/counted", "platform/base").Spec.Rollout.Mode = v1alpha1.RolloutNone
			w.add("shop/later", "shop/web")
			w.runs("shop", "web", "shop/web")
			w.runs("shop", "both", "shop/api", "shop/later")
			w.runs("shop", "mixed", "shop/api", "shop/counted")
			w.runs("shop", "other", "platform/base")
		}, key("platform/debian")},
		"an image without a lineage": {func(w *world) {
			w.add("platform/debian")
			w.add("shop/web", "platform/debian", "docker.io/library/golang:1.26")
			w.add("shop/cli", "docker.io/library/golang:1.26")
			w.add("shop/after", "shop/web")
		}, image("golang:1.26")},
		"an image of nobody": {threeLevels, image("docker.io/library/postgres:17")},
		"a suspended base":   {func(w *world) { threeLevels(w); w.fleet.Members[0].Lineage.Spec.Suspend = true }, key("platform/debian")},
		"what comes first": {func(w *world) {
			age := v1alpha1.Duration("24h")
			threeLevels(w)
			debian, base, web := w.fleet.Members[0].Lineage, w.fleet.Members[1].Lineage, &w.fleet.Members[2]
			debian.Spec.Poll = &v1alpha1.Poll{MinAge: &age}
			debian.Spec.Mirror = &v1alpha1.Mirror{Image: "mirror.example.com/debian"}
			base.Status.Run = &v1alpha1.RunStatus{Name: "base-abc", Number: 2, Attempt: 1, Inputs: "v1:x"}
			web.Template = "v1:other"
		}, key("platform/debian")},
		"another arm is due already": {func(w *world) {
			w.add("platform/debian")
			w.add("platform/go")
			w.add("platform/tools", "platform/go")
			w.fleet.Members[2].Template = "v1:other"
			w.add("shop/web", "platform/debian", "platform/tools")
		}, key("platform/debian")},
		"the same image in other namespaces": {func(w *world) {
			threeLevels(w)
			w.add("test/web").Spec.Image = v1alpha1.ImageReference(imageOf("shop/web"))
			w.current["test/web"] = w.current["shop/web"]
		}, key("platform/debian")},
		"a user who may not read everything": {func(w *world) {
			w.add("platform/debian")
			admitting := w.add("platform/base", "platform/debian")
			admitting.Spec.AllowedChildren.Namespaces = v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "apps"}},
			}
			w.add("shop/web", "platform/base")
			w.add("shop/tool", "platform/debian", "secret/go")
			w.add("shop/plain", "platform/debian")
			w.fleet.Partial, w.fleet.Workloads, w.fleet.NamespaceLabels = true, nil, nil
		}, key("platform/debian")},
		"a cycle": {func(w *world) {
			threeLevels(w)
			loop := w.add("shop/loop", "platform/base", "shop/web")
			web := w.fleet.Members[2].Lineage
			web.Spec.From = append(web.Spec.From, v1alpha1.Parent{Name: "builder", As: v1alpha1.ParentBuilder, LineageRef: &v1alpha1.LineageReference{Name: v1alpha1.ObjectName(loop.Name)}})
		}, key("platform/debian")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			tt.arrange(w)
			got, err := Of(w.fleet, tt.moved)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// TestNothingIsModified: a preview can be asked for again, and says the same.
func TestNothingIsModified(t *testing.T) {
	w := newWorld()
	threeLevels(w)
	w.runs("shop", "web", "shop/web")
	before := w.fleet.Members[2].Lineage.DeepCopy()
	workload := clone(w.fleet.Workloads["shop"][0])
	first, err := Of(w.fleet, key("platform/debian"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Of(w.fleet, key("platform/debian"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("asked again (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.fleet.Members[2].Lineage); diff != "" {
		t.Errorf("a lineage was modified:\n%s", diff)
	}
	if diff := cmp.Diff(workload, w.fleet.Workloads["shop"][0]); diff != "" {
		t.Errorf("a workload was modified:\n%s", diff)
	}
}

func TestNobodyIsThere(t *testing.T) {
	_, err := Of(newWorld().fleet, Moved{Lineage: lineage.Key{Namespace: "platform", Name: "debian"}})
	if err == nil || err.Error() != "there is no ImageLineage platform/debian" {
		t.Errorf("error %v", err)
	}
}
