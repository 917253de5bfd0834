// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package preview

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/lineage"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// play moves an image, and lets everything follow.
func (p *pretence) play(moved Moved) Preview {
	out := Preview{Moved: moved.Image.Name()}
	below := p.below(moved)
	if p.fleet.Partial {
		p.ignore("lineages of other namespaces could not be read: what of them is built on these")
	}
	concerned := p.graph.Order(slices.Concat(below, p.above(below)))
	if first := p.begin(moved, p.decide(concerned)); len(first.Takes)+len(first.Builds) > 0 {
		out.Stages = append(out.Stages, first)
	}
	// One lineage is built at most once for each of those above it that is.
	for range len(concerned) + 1 {
		p.passes()
		decided := p.decide(concerned)
		next := p.stage(concerned, decided)
		if len(next.Builds) == 0 {
			out.Remaining = p.remaining(below, decided)
			break
		}
		out.Stages = append(out.Stages, next)
	}
	p.explain(&out)
	out.Unknown = p.unknown
	return out
}

// below are the lineages that the move concerns: those that stand for the image or name
// it as a parent, and all that descend from them.
func (p *pretence) below(moved Moved) []lineage.Key {
	// Where spec.tags chooses, the image has no tag, and is no other lineage's.
	tops := slices.Clone(p.naming[moved.Image.Name()])
	if moved.Image.Tag != "" {
		tops = append(tops, p.standing[moved.Image.Name()]...)
	} else {
		tops = append(tops, moved.Lineage)
	}
	found := map[lineage.Key]bool{}
	for _, key := range tops {
		found[key] = true
		for _, descendant := range p.graph.Descendants(key) {
			found[descendant] = true
		}
	}
	return p.graph.Order(slices.Collect(maps.Keys(found)))
}

