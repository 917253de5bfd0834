// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/imagelineage/imagelineage/test/shop"
)

// limit is how long a cascade may take on a small machine.
const limit = 5 * time.Minute

// applications are those whose pods get the base through lineages.
var applications = []string{"web", "api"}

// existing is the demo that is up.
func existing(ctx context.Context) (*demo, error) {
	cluster, err := find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: run \"make demo\" first", err)
	}
	d, err := connect(ctx, cluster, newScreen(os.Stdout))
	if err != nil {
		return nil, err
	}
	if _, found, err := d.made(ctx); err != nil || !found {
		return nil, errors.Join(err, errors.New("the shop is not open in this cluster: run \"make demo\" first"))
	}
	return d, nil
}

// moveByHand moves the base of a shop that is open.
func moveByHand(ctx context.Context, version string) error {
	d, err := existing(ctx)
	if err != nil {
		return err
	}
	if _, err := shop.NewJournal(ctx, d.config, d.Namespaces(), d.screen.tell); err != nil {
		return err
	}
	return d.move(ctx, version)
}

// move pushes the base with another version of the package, shows what comes of it, and
// proves it inside the pods.
func (d *demo) move(ctx context.Context, version string) error {
	before, err := d.newest(ctx)
	if err != nil {
		return err
	}
	if version == "" {
		if version, err = d.next(ctx, before); err != nil {
			return err
		}
	}
	d.screen.title("The base moves: %s %s → %s", shop.Package, before, version)
	err = d.screen.step("Debian with "+shop.Package+" "+version, func() error { return d.PushBase(ctx, os.Stderr, version) })
	if err != nil {
		return err
	}
	d.screen.say("")
	pushed, err := d.push(ctx, version)
	if err != nil {
		return err
	}
	if err := d.follow(ctx); err != nil {
		return err
	}
	d.screen.line(time.Now(), "everything", "at rest")
	return d.prove(ctx, version, pushed)
}

// push puts the new state under the base's tag: from here on the seconds count.
func (d *demo) push(ctx context.Context, version string) (time.Time, error) {
	d.screen.reset(time.Now())
	pushed, err := d.Move(ctx, version)
	if err != nil {
		return time.Time{}, err
	}
	d.screen.line(pushed, "registry", fmt.Sprintf("%s is pushed, with %s %s", shop.BaseTag, shop.Package, version))
	d.screen.reset(pushed)
	return pushed, nil
}

// follow waits until the base was seen and nothing moves any more.
func (d *demo) follow(ctx context.Context) error {
	return shop.Until(ctx, limit, "the cascade", func(ctx context.Context) error {
		digest, err := d.Registry.Digest(ctx, d.Image(shop.BaseTag))
		if err != nil {
			return err
		}
		base, err := d.Lineage(ctx, "platform", "debian")
		if err != nil {
			return err
		}
		if base.Status.Current == nil || string(base.Status.Current.Digest) != digest {
			return errors.New("the base's new digest was not seen yet")
		}
		return d.AtRest(ctx)
	})
}

// newest is the newest version of the package that an application runs.
func (d *demo) newest(ctx context.Context) (string, error) {
	newest := ""
	for _, app := range applications {
		version, err := d.Version(ctx, app)
		if err != nil {
			return "", fmt.Errorf("which version runs now: %w", err)
		}
		if newest == "" || less(newest, version) {
			newest = version
		}
	}
	return newest, nil
}

// next is a version whose image is not what the base's tag shows already.
func (d *demo) next(ctx context.Context, version string) (string, error) {
	shown, err := d.Registry.Digest(ctx, d.Image(shop.BaseTag))
	if err != nil {
		return "", err
	}
	for {
		version = after(version)
		pushed, err := d.Registry.Digest(ctx, d.BaseVersion(version))
		if err != nil {
			return "", err
		}
		if pushed == "" || pushed != shown {
			return version, nil
		}
	}
}

// after is the version that follows: 1.9 → 1.10.
func after(version string) string {
	major, minor, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(minor)
	if err != nil {
		return version + ".1"
	}
	return fmt.Sprintf("%s.%d", major, n+1)
}

// less compares versions by their numbers.
func less(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX != nil || errY != nil {
			return a < b
		}
		if x != y {
			return x < y
		}
	}
	return len(as) < len(bs)
}
