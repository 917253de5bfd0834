// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// path is a simple JSON path: a list of steps from the root of a document.
//
// It is that part of JSONPath which says where something is: keys, indices, and
// all elements of a list. Filters, slices and recursive descent are left out, so
// the time to follow a path is bounded by the size of the document.
type path []step

// step goes to a key, an element, or all elements.
type step struct {
	key   string
	index int // where key is empty; allElements is each of them
}

const (
	allElements = -1
	// maxSteps is the length of a path; that of payloads is four or five.
	maxSteps = 16
)

var errPathForm = errors.New("write a path such as .data.image, .events[*].target.tag or .items[0].name")

// parsePath reads .key, [0] and [*], one after another. A dot, a bracket or a
// backslash within a key is written with a backslash before it.
func parsePath(text string) (path, error) {
	var steps path
	for rest := text; rest != ""; {
		var next step
		var err error
		switch rest[0] {
		case '.':
			next.key, rest, err = cutKey(rest[1:])
		case '[':
			next.index, rest, err = cutIndex(rest[1:])
		default:
			err = errPathForm
		}
		if err != nil {
			return nil, err
		}
		if steps = append(steps, next); len(steps) > maxSteps {
			return nil, fmt.Errorf("has more than %d steps", maxSteps)
		}
	}
	if len(steps) == 0 {
		return nil, errPathForm
	}
	return steps, nil
}

func cutKey(text string) (key, rest string, err error) {
	var name strings.Builder
	i := 0
	for ; i < len(text) && text[i] != '.' && text[i] != '['; i++ {
		if text[i] == '\\' {
			i++
			if i == len(text) {
				return "", "", errPathForm
			}
		}
		name.WriteByte(text[i])
	}
	if name.Len() == 0 {
		return "", "", errPathForm
	}
	return name.String(), text[i:], nil
}

func cutIndex(text string) (index int, rest string, err error) {
	number, rest, found := strings.Cut(text, "]")
	if number == "*" {
		return allElements, rest, nil
	}
	index, err = strconv.Atoi(number)
	if !found || err != nil || index < 0 {
		return 0, "", errPathForm
	}
	return index, rest, nil
}

// find is the text at the end of the path, in the document's order; where the
// path does not lead to text or a number, nothing is found. It stops at
// maxReferences.
func (p path) find(document any) []string {
	var found []string
	p.walk(document, &found)
	return found
}

func (p path) walk(value any, found *[]string) {
	if len(*found) >= maxReferences {
		return
	}
	if len(p) == 0 {
		switch leaf := value.(type) {
		case string:
			*found = append(*found, leaf)
		case json.Number:
			*found = append(*found, leaf.String())
		}
		return
	}
	if p[0].key != "" {
		if object, ok := value.(map[string]any); ok {
			p[1:].walk(object[p[0].key], found)
		}
		return
	}
	list, _ := value.([]any)
	for i, element := range list {
		if at := p[0].index; at == allElements || at == i {
			p[1:].walk(element, found)
		}
	}
}
