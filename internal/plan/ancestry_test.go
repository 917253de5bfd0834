// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

func TestOldest(t *testing.T) {
	one, two, of := rootAt(debian, 1), rootAt(debian, 2), func(references ...string) []string { return references }
	tests := map[string]struct {
		arms []arm
		want []v1alpha1.Root
	}{
		"one arm": {
			arms: []arm{{[]v1alpha1.Root{two}, of(debian)}}, want: []v1alpha1.Root{two},
		},
		"the older of two, whichever comes first": {
			arms: []arm{{[]v1alpha1.Root{two}, of(debian)}, {[]v1alpha1.Root{one}, of(debian)}, {[]v1alpha1.Root{two}, of(debian)}},
			want: []v1alpha1.Root{one},
		},
		"unknown is older than any": {
			arms: []arm{{[]v1alpha1.Root{two}, of(debian)}, {nil, of(debian)}},
		},
		"an arm that does not descend from a root says nothing of it": {
			arms: []arm{{[]v1alpha1.Root{two}, of(debian)}, {[]v1alpha1.Root{rootAt(golang, 3)}, of(golang)}},
			want: []v1alpha1.Root{two, rootAt(golang, 3)},
		},
		"of an arm without a place what it contains counts": {
			arms: []arm{{[]v1alpha1.Root{two}, nil}, {[]v1alpha1.Root{one}, nil}}, want: []v1alpha1.Root{one},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, oldest(tc.arms)); diff != "" {
				t.Errorf("roots (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewest(t *testing.T) {
	accepted := []v1alpha1.Root{rootAt(golang, 1), rootAt(debian, 2), rootAt(debian, 3), rootAt(debian, 1)}
	want := []v1alpha1.Root{rootAt(debian, 3), rootAt(golang, 1)}
	if diff := cmp.Diff(want, Newest(accepted)); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
}

// above is an ancestry: members of one namespace, with the edges that their parents name.
type above struct{ members Ancestry }

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

func refOf(name string) reference.Reference { return mustParse("registry.example.com/" + name + ":1") }

// follows adds a lineage at the top, which has had the images of debian up to one.
func (a above) follows(name string, upTo int) {
	l := &v1alpha1.ImageLineage{}
	l.Spec.Image = v1alpha1.ImageReference(refOf(name).Name())
	for n := upTo; n > 0; n-- {
		root := rootAt(debian, n)
		l.Status.History = append(l.Status.History, v1alpha1.Revision{
			Revision: int64(n), Digest: root.Digest, Accepted: root.Accepted, Roots: []v1alpha1.Root{root},
		})
	}
	a.add(name, l, nil)
}

// builds adds a lineage with revisions, oldest first, each built from one revision of each
// parent.
func (a above) builds(name string, parents []string, revisions ...made) {
	l := &v1alpha1.ImageLineage{}
	l.Spec.Image, l.Spec.Build = v1alpha1.ImageReference(refOf(name).Name()), &v1alpha1.Build{}
	l.Spec.From = make([]v1alpha1.Parent, len(parents))
	for i, m := range revisions {
		r := v1alpha1.Revision{Revision: int64(i + 1), Digest: digest(m.image), Roots: m.roots}
		for p, n := range m.from {
			parent := a.members[named(parents[p])].Lineage
			for _, kept := range parent.Status.History {
				if kept.Revision == int64(n) {
					r.BuiltFrom = append(r.BuiltFrom, v1alpha1.BuiltFrom{
						Name: v1alpha1.ParentName(parents[p]), Reference: refOf(parents[p]).Name(), Digest: kept.Digest,
					})
				}
			}
		}
		l.Status.History = append([]v1alpha1.Revision{r}, l.Status.History...)
	}
	a.add(name, l, parents)
}

type made struct {
	image string
	from  []int
	roots []v1alpha1.Root
}

func (a above) add(name string, l *v1alpha1.ImageLineage, parents []string) {
	l.Status.Current = &v1alpha1.CurrentRevision{Revision: l.Status.History[0]}
	m := Member{Lineage: l}
	for _, parent := range parents {
		at := a.members[named(parent)]
		m.Parents = append(m.Parents, Parent{
			Name: v1alpha1.ParentName(parent), Reference: refOf(parent), Lineage: named(parent),
			Descends: []string{debian}, Current: CurrentOf(at.Lineage),
		})
	}
	a.members[named(name)] = m
}

func (a above) hold(name string) {
	m := a.members[named(name)]
	m.Held = true
	a.members[named(name)] = m
}

func TestContained(t *testing.T) {
	one, two, three := []v1alpha1.Root{rootAt(debian, 1)}, []v1alpha1.Root{rootAt(debian, 2)}, []v1alpha1.Root{rootAt(debian, 3)}
	tests := map[string]struct {
		fleet func(above)
		want  []v1alpha1.Root
	}{
		"what it was built from": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("of", []string{"base"}, made{"4", []int{2}, two})
			},
			want: two,
		},
		"below a parent that made the same again, what that was made of": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("mid", []string{"base"}, made{"4", []int{2}, two}, made{"4", []int{3}, three})
				a.builds("of", []string{"mid"}, made{"5", []int{1}, two})
			},
			want: three,
		},
		"and of the revision that it was built from, where the parent has another one now": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("mid", []string{"base"}, made{"4", []int{1}, one}, made{"5", []int{3}, three})
				a.builds("of", []string{"mid"}, made{"6", []int{1}, one})
			},
			want: one,
		},
		"the older arm": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("left", []string{"base"}, made{"4", []int{3}, three})
				a.builds("right", []string{"base"}, made{"5", []int{2}, two})
				a.builds("of", []string{"left", "right"}, made{"6", []int{1, 1}, two})
			},
			want: two,
		},
		"but for one that is held, from which nothing comes": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("left", []string{"base"}, made{"4", []int{3}, three})
				a.builds("right", []string{"base"}, made{"5", []int{1}, one})
				a.hold("right")
				a.builds("of", []string{"left", "right"}, made{"6", []int{1, 1}, one})
			},
			want: three,
		},
		"also further down, whatever the revisions between tell": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("left", []string{"base"}, made{"4", []int{2}, two}, made{"5", []int{3}, three})
				a.builds("right", []string{"base"}, made{"6", []int{1}, one})
				a.hold("right")
				a.builds("foot", []string{"left", "right"}, made{"7", []int{1, 1}, one}, made{"8", []int{2, 1}, one})
				a.builds("of", []string{"foot"}, made{"9", []int{1}, one})
			},
			want: two,
		},
		"what nothing is known of is older than any": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("of", []string{"base"}, made{"4", nil, nil})
			},
		},
		"where the parent's revision is forgotten, what the image tells": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("of", []string{"base"}, made{"4", []int{2}, two})
				forgotten := a.members[named("base")].Lineage
				forgotten.Status.History = forgotten.Status.History[:1]
			},
			want: two,
		},
		"on its own way up, what the image tells": {
			fleet: func(a above) {
				a.follows("base", 3)
				a.builds("of", []string{"base"}, made{"4", []int{2}, two})
				a.add("base", a.members[named("base")].Lineage, []string{"of"})
			},
			want: two,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := above{Ancestry{}}
			tc.fleet(a)
			got := a.members.Contained(named("of"), a.members[named("of")].Lineage.Status.Current.Digest)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("roots (-want +got):\n%s", diff)
			}
		})
	}
	if got := (Ancestry{}).Contained(named("nobody"), a); got != nil {
		t.Errorf("roots of nobody: %v", got)
	}
}

