// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/reference"
)

// The world of these tests: base → web. a, b, c are digests of base; x, y, z of web.
var (
	a, b, c = digest("a"), digest("b"), digest("c")
	x, y, z = digest("1"), digest("2"), digest("3")

	now     = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	earlier = now.Add(-time.Hour)

	baseRef = mustParse("registry.example.com/platform/base:12")
	webRef  = mustParse("registry.example.com/shop/web:stable")
)

func digest(of string) v1alpha1.Digest {
	return v1alpha1.Digest("sha256:" + strings.Repeat(of, 64))
}

func mustParse(s string) reference.Reference {
	ref, err := reference.ParseTag(s)
	if err != nil {
		panic(err)
	}
	return ref
}

// snapshot of a produced lineage, up to date: revision 1 is x, built from a.
func snapshot(edits ...func(*Snapshot)) Snapshot {
	l := &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "uid", Generation: 1},
		Spec: v1alpha1.ImageLineageSpec{
			Image: v1alpha1.ImageReference(webRef.Name()),
			From:  []v1alpha1.Parent{{Name: "base", LineageRef: &v1alpha1.LineageReference{Name: "base"}}},
			Build: &v1alpha1.Build{},
		},
	}
	s := Snapshot{
		Now: now, Lineage: l, Reference: webRef, Template: "v1:t",
		Parents:     []Parent{parentShowing(a)},
		Observation: &Observation{Digest: x, Started: now.Add(-time.Minute), Repeats: 5},
	}
	with(built(1, x, a))(&s)
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

func parentShowing(d v1alpha1.Digest) Parent {
	return Parent{
		Name: "base", Use: v1alpha1.ParentBase, Reference: baseRef,
		Current: &ParentCurrent{
			Digest: d, Identity: IdentityOf(d)[0], Accepted: earlier,
			Roots: []v1alpha1.Root{{Reference: baseRef.Name(), Digest: d, Accepted: metav1.NewMicroTime(earlier)}},
		},
	}
}

func built(n int64, d, from v1alpha1.Digest) v1alpha1.Revision {
	return v1alpha1.Revision{
		Revision: n, Digest: d, Identities: IdentityOf(d), Reference: webRef.Pinned(string(d)),
		Origin: v1alpha1.OriginBuilt, Accepted: metav1.NewMicroTime(earlier), Template: "v1:t",
		BuiltFrom: []v1alpha1.BuiltFrom{{Name: "base", Reference: baseRef.Name(), Digest: from, Identities: IdentityOf(from)}},
	}
}

func adopted(n int64, d v1alpha1.Digest) v1alpha1.Revision {
	return v1alpha1.Revision{
		Revision: n, Digest: d, Identities: IdentityOf(d), Reference: webRef.Pinned(string(d)),
		Origin: v1alpha1.OriginAdopted, Accepted: metav1.NewMicroTime(earlier),
	}
}

// with sets the history, newest first.
func with(history ...v1alpha1.Revision) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Lineage.Status.History, s.Lineage.Status.Current = history, nil
		if len(history) > 0 {
			s.Lineage.Status.Current = &v1alpha1.CurrentRevision{Revision: history[0]}
		}
	}
}

func shows(d v1alpha1.Digest, repeats int) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Observation = &Observation{Digest: d, Absent: d == "", Started: now.Add(-time.Minute), Repeats: repeats}
		if repeats > 1 {
			s.Observation.Previous = now.Add(-2 * time.Minute)
		}
	}
}

func parentShows(d v1alpha1.Digest) func(*Snapshot) {
	return func(s *Snapshot) { s.Parents = []Parent{parentShowing(d)} }
}

func annotated(key, value string) func(*Snapshot) {
	return func(s *Snapshot) { s.Lineage.Annotations = map[string]string{key: value} }
}

func suspended(s *Snapshot) { s.Lineage.Spec.Suspend = true }

func followed(s *Snapshot) {
	s.Lineage.Spec.From, s.Lineage.Spec.Build, s.Parents, s.Template = nil, nil, nil, ""
}

func tracked(s *Snapshot) {
	s.Lineage.Spec.Build, s.Template = nil, ""
}

// ran adds a run of revision n on base a, as it would be observed.
func ran(n, attempt int64, done, succeeded bool) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Runs = append(s.Runs, Run{
			Build: Build{Name: "web-run", Number: n, Attempt: attempt, Inputs: "v1:in", BuiltFrom: builtFrom(s.Parents)},
			Done:  done, Succeeded: succeeded, Message: "it broke",
		})
	}
}

