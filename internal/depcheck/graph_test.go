// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package depcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// graph is who imports whom: import paths by import path.
type graph map[string][]string

// load asks the go command for the module's packages and all that they import, without
// their tests: a test may use whatever it needs.
func load() (graph, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	g := graph{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		g[pkg.ImportPath] = pkg.Imports
	}
}

// violations lists every import that a rule forbids, with the way that leads to it.
func (g graph) violations(r rule) []string {
	var all []string
	for _, pkg := range slices.Sorted(maps.Keys(g)) {
		if !under(pkg, r.of) || under(pkg, r.except) {
			continue
		}
		for _, way := range g.ways(pkg, r.closure) {
			if to := way[len(way)-1]; under(to, r.never) && !under(to, r.allowed) {
				all = append(all, strings.Join(way, " → "))
			}
		}
	}
	return all
}

// ways returns a shortest way from a package to each one that it imports, and in the
// closure to each one that those import.
func (g graph) ways(from string, closure bool) [][]string {
	var found [][]string
	seen := map[string]bool{from: true}
	for next := [][]string{{from}}; len(next) > 0; next = next[1:] {
		way := next[0]
		for _, to := range g[way[len(way)-1]] {
			if seen[to] {
				continue
			}
			seen[to] = true
			longer := append(slices.Clone(way), to)
			found = append(found, longer)
			if closure {
				next = append(next, longer)
			}
		}
	}
	return found
}

// under reports whether a package is one of these, or below one of them.
func under(pkg string, parents []string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool {
		return pkg == parent || strings.HasPrefix(pkg, parent+"/")
	})
}
