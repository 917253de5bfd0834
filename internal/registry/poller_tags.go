// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import "fmt"

const (
	// largeList is from which size on lists of tags share a room: some 2,000 tags. What
	// is smaller is always kept, so that nobody's large lists are in the way of it.
	largeList = 64 << 10
	// maxLargeLists is that room, in bytes: an eighth of the memory that the operator
	// is given.
	maxLargeLists = 64 << 20
)

// sizeOf is what a list of tags takes in memory, in bytes.
func sizeOf(tags []string) int {
	const header = 16 // of a string
	size := 0
	for _, tag := range tags {
		size += header + len(tag)
	}
	return size
}

// roomOf is what a list takes of the room for large ones.
func roomOf(tags []string) int {
	if size := sizeOf(tags); size > largeList {
		return size
	}
	return 0
}

// makeRoom is an error where there is no room for a feed's new list of tags.
func (p *Poller) makeRoom(f *feed, tags []string) error {
	room := roomOf(tags)
	if room == 0 || p.largeLists-roomOf(f.tags)+room <= maxLargeLists {
		return nil
	}
	return &Error{Class: Invalid, Host: f.ref.Host(), Op: opOf(f.ref), cause: fmt.Sprintf(
		"the list of %d tags has no room beside the others: all large lists together may take %d MiB", len(tags), maxLargeLists>>20)}
}

// keepTags keeps a list of tags in place of the one before.
func (p *Poller) keepTags(f *feed, tags []string) {
	p.largeLists += roomOf(tags) - roomOf(f.tags)
	f.tags = tags
}
