// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package imagelineage

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
)

// updateStories writes the stories as they are told now: review the difference.
var updateStories = flag.Bool("update-stories", false, "write testdata/join")

// The shapes of the fleets. What is named first is the base, the others are builders.
var (
	simChain   = []simLineage{{"base", nil}, {"mid", []string{"base"}}, {"web", []string{"mid"}}, {"app", []string{"web"}}}
	simDiamond = []simLineage{{"base", nil}, {"left", []string{"base"}}, {"right", []string{"base"}}, {"app", []string{"left", "right"}}}
	// simTwoDiamonds has a diamond below each arm of another one's foot.
	simTwoDiamonds = []simLineage{
		{"base", nil},
		{"left", []string{"base"}},
		{"right", []string{"base"}},
		{"foot", []string{"left", "right"}},
		{"web", []string{"foot"}},
		{"api", []string{"foot", "base"}},
		{"app", []string{"web", "api", "right"}},
	}
)

// TestJoin tells stories of bases that move, and of what comes of that below them. The
// order in which watches and registries tell of things is that of a seed, and makes no
// difference.
func TestJoin(t *testing.T) {
	seeds := 5
	if testing.Short() {
		seeds = 2
	}
	stories := map[string]struct {
		fleet []simLineage
		tell  func(*teller)
	}{
		"three_levels":         {simChain, threeLevels},
		"diamonds":             {simTwoDiamonds, diamonds},
		"slow_arm":             {simDiamond, slowArm},
		"failing_arm":          {simDiamond, failingArm},
		"invalid_arm":          {simDiamond, invalidArm},
		"suspended_arm":        {simDiamond, suspendedArm},
		"held_arm":             {[]simLineage{{"base", nil}, {"top", []string{"base"}}, {"right", []string{"top"}}, {"left", []string{"base"}}, {"app", []string{"left", "right"}}}, heldArm},
		"moves_beside_an_arm":  {[]simLineage{{"base", nil}, {"left", []string{"base"}}, {"right", []string{"base"}}, {"foot", []string{"left", "right"}}, {"app", []string{"foot"}}}, movesBesideAnArm},
		"moves_twice":          {simChain, movesTwice},
		"moves_every_minute":   {simDiamond, movesEveryMinute},
		"settle_timeout":       {simDiamond, settleTimeout},
		"cycle":                {[]simLineage{{"base", nil}, {"a", []string{"base"}}, {"b", []string{"a"}}, {"side", []string{"base"}}, {"app", []string{"side", "b"}}}, cycle},
		"release_during_a_run": {simChain, releaseDuringRun},
		"the_same_again":       {simDiamond, theSameAgain},
		"the_same_and_fast":    {[]simLineage{{"base", nil}, {"one", []string{"base"}}, {"two", []string{"one"}}, {"right", []string{"base"}}, {"app", []string{"right", "two"}}}, theSameAndFast},
		"requested_above":      {simChain, requestedAbove},
	}
	for name, story := range stories {
		for seed := range int64(seeds) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				s := newSimOf(t, seed, len(story.fleet), story.fleet)
				s.rest()
				s.checkRest()
				told := &teller{sim: s, moves: map[string]string{s.tags[simImage("base")]: "1"}, builds: map[string]int{}}
				story.tell(told)
				told.compare(filepath.Join("testdata", "join", name+".txt"), seed)
			})
		}
	}
}

// teller tells a story: what happens, and how everybody is after that.
type teller struct {
	*sim

	// moves are the numbers of the base's images, by their digest.
	moves  map[string]string
	builds map[string]int
	lines  []string
}

// then tells what has happened, and what came of it at once.
func (s *teller) then(what string, args ...any) {
	s.settle()
	s.lines = append(s.lines, "= "+fmt.Sprintf(what, args...))
	for _, name := range s.produced() {
		l := s.read(name)
		line := fmt.Sprintf("%-6s %-17s on base %s", name, reasonOf(l), s.contains(l))
		if upToDate := upToDateOf(l); upToDate != reasonOf(l) {
			line += ", " + upToDate
		}
		if len(l.Status.WaitingFor) > 0 {
			line += ", waits for " + strings.ReplaceAll(strings.Join(l.Status.WaitingFor, " "), simNamespace+"/", "")
		}
		if len(l.Status.Goal) > 0 { // these fleets have one root
			line += ", wants base " + s.moves[string(l.Status.Goal[0].Digest)]
		}
		if l.Status.OutdatedSince != nil {
			line += fmt.Sprintf(", behind for %s", s.now.Sub(l.Status.OutdatedSince.Time).Round(time.Minute))
		}
		s.lines = append(s.lines, line)
	}
}

