// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"bytes"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// writers are the field managers of an object, with the fields that each owns.
type writers []writer

type writer struct {
	manager string
	at      time.Time
	fields  *fieldpath.Set
}

// writersOf leaves out entries of subresources, which do not write the template,
// and entries that cannot be read.
func writersOf(entries []metav1.ManagedFieldsEntry) writers {
	var by writers
	for i := range entries {
		entry := &entries[i]
		if entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		fields := &fieldpath.Set{}
		if err := fields.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
			continue
		}
		w := writer{manager: entry.Manager, fields: fields}
		if entry.Time != nil {
			w.at = entry.Time.Time
		}
		by = append(by, w)
	}
	return by
}

// ofImage is the manager that owns the image of a container, and when it last
// changed any of its fields; the newest one where several share the ownership,
// and nobody where no entry tells.
func (by writers) ofImage(container string, init bool) (manager string, at time.Time) {
	list := "containers"
	if init {
		list = "initContainers"
	}
	path := fieldpath.MakePathOrDie("spec", "template", "spec", list, fieldpath.KeyByFields("name", container), "image")
	for _, w := range by {
		if w.fields.Has(path) && (manager == "" || w.at.After(at)) {
			manager, at = w.manager, w.at
		}
	}
	return manager, at
}
