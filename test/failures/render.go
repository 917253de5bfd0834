// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package failures

import (
	"fmt"
	"slices"
	"strings"
)

// Page is where the rendered page lies in the repository.
const Page = "docs/troubleshooting.md"

const head = `# Troubleshooting

<!-- Made by "make docs" from test/failures. Edit it there. -->

` + "`kubectl get imagelineage -A`" + ` shows in STATUS the reason of the ` + "`Ready`" + ` condition. Look it up here.
` + "`kubectl get imagelineage -A -o wide`" + ` shows the message behind it, which names the field or the cause, and the command that tells more;
` + "`kubectl describe imagelineage NAME`" + ` shows all conditions, each parent, the newest run, the workloads that need a look, and the Events.

Whatever the operator waits for it tries again by itself, with growing patience. Nothing has to be restarted. To have it look now:

` + "```sh" + `
kubectl annotate imagelineage NAME --overwrite imagelineage.dev/check=$(date +%s)     # ask the registry now
kubectl annotate imagelineage NAME --overwrite imagelineage.dev/rebuild=$(date +%s)   # build now, from the template
` + "```" + `
`

// titles of the parts of the page, in their order.
var titles = []struct {
	kind  Kind
	title string
	intro string
}{
	{Stalled, "Stalled: somebody has to act", "`Ready=False` and `Stalled=True`. Nothing else waits for such a lineage."},
	{Reconciling, "Reconciling: it goes on by itself", "`Ready=False` and `Reconciling=True`."},
	{Ready, "Ready", "`Ready=True`: everything is as it should be, or is deliberately left as it is."},
	{Detail, "In other conditions, and as reasons of a build", "Reasons of `Resolved`, `UpToDate` and `RolledOut`, and of `status.run.reasons`."},
	{Event, "Events", "Beside those above, of which an Event tells when they begin."},
}

// Render is the page: every reason with its meaning and cure, and every failure that is
// tried.
func Render() string {
	var page strings.Builder
	page.WriteString(head)
	for _, part := range titles {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| reason | what it means | what to do |\n|---|---|---|\n", part.title, part.intro)
		for _, e := range Explanations {
			if slices.Contains(e.Kinds, part.kind) && (part.kind != Event || len(e.Kinds) == 1) {
				fmt.Fprintf(&page, "| `%s` | %s | %s |\n", e.Reason, e.Means, e.Do)
			}
		}
	}
	page.WriteString(`
## What is tried

Each of these is made to happen by the tests, beside a neighbouring lineage that must not notice and has to go on: on a real API server with a
registry that fails on demand (*integration*), or on a real cluster with a real Tekton, registry and kubelet (*cluster*). What is
named in quotes stands in the message.
`)
	for _, group := range Groups {
		fmt.Fprintf(&page, "\n### %s\n\n| what goes wrong | STATUS meanwhile | afterwards | where |\n|---|---|---|---|\n", group.Name)
		for _, row := range group.Rows {
			fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", row.Name, meanwhile(row), orNothing(row.After), row.Level)
		}
	}
	page.WriteString("\n### Stories\n\n| what goes wrong | test |\n|---|---|\n")
	for _, story := range Stories {
		fmt.Fprintf(&page, "| %s | `%s` in `%s` |\n", story.Name, story.Test, story.Dir)
	}
	return page.String()
}

// meanwhile is what a person sees while a failure lasts.
func meanwhile(row Row) string {
	if row.Reason == "" {
		return "unchanged"
	}
	var said []string
	for _, words := range row.Says {
		said = append(said, "“"+words+"”")
	}
	seen := "`" + row.Reason + "`"
	if len(said) > 0 {
		seen += ": " + strings.Join(said, ", ")
	}
	return strings.ReplaceAll(seen, "|", "\\|")
}

func orNothing(reason string) string {
	if reason == "" {
		return "it is gone"
	}
	return "`" + reason + "`"
}
