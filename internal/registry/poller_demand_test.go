// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// TestManyOwnersOfOneTag: an owner more costs the same, however many there are: to join,
// to want something else, and to leave.
func TestManyOwnersOfOneTag(t *testing.T) {
	const few, many = 500, 20_000 // 40 times as much where it is linear, 1,600 times where it is quadratic
	const limit = 400
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	wanted := func(interval time.Duration, known v1alpha1.Digest) []registry.Target {
		return []registry.Target{{
			Reference: ref, Interval: interval, Known: known, Detail: registry.Detail{Kind: v1alpha1.IdentityContent},
		}}
	}
	tests := map[string]func(p *registry.Poller, i int){
		"to join and leave again": func(*registry.Poller, int) {},
		"to want a shorter interval": func(p *registry.Poller, i int) {
			p.Follow(owner(i), wanted(time.Minute, ""))
		},
		"to know the digest": func(p *registry.Poller, i int) {
			p.Follow(owner(i), wanted(time.Hour, "sha256:known"))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			cost := func(owners int) time.Duration {
				least := time.Duration(0)
				for range 3 {
					w := newWorld(t, r.Host)
					w.poller.Follow(owner(-1), wanted(time.Hour, ""))
					w.woken(1)
					w.stop()
					begun := time.Now()
					for i := range owners {
						w.poller.Follow(owner(i), wanted(time.Hour, ""))
					}
					for i := range owners {
						change(w.poller, i)
					}
					for i := range owners {
						w.poller.Forget(owner(i))
					}
					if took := time.Since(begun); least == 0 || took < least {
						least = took
					}
				}
				return least
			}
			if small, large := cost(few), cost(many); large > limit*small {
				t.Errorf("%d owners cost %v, %d cost %v", few, small, many, large)
			}
		})
	}
}
