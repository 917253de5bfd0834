//go:build e2e

// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/imagelineage/imagelineage/test/shop"
)

// auditEvent is a line of the API server's audit log.
type auditEvent struct {
	Stage      string `json:"stage"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
}

func (e auditEvent) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s %s/%s/%s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Namespace, e.ObjectRef.Name, e.ObjectRef.Subresource), "/")
}

// isWrite leaves out what is read, what is only asked about, and the Lease that the
// operator renews to be the only one.
func (e auditEvent) isWrite() bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
	default:
		return false
	}
	return e.Stage == "ResponseComplete" && e.User.Username == shop.OperatorAccount &&
		!strings.Contains(e.RequestURI, "dryRun=") &&
		(e.ObjectRef.Resource != "leases" || e.ObjectRef.Namespace != shop.OperatorNamespace) &&
		// Asking whether somebody may read metrics creates nothing.
		!strings.HasSuffix(e.ObjectRef.Resource, "reviews")
}

// auditWrites counts the writes by the operator from a place in the audit log on.
type auditWrites struct{ offset int64 }

func newAuditWrites() (*auditWrites, error) {
	info, err := os.Stat(live.Cluster.AuditLog)
	if err != nil {
		return nil, fmt.Errorf("AUDIT_LOG: %w", err)
	}
	return &auditWrites{offset: info.Size()}, nil
}

func (a *auditWrites) since(context.Context) ([]string, error) {
	file, err := os.Open(live.Cluster.AuditLog)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, err
	}
	var writes []string
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return writes, nil // What comes after the last line is just being written.
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(line, []byte(shop.OperatorAccount)) {
			continue
		}
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if e.isWrite() {
			writes = append(writes, e.String())
		}
	}
}