// contains are the bases of an image, by its roots.
func (s *teller) contains(l *v1alpha1.ImageLineage) string {
	for _, root := range l.Status.Current.Roots {
		return s.moves[string(root.Digest)]
	}
	return "unknown"
}

func upToDateOf(l *v1alpha1.ImageLineage) string {
	for _, c := range l.Status.Conditions {
		if c.Type == v1alpha1.ConditionUpToDate {
			return c.Reason
		}
	}
	return ""
}

// move pushes another base, and has the registry asked.
func (s *teller) move() string {
	digest := s.push("base")
	number := strconv.Itoa(len(s.moves) + 1)
	s.moves[digest] = number
	s.processes[0].poller.asked[simImage("base")] = true
	return number
}

func (s *teller) moved() { s.then("base %s", s.move()) }

// end ends the runs of some lineages, one after the other.
func (s *teller) end(names ...string) {
	for _, name := range names {
		s.finishOf(name, false)
		s.then("%s is built", name)
	}
}

func (s *teller) fail(name string) {
	s.finishOf(name, true)
	s.then("the build of %s fails", name)
}

func (s *teller) finishOf(name string, fails bool) {
	s.t.Helper()
	for _, run := range s.liveRuns() {
		if run.Labels[v1alpha1.LineageLabel] == name {
			s.finish(run, fails, !fails)
			s.builds[name]++
			return
		}
	}
	s.broken("%s is not being built:\n%s", name, strings.Join(s.lines, "\n"))
}

// live is true while a lineage is being built.
func (s *teller) live(name string) bool {
	for _, run := range s.liveRuns() {
		if run.Labels[v1alpha1.LineageLabel] == name {
			return true
		}
	}
	return false
}

func (s *teller) later(d time.Duration) {
	s.pass(d)
	s.then("%s later", d)
}

func (s *teller) edited(name, what string, change func(*v1alpha1.ImageLineage)) {
	s.edit(name, change, what)
	s.then("%s: %s", name, what)
}

// compare holds the story against the one that is kept.
func (s *teller) compare(file string, seed int64) {
	s.t.Helper()
	got := strings.Join(s.lines, "\n") + "\n"
	if *updateStories && seed == 0 {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		s.broken("the story (-want +got):\n%s", diff)
	}
}

func threeLevels(s *teller) {
	s.moved()
	s.end("mid", "web", "app")
}

// diamonds: each is built once for one move, however many ways lead to it.
func diamonds(s *teller) {
	s.moved()
	s.end("right", "left", "foot", "api", "web", "app")
}

func slowArm(s *teller) {
	s.moved()
	s.end("left")
	s.later(30 * time.Minute)
	s.end("right", "app")
}

func failingArm(s *teller) {
	s.edit("right", func(l *v1alpha1.ImageLineage) { l.Spec.Build.RetryLimit = new(int32(1)) }, "one retry")
	s.moved()
	s.end("left")
	s.fail("right")
	s.later(time.Minute)
	s.fail("right")
	s.end("app")
	s.moved()
	s.end("right", "left", "app")
}

// invalidArm: what Tekton cannot carry out is not tried again, and nobody waits for it.
func invalidArm(s *teller) {
	s.moved()
	s.end("left")
	s.reason = "CouldntGetTask"
	s.fail("right")
	s.later(time.Hour)
	s.end("app")
}

func suspendedArm(s *teller) {
	s.edited("right", "suspended", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true })
	s.moved()
	s.end("left", "app")
	s.edited("right", "suspended no more", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = false })
	s.end("right", "app")
}

// heldArm: nobody waits for what comes to a person before it comes to them.
func heldArm(s *teller) {
	s.edited("right", "needs approval", func(l *v1alpha1.ImageLineage) { l.Spec.Build.Approval = v1alpha1.ApprovalRequired })
	s.moved()
	s.end("left")
	s.end("top", "app")
	_, after, _ := strings.Cut(messageOf(s.read("right")), v1alpha1.ApproveAnnotation+"=")
	key, _, _ := strings.Cut(after, " ")
	s.edited("right", "approved", func(l *v1alpha1.ImageLineage) {
		l.Annotations = map[string]string{v1alpha1.ApproveAnnotation: key}
	})
	s.end("right", "app")
}

