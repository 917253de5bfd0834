// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package variants

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// variant is a change of one file that breaks a promise. What it replaces has to be
// there exactly once, so that a variant cannot outlive the code that it breaks.
type variant struct {
	file     string
	old, new string
}

var variants = map[string]variant{
	"no tag check before publish": {
		file: "internal/registry/publish.go",
		old:  "\tdefault:\n\t\treturn Superseded\n",
		new:  "\tdefault:\n\t\treturn Moved\n",
	},
	"record before create": {
		file: "controllers/imagelineage/controller.go",
		old: `	outcome, executeErr := r.execute(ctx, *snapshot, decided)

	after := status.Summarize(*snapshot, decided, outcome)

	stored, err := r.store(ctx, snapshot.Lineage, after)
`,
		new: `	_, creates := decided.Step.(plan.Create)
	outcome, executeErr := plan.Outcome{Done: true, At: snapshot.Now}, error(nil)
	if !creates {
		outcome, executeErr = r.execute(ctx, *snapshot, decided)
	}
	after := status.Summarize(*snapshot, decided, outcome)
	stored, err := r.store(ctx, snapshot.Lineage, after)
	if creates && stored && err == nil {
		_, executeErr = r.execute(ctx, *snapshot, decided)
	}
`,
	},
	"adopt any digest": {
		file: "internal/plan/tag.go",
		old:  "\tknown := findDigest(d.Lineage.Status.History, o.Digest)\n\tif known != nil && ",
		new:  "\tknown := findDigest(nil, o.Digest)\n\tif known != nil && ",
	},
	"retry without backoff": {
		file: "internal/plan/retry.go",
		old:  "\tif !due.After(d.Now) {\n",
		new:  "\tif !due.IsZero() {\n",
	},
	"count budgets from the cache alone": {
		file: "controllers/imagelineage/admitter.go",
		old:  "return a.limit - len(a.live) - len(a.created)",
		new:  "return a.limit - len(a.live)",
	},
}

// suite are the packages whose tests have to notice.
var suite = []string{"./internal/plan", "./internal/status", "./internal/registry", "./controllers/imagelineage"}

// TestBrokenVariantsAreCaught runs the suite against each broken variant, and prints
// which tests caught it.
func TestBrokenVariantsAreCaught(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			caught := failing(t, root, v.overlay(t, root))
			if len(caught) == 0 {
				t.Fatalf("nothing notices it")
			}
			t.Logf("%q is caught by:\n  %s", name, strings.Join(caught, "\n  "))
		})
	}
}

// overlay writes the broken file beside the tree, and tells the go command to take it
// for the real one.
func (v variant) overlay(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, v.file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(v.old)); n != 1 {
		t.Fatalf("%s holds what is broken here %d times, want once: adjust the variant", v.file, n)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, bytes.Replace(source, []byte(v.old), []byte(v.new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// failing are the tests that fail under an overlay. A variant that does not compile is
// not caught by anybody.
func failing(t *testing.T, root, overlay string) []string {
	t.Helper()
	args := append([]string{"test", "-short", "-json", "-overlay", overlay}, suite...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, _ := cmd.Output() // a failure is what is wanted
	var failed []string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Action == "build-fail" {
			t.Fatalf("the variant does not compile: %s", out)
		}
		if e.Action == "fail" && e.Test != "" && !strings.Contains(e.Test, "/seed_") {
			failed = append(failed, e.Package[strings.LastIndex(e.Package, "imagelineage/")+len("imagelineage/"):]+" "+e.Test)
		}
	}
	slices.Sort(failed)
	return failed
}
