// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package depcheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clockReads are what tells the time or waits, by import path. The types and the
// arithmetic of these packages are values, and welcome.
var clockReads = map[string][]string{
	"time": {
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
	},
	"k8s.io/apimachinery/pkg/apis/meta/v1": {"Now", "NowMicro"},
}

// TestPurePackagesReadNoClock: the time of a decision is a part of its snapshot.
func TestPurePackagesReadNoClock(t *testing.T) {
	for _, pkg := range pure {
		dir := filepath.Join("../..", strings.TrimPrefix(pkg, module))
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, read := range readsOfClock(t, file, string(source)) {
				t.Errorf("%s: take the time from the snapshot instead", read)
			}
		}
	}
}

func TestReadsOfClock(t *testing.T) {
	for title, tc := range map[string]struct {
		source string
		want   []string
	}{
		"a call": {
			source: "package p\nimport \"time\"\nvar x = time.Now()",
			want:   []string{"p.go:3:9: time.Now"},
		},
		"a function that is only handed on": {
			source: "package p\nimport \"time\"\nvar x = time.Since",
			want:   []string{"p.go:3:9: time.Since"},
		},
		"under another name": {
			source: "package p\nimport metav1 \"k8s.io/apimachinery/pkg/apis/meta/v1\"\nvar x = metav1.Now()",
			want:   []string{"p.go:3:9: metav1.Now"},
		},
		"without a name": {
			source: "package p\nimport . \"time\"\nvar x = Now()",
			want:   []string{"p.go:2:8: a dot import of time"},
		},
		"arithmetic and types are welcome": {
			source: "package p\nimport \"time\"\nvar x = time.Unix(0, 0).Add(time.Minute)",
		},
		"a function of the same name": {
			source: "package p\nimport \"example.com/now\"\nvar x = now.Now()",
		},
	} {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, readsOfClock(t, "p.go", tc.source)); diff != "" {
				t.Errorf("reads (-want +got):\n%s", diff)
			}
		})
	}
}

// readsOfClock lists where a file uses one of clockReads.
func readsOfClock(t *testing.T, name, source string) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reads []string
	forbidden := map[string][]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		functions, ok := clockReads[path]
		switch {
		case !ok:
		case spec.Name == nil:
			forbidden[path[strings.LastIndex(path, "/")+1:]] = functions
		case spec.Name.Name == ".":
			reads = append(reads, files.Position(spec.Pos()).String()+": a dot import of "+path)
		default:
			forbidden[spec.Name.Name] = functions
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && slices.Contains(forbidden[x.Name], selector.Sel.Name) {
				reads = append(reads, files.Position(selector.Pos()).String()+": "+x.Name+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return reads
}