// TestPatchSuperseded: a release that took the place of a patch, and is on the older base.
func TestPatchSuperseded(t *testing.T) {
	patched := func(outcome v1alpha1.RunOutcome, reasons ...string) func(*Snapshot) {
		return func(s *Snapshot) {
			recorded(2, 1, "v1:in", outcome)(s)
			s.Lineage.Status.Run.Reasons = reasons
		}
	}
	release := func(n int64, from v1alpha1.Digest) func(*Snapshot) {
		return func(s *Snapshot) {
			r := built(n, x, from)
			r.Origin, r.Template = v1alpha1.OriginAdopted, ""
			with(r)(s)
		}
	}
	tests := map[string]struct {
		edits []func(*Snapshot)
		want  string
	}{
		"a release on the older base": {
			edits: []func(*Snapshot){release(2, a), parentShows(b), patched(v1alpha1.RunSuperseded, v1alpha1.ReasonParentChanged)},
			want:  v1alpha1.ReasonPatchSuperseded,
		},
		"a release on the newer base has the patch": {
			edits: []func(*Snapshot){release(2, b), parentShows(b), patched(v1alpha1.RunSuperseded, v1alpha1.ReasonParentChanged)},
			want:  v1alpha1.ReasonUpToDate,
		},
		"a release of which that is not proven": {
			edits: []func(*Snapshot){with(adopted(2, x)), parentShows(b), baselined(a), patched(v1alpha1.RunSuperseded, v1alpha1.ReasonParentChanged)},
			want:  v1alpha1.ReasonParentChanged,
		},
		"a release before the run": {
			edits: []func(*Snapshot){release(1, a), parentShows(b), patched(v1alpha1.RunSuperseded, v1alpha1.ReasonParentChanged)},
			want:  v1alpha1.ReasonParentChanged,
		},
		"a run for another reason": {
			edits: []func(*Snapshot){release(2, a), parentShows(b), patched(v1alpha1.RunSuperseded, v1alpha1.ReasonTemplateChanged)},
			want:  v1alpha1.ReasonParentChanged,
		},
		"a run that was not superseded": {
			edits: []func(*Snapshot){release(2, a), parentShows(b), patched(v1alpha1.RunFailed, v1alpha1.ReasonParentChanged)},
			want:  v1alpha1.ReasonParentChanged,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compute(snapshot(tc.edits...)).Lineage
			if got.Reason != tc.want {
				t.Errorf("reason %s, want %s: %s", got.Reason, tc.want, got.Message)
			}
		})
	}
}