func recorded(n, attempt int64, inputs string, outcome v1alpha1.RunOutcome) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Lineage.Status.Run = &v1alpha1.RunStatus{Name: "web-run", Number: n, Attempt: attempt, Inputs: inputs, Outcome: outcome, Message: "it broke"}
	}
}

// told is a plan in one line: the step, then why it is not doing more.
func told(p Plan) string {
	var words []string
	switch step := p.Step.(type) {
	case Accept:
		words = append(words, "accept", string(step.Revision.Origin), reference.ShortDigest(string(step.Revision.Digest))[:1])
	case Prove:
		words = append(words, "prove", reference.ShortDigest(string(step.BuiltFrom[0].Digest))[:1])
	case Create:
		words = append(words, "create", step.Build.Reasons[0])
	case Publish:
		words = append(words, "publish")
	case Restore:
		words = append(words, "restore", reference.ShortDigest(string(step.Digest))[:1])
	case End:
		words = append(words, "end", string(step.Outcome))
	case Prune:
		words = append(words, "prune", strings.Join(step.Runs, ","))
	}
	if p.Check {
		words = append(words, "check")
	}
	if p.Problem != nil {
		words = append(words, "problem", p.Problem.Reason)
	}
	if p.Hold != nil {
		words = append(words, "hold", p.Hold.Reason)
	}
	if p.Busy.Reason != "" && p.Step == nil {
		words = append(words, "busy", p.Busy.Reason)
	}
	return strings.Join(words, " ")
}