// messageOf is the message of Ready.
func messageOf(l *v1alpha1.ImageLineage) string {
	for _, c := range l.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Message
		}
	}
	return ""
}

// movesBesideAnArm: what joins an arm that is held tells of its old base for as long as
// it is, and who is below that does not starve either.
func movesBesideAnArm(s *teller) {
	s.edit("right", func(l *v1alpha1.ImageLineage) { l.Spec.Suspend = true }, "suspended")
	movesEveryMinute(s)
}

// movesTwice: what was waited for is built, and what came meanwhile is one more build.
func movesTwice(s *teller) {
	s.moved()
	s.moved()
	s.moved()
	s.end("mid", "web", "mid", "app", "web", "app")
}

// movesEveryMinute: builds take longer than the base needs to move, and nobody starves.
func movesEveryMinute(s *teller) {
	const takes = 3
	began, minutes := map[string]int{}, 15
	for minute := range minutes {
		s.pass(time.Minute)
		s.move()
		s.settle()
		for _, name := range s.produced() {
			switch {
			case !s.live(name):
				delete(began, name)
			case began[name] == 0:
				began[name] = minute + 1
			case minute+1-began[name] >= takes:
				s.finishOf(name, false)
				s.settle()
				delete(began, name)
			}
		}
	}
	s.then("%d moves later", minutes)
	for _, name := range s.produced() {
		s.lines = append(s.lines, fmt.Sprintf("%s was built %d times", name, s.builds[name]))
	}
	for slices.ContainsFunc(s.produced(), s.live) {
		for _, name := range s.produced() {
			if s.live(name) {
				s.finishOf(name, false)
				s.settle()
			}
		}
	}
	s.then("and at rest")
	for _, name := range s.produced() {
		s.lines = append(s.lines, fmt.Sprintf("%s was built %d times", name, s.builds[name]))
		if s.builds[name] > minutes {
			s.broken("%s was built %d times for %d moves", name, s.builds[name], minutes)
		}
	}
}

// settleTimeout: a run is waited for while it has time, and half an hour more.
func settleTimeout(s *teller) {
	s.moved()
	s.end("left")
	s.later(59 * time.Minute)
	s.later(30 * time.Minute)
	s.later(2 * time.Minute)
	s.lines = append(s.lines, "app is built because of "+strings.Join(s.read("app").Status.Run.Reasons, ", "))
	s.end("app", "right", "app")
}

func cycle(s *teller) {
	from := s.read("a").Spec.From
	s.edited("a", "is built from b", func(l *v1alpha1.ImageLineage) { l.Spec.From = append(l.Spec.From, simParent(1, "b")) })
	s.moved()
	s.end("side", "app")
	s.edited("a", "is not built from b", func(l *v1alpha1.ImageLineage) { l.Spec.From = from })
	s.end("a", "b", "app")
}

// releaseDuringRun: the release wins, and says itself that it is on the old base.
func releaseDuringRun(s *teller) {
	old := s.tags[simImage("base")]
	s.moved()
	release := s.push("mid")
	s.annotated[release] = plan.BaseAnnotation{Name: simImage("base"), Digest: v1alpha1.Digest(old)}
	s.processes[0].poller.asked[simImage("mid")] = true
	s.then("a release of mid on base 1")
	s.end("mid")
	s.later(time.Hour)
	s.end("web", "app")
}

// theSameAgain: an arm that makes the very same image again has nothing to build below.
func theSameAgain(s *teller) {
	s.alike["left"] = true
	s.moved()
	s.end("left", "right", "app")
	s.moved()
	s.end("left", "right", "app")
	s.alike["right"] = true
	s.moved()
	s.end("right", "left", "app")
	s.moved()
	s.end("left", "right")
}

// theSameAndFast: below what makes the same again nobody is built, and who is further
// below waits for no revision that tells of the newer base.
func theSameAndFast(s *teller) {
	s.alike["one"] = true
	s.moved()
	s.end("one", "right", "two", "app")
	s.moved()
	s.end("one")
	s.moved()
	s.end("right")
	s.end("app")
}

// requestedAbove: nobody is behind because of a request, and who has something to build
// waits for it, however far below.
func requestedAbove(s *teller) {
	request := func(l *v1alpha1.ImageLineage) {
		l.Annotations = map[string]string{v1alpha1.RebuildAnnotation: "1"}
	}
	s.edited("mid", "requested", request)
	s.edited("app", "requested", request)
	s.end("mid", "app")
}
