// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// operatorUser is who the operator is to the API server, so that its requests can
// be told from those of the benchmark.
const operatorUser = "imagelineage-operator"

// auditPolicy has the API server note what the operator writes, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [` + operatorUser + `]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// auditLog is where the API server notes the operator's writes: each one, before
// it is answered.
type auditLog struct{ path string }

// writes count by what was written, such as "patch imagelineages/status".
type writes map[string]int

// size is a place in the log, from which to count.
func (a auditLog) size() (int64, error) {
	about, err := os.Stat(a.path)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return about.Size(), nil
}

// since counts the writes noted after a place in the log.
func (a auditLog) since(place int64) (writes, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(place, io.SeekStart); err != nil {
		return nil, err
	}
	return countWrites(file)
}

// countWrites reads lines of the log; one that is being written is left out.
func countWrites(from io.Reader) (writes, error) {
	found := writes{}
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		var event struct {
			Verb      string `json:"verb"`
			ObjectRef struct {
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"objectRef"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(line), &event); err != nil {
			return nil, fmt.Errorf("the audit log: %w", err)
		}
		what := event.Verb + " " + event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			what += "/" + event.ObjectRef.Subresource
		}
		found[what]++
	}
}

// withoutLease are all but those of the operator's own Lease, by which it stays
// the only one that works.
func (w writes) withoutLease() writes {
	rest := maps.Clone(w)
	maps.DeleteFunc(rest, func(what string, _ int) bool { return strings.HasSuffix(what, " leases") })
	return rest
}

func (w writes) total() int {
	n := 0
	for _, count := range w {
		n += count
	}
	return n
}

// String lists the writes by what was written.
func (w writes) String() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, fmt.Sprintf("%d × %s", w[what], what))
	}
	return strings.Join(parts, ", ")
}