func TestCompute(t *testing.T) {
	wanted := inputs(Subject{Lineage: snapshot().Lineage, Parents: []Parent{parentShowing(b)}, Template: "v1:t"})
	tests := map[string]struct {
		edits        []func(*Snapshot)
		want         string
		wantUpToDate Truth
	}{
		"an image built from the parent's current one needs nothing": {
			wantUpToDate: True,
		},
		"a parent that moved is a reason to build": {
			edits: []func(*Snapshot){parentShows(b)},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"the registry has to answer before anything is built": {
			edits: []func(*Snapshot){parentShows(b), func(s *Snapshot) { s.Observation = nil }},
			want:  "busy Resolving", wantUpToDate: False,
		},
		"an ancestor that is going to move comes first": {
			edits: []func(*Snapshot){parentShows(b), func(s *Snapshot) { s.WaitingFor = []Ancestor{{Name: "platform/base"}} }},
			want:  "busy AncestorOutdated", wantUpToDate: False,
		},
		"behind an ancestor, although the parent has not moved yet": {
			edits: []func(*Snapshot){func(s *Snapshot) { s.WaitingFor = []Ancestor{{Name: "platform/base", Since: earlier}} }},
			want:  "busy AncestorOutdated", wantUpToDate: False,
		},
		"a suspended lineage builds nothing and tells the truth": {
			edits: []func(*Snapshot){parentShows(b), suspended},
			want:  "hold HeldSuspended", wantUpToDate: False,
		},
		"a suspended lineage accepts nothing": {
			edits: []func(*Snapshot){shows(y, 5), suspended},
			want:  "hold HeldSuspended", wantUpToDate: True,
		},
		"another template is a reason to build": {
			edits: []func(*Snapshot){func(s *Snapshot) { s.Template = "v1:u" }},
			want:  "create TemplateChanged", wantUpToDate: False,
		},
		"a template hashed by a newer operator is no reason": {
			edits:        []func(*Snapshot){func(s *Snapshot) { s.Template = "v2:u" }},
			wantUpToDate: True,
		},
		"a template that cannot run is said before it is needed": {
			edits: []func(*Snapshot){func(s *Snapshot) { s.TemplateProblem = &Problem{Reason: v1alpha1.ReasonTemplateRefused} }},
			want:  "problem TemplateRefused", wantUpToDate: True,
		},
		"and also while something else goes on": {
			edits: []func(*Snapshot){shows(y, 1), func(s *Snapshot) { s.TemplateProblem = &Problem{Reason: v1alpha1.ReasonTemplateRefused} }},
			want:  "accept Adopted 2 problem TemplateRefused", wantUpToDate: True,
		},
		"a request builds what is up to date": {
			edits: []func(*Snapshot){annotated(v1alpha1.RebuildAnnotation, "1")},
			want:  "create Requested", wantUpToDate: True,
		},
		"a request that was answered is none": {
			edits: []func(*Snapshot){annotated(v1alpha1.RebuildAnnotation, "1"), func(s *Snapshot) {
				s.Lineage.Status.Handled = &v1alpha1.Handled{Rebuild: "1"}
			}},
			wantUpToDate: True,
		},
		"a check is asked for": {
			edits: []func(*Snapshot){annotated(v1alpha1.CheckAnnotation, "1")},
			want:  "check", wantUpToDate: True,
		},

		"a tag that never existed is asked for twice": {
			edits: []func(*Snapshot){with(), shows("", 1)},
			want:  "check busy Resolving", wantUpToDate: Unknown,
		},
		"a tag that never existed is built": {
			edits: []func(*Snapshot){with(), shows("", 2)},
			want:  "create NeverBuilt", wantUpToDate: Unknown,
		},
		"a registry that fails is not asked again at once": {
			edits: []func(*Snapshot){with(), shows("", 1), func(s *Snapshot) {
				s.Observation.Failure = &Failure{Reason: v1alpha1.ReasonRegistryUnreachable, Since: now, Count: 1}
			}},
			want: "busy RegistryUnreachable", wantUpToDate: Unknown,
		},
		"a tag that vanished is asked for twice": {
			edits: []func(*Snapshot){shows("", 1)},
			want:  "check busy Resolving", wantUpToDate: True,
		},
		"a tag that vanished is put back": {
			edits: []func(*Snapshot){shows("", 2)},
			want:  "restore 1", wantUpToDate: True,
		},
		"a tag that vanished is built where a build is due anyway": {
			edits: []func(*Snapshot){shows("", 2), parentShows(b)},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"a tag that vanished is built on request": {
			edits: []func(*Snapshot){shows("", 2), annotated(v1alpha1.RebuildAnnotation, "1")},
			want:  "create Requested", wantUpToDate: True,
		},
		"a lineage whose image is another's takes nothing on": {
			edits: []func(*Snapshot){with(), func(s *Snapshot) { s.Problem = &Problem{Reason: v1alpha1.ReasonReferenceTaken} }},
			want:  "problem ReferenceTaken", wantUpToDate: Unknown,
		},
		"a tag that vanished stays away while suspended": {
			edits: []func(*Snapshot){shows("", 2), suspended},
			want:  "hold HeldSuspended", wantUpToDate: True,
		},

		"an image that was there before is adopted, and nothing built": {
			edits: []func(*Snapshot){with()},
			want:  "accept Adopted 1", wantUpToDate: Unknown,
		},
		"an adopted image of unknown ancestry is left alone": {
			edits:        []func(*Snapshot){with(adopted(1, x))},
			wantUpToDate: Unknown,
		},
		"an adopted image falls behind when a parent leaves the baseline": {
			edits: []func(*Snapshot){with(adopted(1, x)), parentShows(b), baselined(a)},
			want:  "problem SourceUnknown", wantUpToDate: False,
		},
		"a baseline of another reference says nothing": {
			edits: []func(*Snapshot){with(adopted(1, x)), parentShows(b), baselined(a), func(s *Snapshot) {
				s.Lineage.Status.From[0].Reference = "elsewhere.example.com/base:1"
			}},
			wantUpToDate: Unknown,
		},
		"a person may have an adopted image built over": {
			edits: []func(*Snapshot){with(adopted(1, x)), annotated(v1alpha1.RebuildAnnotation, "1")},
			want:  "create Requested", wantUpToDate: Unknown,
		},
		"what an adopted image was built from is proven when its parent is known": {
			edits: []func(*Snapshot){with(adopted(1, x)), func(s *Snapshot) {
				s.Observation.Base = BaseAnnotation{Name: baseRef.Name(), Digest: a}
			}},
			want: "prove a", wantUpToDate: Unknown,
		},
		"a release pushed by hand is adopted": {
			edits: []func(*Snapshot){shows(y, 1)},
			want:  "accept Adopted 2", wantUpToDate: True,
		},
		"a release pushed by hand during a run is adopted": {
			edits: []func(*Snapshot){shows(y, 1), ran(2, 1, false, false), recorded(2, 1, "v1:in", "")},
			want:  "accept Adopted 2", wantUpToDate: True,
		},
		"an answer from before our publish ended is not believed": {
			edits: []func(*Snapshot){shows(y, 9), func(s *Snapshot) {
				s.Lineage.Status.Current.Accepted = metav1.NewMicroTime(now)
			}},
			want: "check", wantUpToDate: True,
		},
		"an answer from before what another operator has heard is not believed": {
			edits: []func(*Snapshot){shows(y, 9), func(s *Snapshot) {
				s.Lineage.Status.Observed = &v1alpha1.Observed{Digest: z, Asked: new(metav1.NewMicroTime(now))}
			}},
			want: "check", wantUpToDate: True,
		},
		"an old digest is no release: it is asked for twice": {
			edits: []func(*Snapshot){with(built(2, y, a), built(1, x, a)), shows(x, 1)},
			want:  "check busy Resolving", wantUpToDate: True,
		},
		"an old digest is a person's rollback": {
			edits: []func(*Snapshot){with(built(2, y, a), built(1, x, a)), shows(x, 2)},
			want:  "accept RolledBack 1", wantUpToDate: True,
		},
		"a rollback is held although its parent moved since": {
			edits: []func(*Snapshot){with(rolledBack(3, x, a, 2), built(2, y, b), built(1, x, a)), parentShows(b)},
			want:  "hold HeldByUser", wantUpToDate: False,
		},
		"a rollback ends when the parent leaves what the left revision was made of": {
			edits: []func(*Snapshot){with(rolledBack(3, x, a, 2), built(2, y, b), built(1, x, a)), parentShows(c)},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"two old answers, of which one was asked for before our publish ended, are one": {
			edits: []func(*Snapshot){with(built(2, y, a), built(1, x, a)), shows(x, 9), func(s *Snapshot) {
				s.Lineage.Status.Current.Accepted = metav1.NewMicroTime(now.Add(-90 * time.Second))
			}},
			want: "check busy Resolving", wantUpToDate: True,
		},
		"a rollback that is taken back is none": {
			edits: []func(*Snapshot){with(rolledBack(3, x, a, 2), built(2, y, a), built(1, x, a)), shows(y, 2)},
			want:  "accept Built 2", wantUpToDate: True,
		},
		"a rollback ends on request": {
			edits: []func(*Snapshot){with(rolledBack(3, x, a, 2), built(2, y, b), built(1, x, a)), parentShows(b), annotated(v1alpha1.RebuildAnnotation, "1")},
			want:  "create Requested", wantUpToDate: False,
		},

		"a run in flight is waited for": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, false, false), recorded(2, 1, "v1:in", "")},
			want:  "busy Building", wantUpToDate: False,
		},
		"a run that was created and never recorded is waited for": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, false, false)},
			want:  "busy Building", wantUpToDate: False,
		},
		"a run that succeeded is published": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, true), recorded(2, 1, "v1:in", "")},
			want:  "publish", wantUpToDate: False,
		},
		"a run that was never recorded and succeeded is published": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, true)},
			want:  "publish", wantUpToDate: False,
		},
		"our own push is not taken for somebody else's": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, true), shows(y, 1)},
			want:  "publish", wantUpToDate: False,
		},
		"a run that was published is done with": {
			edits:        []func(*Snapshot){with(built(2, y, a), built(1, x, a)), shows(y, 1), ran(2, 1, true, true), recorded(2, 1, "v1:in", v1alpha1.RunPublished)},
			wantUpToDate: True,
		},
		"a run of a suspended lineage ends unpublished": {
			edits: []func(*Snapshot){ran(2, 1, true, true), recorded(2, 1, "v1:in", ""), suspended},
			want:  "hold HeldSuspended", wantUpToDate: True,
		},
		"on resume it is published if its inputs are still wanted": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, true), recorded(2, 1, wanted, ""), finishedWhileSuspended(wanted)},
			want:  "publish", wantUpToDate: False,
		},
		"on resume it is left aside if its inputs have moved on": {
			edits: []func(*Snapshot){parentShows(c), ran(2, 1, true, true), recorded(2, 1, wanted, ""), finishedWhileSuspended(wanted)},
			want:  "end Discarded", wantUpToDate: False,
		},
		"a run that failed is recorded": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, false), recorded(2, 1, "v1:in", "")},
			want:  "end Failed", wantUpToDate: False,
		},
		"what failed as often as it may is not tried again by itself": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 4, true, false), recorded(2, 4, wanted, v1alpha1.RunFailed), inARow(4)},
			want:  "problem BuildFailed", wantUpToDate: False,
		},
		"what failed is tried again with other inputs": {
			edits: []func(*Snapshot){parentShows(c), ran(2, 1, true, false), recorded(2, 1, wanted, v1alpha1.RunFailed)},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"what failed before an upgrade of the hash is not tried again": {
			edits: []func(*Snapshot){parentShows(b), ran(2, 1, true, false), recorded(2, 1, "v0:other", v1alpha1.RunFailed), inARow(4)},
			want:  "problem BuildFailed", wantUpToDate: False,
		},
		"after somebody else's push the registry is asked before anything is built": {
			edits: []func(*Snapshot){parentShows(b), recorded(2, 1, "v1:in", v1alpha1.RunSuperseded), func(s *Snapshot) {
				ended := metav1.NewMicroTime(now)
				s.Lineage.Status.Run.Ended = &ended
			}},
			want: "busy Resolving", wantUpToDate: False,
		},
		"what was superseded is not built again while the tag shows nothing new": {
			edits: []func(*Snapshot){parentShows(b), recorded(2, 1, wanted, v1alpha1.RunSuperseded)},
			want:  "problem BuildFailed", wantUpToDate: False,
		},
		"a run whose build was removed meanwhile is left aside": {
			edits: []func(*Snapshot){tracked, ran(2, 1, true, true), recorded(2, 1, "v1:in", "")},
			want:  "end Discarded", wantUpToDate: True,
		},
		"a run that disappeared is recorded as lost": {
			edits: []func(*Snapshot){parentShows(b), recorded(2, 1, "v1:in", "")},
			want:  "end Lost", wantUpToDate: False,
		},
		"a lost run is made again": {
			edits: []func(*Snapshot){parentShows(b), recorded(2, 1, "v1:in", v1alpha1.RunLost)},
			want:  "create ParentChanged", wantUpToDate: False,
		},

		"a parent that is missing is a problem": {
			edits: []func(*Snapshot){func(s *Snapshot) {
				s.Parents = []Parent{{Name: "base", Problem: &Problem{Reason: v1alpha1.ReasonParentNotFound, Passing: true}}}
			}},
			want: "problem ParentNotFound", wantUpToDate: True,
		},
		"a parent without an image is waited for": {
			edits: []func(*Snapshot){with(), shows("", 2), func(s *Snapshot) { s.Parents[0].Current = nil }},
			want:  "busy ParentNotReady", wantUpToDate: Unknown,
		},
		"another parent under the same name is a reason to build": {
			edits: []func(*Snapshot){func(s *Snapshot) { s.Parents[0].Reference = mustParse("registry.example.com/other:1") }},
			want:  "create ParentChanged", wantUpToDate: False,
		},
		"a parent that was added is a reason to build": {
			edits: []func(*Snapshot){func(s *Snapshot) {
				added := parentShowing(c)
				added.Name, added.Use = "builder", v1alpha1.ParentBuilder
				s.Parents = append(s.Parents, added)
			}},
			want: "create ParentChanged", wantUpToDate: False,
		},

		"a followed tag is followed": {
			edits: []func(*Snapshot){followed, shows(y, 1)},
			want:  "accept Followed 2", wantUpToDate: True,
		},
		"a followed tag that moves back is asked for twice": {
			edits: []func(*Snapshot){followed, with(built(2, y, a), built(1, x, a)), shows(x, 1)},
			want:  "check busy Resolving", wantUpToDate: True,
		},
		"a followed tag that moves back is followed": {
			edits: []func(*Snapshot){followed, with(built(2, y, a), built(1, x, a)), shows(x, 2)},
			want:  "accept Followed 1", wantUpToDate: True,
		},
		"a tracked image is never built": {
			edits:        []func(*Snapshot){tracked, parentShows(b)},
			wantUpToDate: False,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot(tc.edits...)
			got := Compute(s)
			if diff := cmp.Diff(tc.want, told(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s\n%+v", diff, got)
			}
			if got.Lineage.UpToDate != tc.wantUpToDate {
				t.Errorf("UpToDate = %s, want %s: %+v", got.Lineage.UpToDate, tc.wantUpToDate, got.Lineage)
			}
			if diff := cmp.Diff(got, Compute(s)); diff != "" {
				t.Errorf("the same snapshot gave another plan:\n%s", diff)
			}
		})
	}
}

func baselined(d v1alpha1.Digest) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Lineage.Status.From = []v1alpha1.ParentStatus{{Name: "base", Reference: baseRef.Name(), Baseline: d}}
	}
}

func rolledBack(n int64, d, from v1alpha1.Digest, left int64) v1alpha1.Revision {
	r := built(n, d, from)
	r.Origin, r.RolledBackFrom = v1alpha1.OriginRolledBack, left
	return r
}

func finishedWhileSuspended(inputs string) func(*Snapshot) {
	return func(s *Snapshot) {
		at := metav1.NewTime(earlier)
		s.Lineage.Status.Run.Finished = &at
		s.Runs[0].Inputs = inputs
	}
}