// above are the ancestors of those that are below: they may have to be built first.
func (p *pretence) above(below []lineage.Key) []lineage.Key {
	found := map[lineage.Key]bool{}
	for _, key := range below {
		for _, ancestor := range p.graph.Ancestors(key) {
			found[ancestor] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

// begin is the move itself. A lineage that is built here and has nothing to build is
// built all the same: that is what was asked.
func (p *pretence) begin(moved Moved, decided map[lineage.Key]plan.Plan) Stage {
	m := p.members[moved.Lineage]
	if m != nil && m.Lineage.Spec.Suspend {
		return Stage{}
	}
	p.passes()
	if m == nil || !plan.Produced(m.Lineage) {
		return p.follow(Stage{}, p.show(moved.Image, p.digest(), moved.Lineage), nil)
	}
	build := Build{Lineage: moved.Lineage.String(), Image: string(m.Lineage.Spec.Image), Message: "if it was rebuilt"}
	b := plan.Build{}
	if create, due := decided[moved.Lineage].Step.(plan.Create); due {
		b, build = create.Build, p.buildOf(moved.Lineage, create.Build, decided[moved.Lineage].Verdicts)
	} else if current := m.Lineage.Status.Current; current != nil {
		b = plan.Build{BuiltFrom: current.BuiltFrom, Roots: current.Roots, Template: m.Template, Inputs: current.Inputs}
	}
	took := p.show(moved.Image, p.publish(m, moved.Image, b), moved.Lineage)
	return p.follow(Stage{Builds: []Build{build}}, took, []lineage.Key{moved.Lineage})
}

// decide has every lineage decided over, those above first.
func (p *pretence) decide(concerned []lineage.Key) map[lineage.Key]plan.Plan {
	decided, motions := map[lineage.Key]plan.Plan{}, map[lineage.Key]lineage.Motion{}
	for _, key := range concerned {
		m := p.members[key]
		if plan.Followed(m.Lineage) {
			continue
		}
		s := p.snapshot(key)
		for _, ancestor := range p.graph.Unsettled(key, func(of lineage.Key) lineage.Motion { return motions[of] }) {
			verdicts := decided[ancestor].Verdicts
			s.WaitingFor = append(s.WaitingFor, plan.Ancestor{
				Name: ancestor.String(), Refreshed: len(verdicts) == 1 && verdicts[0].Reason == v1alpha1.ReasonPeriodic,
			})
		}
		is := plan.Compute(s)
		if len(s.WaitingFor) > 0 {
			// Time does not pass here, so that no wait is ever too long.
			is.Step = nil
		}
		decided[key], motions[key] = is, motionOf(s, is)
	}
	return decided
}

// motionOf is what descendants can expect of what was decided.
func motionOf(s plan.Snapshot, p plan.Plan) lineage.Motion {
	barred := slices.ContainsFunc(s.Parents, func(parent plan.Parent) bool { return parent.Problem != nil })
	if !plan.Produced(s.Lineage) || s.Lineage.Spec.Suspend || s.Problem != nil || s.TemplateProblem != nil || barred {
		return lineage.Held
	}
	if _, creates := p.Step.(plan.Create); creates {
		return lineage.Moving
	}
	return lineage.Still
}

// stage builds everything that can be built now.
func (p *pretence) stage(concerned []lineage.Key, decided map[lineage.Key]plan.Plan) Stage {
	var out Stage
	var built, took []lineage.Key
	for _, key := range concerned {
		create, creates := decided[key].Step.(plan.Create)
		if !creates || p.members[key].ignorance != "" {
			continue
		}
		m := p.members[key]
		ref, err := plan.ReferenceOf(m.Lineage)
		if err != nil {
			continue // it has a problem, and is not built
		}
		out.Builds = append(out.Builds, p.buildOf(key, create.Build, decided[key].Verdicts))
		took = append(took, p.show(ref, p.publish(m, ref, create.Build), lineage.Key{})...)
		built = append(built, key)
	}
	return p.follow(out, took, built)
}

// buildOf tells of a build. One that is made of what a run in flight is made of is that
// run; any other begins when the run has ended.
func (p *pretence) buildOf(key lineage.Key, of plan.Build, verdicts []plan.Verdict) Build {
	m := p.members[key]
	b := Build{Lineage: key.String(), Image: string(m.Lineage.Spec.Image), Message: verdicts[0].Message}
	for _, verdict := range verdicts {
		b.Reasons = append(b.Reasons, verdict.Reason)
	}
	switch {
	case m.run == nil:
	case m.run.Inputs == of.Inputs:
		b.Run = m.run.Name
	default:
		b.Notes = append(b.Notes, fmt.Sprintf("run %s is in flight, and ends first", m.run.Name))
	}
	m.run = nil
	return b
}

// follow completes a stage: with those that took what was published or moved, and with
// the workloads of all.
func (p *pretence) follow(s Stage, took, built []lineage.Key) Stage {
	for _, key := range took {
		m := p.members[key]
		take := Take{Lineage: key.String(), Image: string(m.Lineage.Spec.Image)}
		if plan.MinAge(m.Lineage) > 0 {
			take.Notes = append(take.Notes, fmt.Sprintf("when it is %s old (spec.poll.minAge)", *m.Lineage.Spec.Poll.MinAge))
		}
		if mirror := plan.MirrorOf(m.Lineage); !mirror.IsZero() {
			take.Notes = append(take.Notes, "when it is copied to "+mirror.Repository)
		}
		s.Takes = append(s.Takes, take)
	}
	s.Moves = p.roll(slices.Concat(took, built))
	return s
}

// remaining are those below that got no new image.
func (p *pretence) remaining(below []lineage.Key, decided map[lineage.Key]plan.Plan) []Remaining {
	var out []Remaining
	for _, key := range below {
		m := p.members[key]
		if m.changed {
			continue
		}
		r := Remaining{Lineage: key.String(), Image: string(m.Lineage.Spec.Image)}
		r.State, r.Reason, r.Message = stateOf(m, decided[key])
		out = append(out, r)
	}
	return out
}

// stateOf is why a lineage got no new image.
func stateOf(m *member, decided plan.Plan) (state State, reason, message string) {
	standing := decided.Lineage
	switch {
	case m.ignorance != "":
		return NotKnown, "", m.ignorance
	case m.Lineage.Spec.Suspend:
		return Held, v1alpha1.ReasonHeldSuspended, "spec.suspend is set"
	case decided.Problem != nil:
		return Stalled, decided.Problem.Reason, decided.Problem.Message
	case m.Lineage.Status.Current == nil:
		return NotKnown, v1alpha1.ReasonResolving, "it has no image yet, and only the registry can tell whether there is one"
	case decided.Hold != nil && decided.Hold.Reason == v1alpha1.ReasonHeldApproval:
		// The key in the operator's message is that of the inputs, which nobody has yet.
		return Held, decided.Hold.Reason, "a build waits for approval (spec.build.approval): " + decided.Verdicts[0].Message
	case decided.Hold != nil:
		return Held, decided.Hold.Reason, decided.Hold.Message
	case standing.UpToDate == plan.False && !plan.Produced(m.Lineage):
		return Reported, v1alpha1.ReasonOutdatedUpstream, standing.Message
	case decided.Busy.Reason != "":
		return Waiting, decided.Busy.Reason, decided.Busy.Message
	case standing.UpToDate == plan.Unknown:
		return NotKnown, standing.Reason, standing.Message
	default:
		return Unchanged, "", ""
	}
}

// explain says which ancestors keep a lineage from changing, or from getting all that is
// new: those that remain for a reason of their own.
func (p *pretence) explain(out *Preview) {
	causes := map[lineage.Key]bool{}
	for _, r := range out.Remaining {
		causes[keyOf(r.Lineage)] = r.State != Unchanged
	}
	above := func(of string) []string {
		var names []string
		for _, ancestor := range p.graph.Ancestors(keyOf(of)) {
			if causes[ancestor] {
				names = append(names, ancestor.String())
			}
		}
		return names
	}
	words := p.names()
	for _, s := range out.Stages {
		for i, b := range s.Builds {
			s.Builds[i].Without, s.Builds[i].Message = above(b.Lineage), words.Replace(b.Message)
		}
	}
	for i, r := range out.Remaining {
		out.Remaining[i].Message = words.Replace(r.Message)
		if r.State == Unchanged {
			out.Remaining[i].Because = above(r.Lineage)
		}
	}
}

// keyOf reads namespace/name.
func keyOf(name string) lineage.Key {
	namespace, name, _ := strings.Cut(name, "/")
	return lineage.Key{Namespace: namespace, Name: name}
}
