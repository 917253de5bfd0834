// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package integration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// long is a name of n characters.
func long(n int) string { return strings.Repeat("a", n) }

// list is a YAML list of n entries, each from a format with its number.
func list(n int, format string) string {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(format, i))
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

// mapping is a YAML mapping of n entries.
func mapping(n int) string {
	return "{" + strings.Trim(list(n, "k%d: v"), "[]") + "}"
}

// The parts that the specs below are made of.
const (
	image  = "image: registry.example.com/shop/web:stable"
	parent = "from: [{name: base, lineageRef: {name: debian}}]"
	build  = parent + "\nbuild: {pipelineRun: {spec: {pipelineRef: {name: build}}}}"
)

// hex is a digest's second half.
var hex = strings.Repeat("0a", 32)

// validSpecs are specs that must be taken.
var validSpecs = map[string]string{
	"followed":                            image,
	"followed, from a port":               "image: registry.example.com:5000/web:1.0_a-b",
	"followed, Docker Hub's short":        "image: debian:12",
	"polled as often as allowed":          image + "\npoll: {interval: 10s}",
	"polled at a combined interval":       image + "\npoll: {interval: 1h30m}",
	"the highest of a range of versions":  "image: docker.io/library/postgres\ntags: {semver: 15.x}",
	"the highest number that a group has": "image: registry.example.com:5000/shop/web\ntags: {pattern: \"build-(\\\\d+)\", order: Numerical}",
	"a range within a pattern":            "image: debian\ntags: {semver: \">=12\", pattern: \"(.*)-slim\", order: SemVer}",
	"tags to choose from, tracked":        "image: debian\ntags: {semver: 12.x}\n" + parent,
	"copies in a repository below":        image + "\nmirror: {image: registry.example.com/shop}",
	"copies of one's own":                 image + "\nmirror: {image: \"registry.example.com:5000/mirror/web\", pushSecrets: [{name: push}]}\nrollout: {mode: Patch, useMirror: true}",
	"a digest has to age":                 image + "\npoll: {minAge: 72h}",
	"what counts as a change":             image + "\npoll: {changeOn: Index}",
	"platforms that count":                image + "\npoll: {changeOn: Content, platforms: [linux/amd64, linux/arm/v7]}",
	"pull secrets":                        image + "\npullSecrets: " + list(8, "{name: s%d}"),
	"a service account":                   image + "\nserviceAccountName: builder.of-images",
	"children of the same namespace":      image + "\nallowedChildren: {namespaces: {from: Same}}",
	"children of every namespace":         image + "\nallowedChildren: {namespaces: {from: All}}",
	"children of selected namespaces":     image + "\nallowedChildren: {namespaces: {from: Selector, selector: {matchLabels: {tier: apps}}}}",
	"tracked":                             image + "\n" + parent,
	"tracked, a builder only":             image + "\nfrom: [{name: builder, as: Builder, image: \"golang:1.26\"}]",
	"a parent of another namespace":       image + "\nfrom: [{name: base, lineageRef: {name: debian.12, namespace: platform}}]",
	"produced":                            image + "\n" + build,
	"a base and a builder": image + `
from: [{name: base, as: Base, image: "debian:12"}, {name: builder, as: Builder, image: "golang:1.26"}]
build: {pipelineRun: {spec: {params: [{name: IMAGE, value: $(lineage.output)}]}}}`,
	"as many parents as allowed": image + "\nfrom: " + list(16, "{name: p%d, as: Builder, image: \"golang:1.26\"}"),
	"a template with metadata": image + "\n" + parent + `
build: {pipelineRun: {metadata: {labels: {team: shop}, annotations: {example.com/a: b}}, spec: {}}}`,
	"results and push secrets": image + "\n" + parent + `
build: {pipelineRun: {spec: {}}, results: {digest: D, url: U}, pushSecrets: [{name: push}]}`,
	"built anew as often as allowed": image + "\n" + build[:len(build)-1] + ", rebuildEvery: 1h}",
	"build windows and approval": image + "\n" + build[:len(build)-1] + `, approval: Required, windows: [
  {schedule: "0 22 * * 1-5", duration: 4h}, {schedule: "30 2 * * sat", duration: 1h30m, timeZone: Europe/Berlin}]}`,
	"as many build windows as allowed": image + "\n" + build[:len(build)-1] + ", windows: " + list(16, "{schedule: \"%d 22 * * *\", duration: 1m}") + "}",
	"a rollout":                        image + "\nrollout: {mode: Patch}",
	"no rollout":                       image + "\nrollout: {mode: None}",
	"suspended":                        image + "\nsuspend: true",
	"the longest tag":                  "image: debian:" + long(128),
	"the longest reference":            "image: " + long(381) + ":12",
}

// invalidSpecs are specs that must be refused, with all that is said about them.
var invalidSpecs = map[string]struct {
	spec string
	want []string
}{
	"no image": {
		spec: "suspend: true",
		want: []string{"spec.image: Required value"},
	},
	"an empty image": {
		spec: `image: ""`,
		want: []string{
			`spec.image: Invalid value: spec.image in body should be at least 1 chars long`,
			"spec: Invalid value: spec.image must name a tag: write repository:tag, or say in spec.tags which tags count",
		},
	},
	"an image without a tag": {
		spec: "image: registry.example.com:5000/shop/web",
		want: []string{"spec: Invalid value: spec.image must name a tag: write repository:tag, or say in spec.tags which tags count"},
	},
	"an image by digest": {
		spec: "image: registry.example.com/web@sha256:" + hex,
		want: []string{
			"spec.image: Invalid value: spec.image must be a tag that moves, repository:tag, not a digest",
			"spec: Invalid value: spec.image must name a tag: write repository:tag, or say in spec.tags which tags count",
		},
	},
	"an image with tag and digest": {
		spec: "image: registry.example.com/web:1@sha256:" + hex,
		want: []string{
			"spec.image: Invalid value: spec.image must be a tag that moves, repository:tag, not a digest",
			"spec: Invalid value: spec.image must name a tag: write repository:tag, or say in spec.tags which tags count",
		},
	},
	"an image that is too long": {
		spec: "image: " + long(382) + ":12",
		want: []string{"spec.image: Too long: may not be more than 384 bytes"},
	},
	"a change of something else": {
		spec: image + "\npoll: {changeOn: Label}",
		want: []string{`spec.poll.changeOn: Unsupported value: "Label": supported values: "Index", "Platforms", "Content"`},
	},
	"platforms where the index counts": {
		spec: image + "\npoll: {platforms: [linux/amd64]}",
		want: []string{"spec.poll: Invalid value: poll.platforms needs poll.changeOn: Platforms or Content; the digest of an index is that of all its platforms"},
	},
	"platforms that are none": {
		spec: image + "\npoll: {changeOn: Platforms, platforms: [amd64, " + long(60) + "/amd64]}",
		want: []string{
			"spec.poll.platforms[0]: Invalid value: spec.poll.platforms[0] in body should match '^[a-z0-9_]+/[a-z0-9_]+(/[a-z0-9_.]+)?$'",
			"spec.poll.platforms[1]: Too long: may not be more than 64 bytes",
		},
	},
	"no platforms": {
		spec: image + "\npoll: {changeOn: Platforms, platforms: []}",
		want: []string{"spec.poll.platforms: Invalid value: spec.poll.platforms in body should have at least 1 items"},
	},
	"too many platforms": {
		spec: image + "\npoll: {changeOn: Platforms, platforms: " + list(17, "linux/a%d") + "}",
		want: []string{"spec.poll.platforms: Too many: 17: must have at most 16 items"},
	},
	"a platform twice": {
		spec: image + "\npoll: {changeOn: Platforms, platforms: [linux/amd64, linux/amd64]}",
		want: []string{`spec.poll.platforms[1]: Duplicate value: "linux/amd64"`},
	},
	"tags to choose from, and a tag": {
		spec: image + "\ntags: {semver: 15.x}",
		want: []string{"spec: Invalid value: spec.tags chooses the tag: write spec.image without one"},
	},
	"tags to choose from, and a build": {
		spec: "image: debian\ntags: {semver: 12.x}\n" + build,
		want: []string{"spec: Invalid value: spec.tags is for images that somebody else builds: remove it, or spec.build"},
	},
	"tags without a rule": {
		spec: "image: debian\ntags: {}",
		want: []string{"spec.tags: Invalid value: spec.tags needs semver, pattern, or both"},
	},
	"a pattern without an order": {
		spec: "image: debian\ntags: {pattern: a}",
		want: []string{"spec.tags: Invalid value: spec.tags.order is needed with a pattern: SemVer, Numerical or Alphabetical"},
	},
	"a range of versions in another order": {
		spec: "image: debian\ntags: {semver: 12.x, order: Numerical}",
		want: []string{"spec.tags: Invalid value: spec.tags.semver has an order of its own: remove spec.tags.order"},
	},
	"an order that is none": {
		spec: "image: debian\ntags: {pattern: a, order: Newest}",
		want: []string{`spec.tags.order: Unsupported value: "Newest": supported values: "SemVer", "Numerical", "Alphabetical"`},
	},
	"an empty range": {
		spec: "image: debian\ntags: {semver: \"\"}",
		want: []string{"spec.tags.semver: Invalid value: spec.tags.semver in body should be at least 1 chars long"},
	},
	"an empty pattern": {
		spec: "image: debian\ntags: {pattern: \"\", order: SemVer}",
		want: []string{"spec.tags.pattern: Invalid value: spec.tags.pattern in body should be at least 1 chars long"},
	},
	"a range that is too long": {
		spec: "image: debian\ntags: {semver: " + long(129) + "}",
		want: []string{"spec.tags.semver: Too long: may not be more than 128 bytes"},
	},
	"a pattern that is too long": {
		spec: "image: debian\ntags: {order: SemVer, pattern: " + long(257) + "}",
		want: []string{"spec.tags.pattern: Too long: may not be more than 256 bytes"},
	},
	"an age that is too short": {
		spec: image + "\npoll: {minAge: 59s}",
		want: []string{"spec.poll.minAge: Invalid value: poll.minAge must be at least 1m; remove it to take each digest at once"},
	},
	"an age that is none": {
		spec: image + "\npoll: {minAge: 3 days}",
		want: []string{"spec.poll.minAge: Invalid value: spec.poll.minAge in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'"},
	},
	"an age that is too long": {
		spec: image + "\npoll: {minAge: 1111111111111111111111111h}",
		want: []string{"spec.poll.minAge: Too long: may not be more than 24 bytes"},
	},
	"an age of what is tracked": {
		spec: image + "\npoll: {minAge: 1h}\n" + parent,
		want: []string{"spec: Invalid value: poll.minAge is for images that are followed: remove it, or spec.from"},
	},
	"copies under a tag": {
		spec: image + "\nmirror: {image: \"registry.example.com/mirror/web:1\"}",
		want: []string{"spec.mirror.image: Invalid value: mirror.image must be a repository without a tag or digest: each digest is kept under a tag of its own"},
	},
	"copies by digest": {
		spec: image + "\nmirror: {image: \"registry.example.com/mirror/web@sha256:" + hex + "\"}",
		want: []string{"spec.mirror.image: Invalid value: mirror.image must be a repository without a tag or digest: each digest is kept under a tag of its own"},
	},
	"copies nowhere": {
		spec: image + "\nmirror: {image: \"\"}",
		want: []string{"spec.mirror.image: Invalid value: spec.mirror.image in body should be at least 1 chars long"},
	},
	"copies of no image": {
		spec: image + "\nmirror: {}",
		want: []string{"spec.mirror.image: Required value"},
	},
	"copies too far away": {
		spec: image + "\nmirror: {image: " + long(385) + "}",
		want: []string{"spec.mirror.image: Too long: may not be more than 384 bytes"},
	},
	"copies of what is tracked": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web}\n" + parent,
		want: []string{"spec: Invalid value: spec.mirror is for images that are followed: remove it, or spec.from"},
	},
	"too many Secrets for copies": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: " + list(9, "{name: s%d}") + "}",
		want: []string{"spec.mirror.pushSecrets: Too many: 9: must have at most 8 items"},
	},
	"a Secret for copies twice": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: [{name: a}, {name: a}]}",
		want: []string{`spec.mirror.pushSecrets[1]: Duplicate value: {"name":"a"}`},
	},
	"a Secret for copies without a name": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: [{name: \"\"}]}",
		want: []string{"spec.mirror.pushSecrets[0].name: Invalid value: spec.mirror.pushSecrets[0].name in body should be at least 1 chars long"},
	},
	"copies beside their original": {
		spec: image + "\nmirror: {image: registry.example.com/shop/web}",
		want: []string{"spec: Invalid value: spec.mirror.image is the repository of spec.image: name another one to copy to"},
	},
	"copies beside their original, of which tags are chosen": {
		spec: "image: debian\ntags: {semver: 12.x}\nmirror: {image: debian}",
		want: []string{"spec: Invalid value: spec.mirror.image is the repository of spec.image: name another one to copy to"},
	},
	"workloads on copies that are not made": {
		spec: image + "\nrollout: {mode: Patch, useMirror: true}",
		want: []string{"spec: Invalid value: rollout.useMirror needs spec.mirror"},
	},
	"a Secret for copies that has no name": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: [{}]}",
		want: []string{"spec.mirror.pushSecrets[0].name: Required value"},
	},
	"a Secret for copies with a long name": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: [{name: " + long(254) + "}]}",
		want: []string{"spec.mirror.pushSecrets[0].name: Too long: may not be more than 253 bytes"},
	},
	"a Secret for copies with a wrong name": {
		spec: image + "\nmirror: {image: registry.example.com/mirror/web, pushSecrets: [{name: A_b}]}",
		want: []string{"spec.mirror.pushSecrets[0].name: Invalid value: spec.mirror.pushSecrets[0].name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"},
	},
	"an interval that is too short": {
		spec: image + "\npoll: {interval: 9s}",
		want: []string{"spec.poll.interval: Invalid value: poll.interval must be at least 10s"},
	},
	"an interval that is none": {
		spec: image + "\npoll: {interval: 15 minutes}",
		want: []string{
			`spec.poll.interval: Invalid value: spec.poll.interval in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'`,
		},
	},
	"an interval that is too long": {
		spec: image + "\npoll: {interval: 10000h10000h10000h10000h1}",
		want: []string{
			"spec.poll.interval: Too long: may not be more than 24 bytes",
		},
	},
	"too many pull secrets": {
		spec: image + "\npullSecrets: " + list(9, "{name: s%d}"),
		want: []string{"spec.pullSecrets: Too many: 9: must have at most 8 items"},
	},
	"a pull secret twice": {
		spec: image + "\npullSecrets: [{name: a}, {name: a}]",
		want: []string{`spec.pullSecrets[1]: Duplicate value: {"name":"a"}`},
	},
	"a pull secret without a name": {
		spec: image + "\npullSecrets: [{}]",
		want: []string{"spec.pullSecrets[0].name: Required value"},
	},
	"a pull secret with an empty name": {
		spec: image + `
pullSecrets: [{name: ""}]`,
		want: []string{
			`spec.pullSecrets[0].name: Invalid value: spec.pullSecrets[0].name in body should be at least 1 chars long`,
		},
	},
	"a pull secret with a name that is none": {
		spec: image + "\npullSecrets: [{name: A_b}]",
		want: []string{"spec.pullSecrets[0].name: Invalid value: spec.pullSecrets[0].name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"},
	},
	"a pull secret with a long name": {
		spec: image + "\npullSecrets: [{name: " + long(254) + "}]",
		want: []string{"spec.pullSecrets[0].name: Too long: may not be more than 253 bytes"},
	},
	"a service account with an empty name": {
		spec: image + `
serviceAccountName: ""`,
		want: []string{
			`spec.serviceAccountName: Invalid value: spec.serviceAccountName in body should be at least 1 chars long`,
		},
	},
	"a service account with a name that is none": {
		spec: image + "\nserviceAccountName: A_b",
		want: []string{"spec.serviceAccountName: Invalid value: spec.serviceAccountName in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'"},
	},
	"a service account with a long name": {
		spec: image + "\nserviceAccountName: " + long(254),
		want: []string{"spec.serviceAccountName: Too long: may not be more than 253 bytes"},
	},
	"children without namespaces": {
		spec: image + "\nallowedChildren: {}",
		want: []string{"spec.allowedChildren.namespaces: Required value"},
	},
	"children of unsaid namespaces": {
		spec: image + "\nallowedChildren: {namespaces: {}}",
		want: []string{"spec.allowedChildren.namespaces.from: Required value"},
	},
	"children of unknown namespaces": {
		spec: image + "\nallowedChildren: {namespaces: {from: Some}}",
		want: []string{`spec.allowedChildren.namespaces.from: Unsupported value: "Some": supported values: "Same", "All", "Selector"`},
	},
	"a selector that is missing": {
		spec: image + "\nallowedChildren: {namespaces: {from: Selector}}",
		want: []string{"spec.allowedChildren.namespaces: Invalid value: selector is needed with from: Selector, and allowed with nothing else"},
	},
	"a selector that is not wanted": {
		spec: image + "\nallowedChildren: {namespaces: {from: All, selector: {}}}",
		want: []string{"spec.allowedChildren.namespaces: Invalid value: selector is needed with from: Selector, and allowed with nothing else"},
	},
	"no parent": {
		spec: image + "\nfrom: []",
		want: []string{"spec.from: Invalid value: spec.from in body should have at least 1 items"},
	},
	"too many parents": {
		spec: image + "\nfrom: " + list(17, "{name: p%d, as: Builder, image: \"golang:1.26\"}"),
		want: []string{"spec.from: Too many: 17: must have at most 16 items"},
	},
	"a parent twice": {
		spec: image + "\nfrom: [{name: a, as: Base, image: \"a:1\"}, {name: a, as: Builder, image: \"b:1\"}]",
		want: []string{`spec.from[1]: Duplicate value: {"name":"a"}`},
	},
	"two parents of unsaid use": {
		spec: image + "\nfrom: [{name: a, image: \"a:1\"}, {name: b, as: Builder, image: \"b:1\"}]",
		want: []string{"spec.from: Invalid value: with two or more parents each needs as: Base (the final stage's) or Builder"},
	},
	"two bases": {
		spec: image + "\nfrom: [{name: a, as: Base, image: \"a:1\"}, {name: b, as: Base, image: \"b:1\"}]",
		want: []string{"spec.from: Invalid value: at most one parent can be as: Base, the one of the final stage"},
	},
	"a parent of unknown use": {
		spec: image + "\nfrom: [{name: a, as: Runtime, image: \"a:1\"}]",
		want: []string{`spec.from[0].as: Unsupported value: "Runtime": supported values: "Base", "Builder"`},
	},
	"a parent without a name": {
		spec: image + "\nfrom: [{image: \"a:1\"}]",
		want: []string{"spec.from[0].name: Required value"},
	},
	"a parent with an empty name": {
		spec: image + "\nfrom: [{name: \"\", image: \"a:1\"}]",
		want: []string{
			`spec.from[0].name: Invalid value: spec.from[0].name in body should be at least 1 chars long`,
		},
	},
	"a parent with a name that is none": {
		spec: image + "\nfrom: [{name: the.base, image: \"a:1\"}]",
		want: []string{"spec.from[0].name: Invalid value: spec.from[0].name in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"},
	},
	"a parent with a long name": {
		spec: image + "\nfrom: [{name: " + long(17) + ", image: \"a:1\"}]",
		want: []string{"spec.from[0].name: Too long: may not be more than 16 bytes"},
	},
	"a parent that is nothing": {
		spec: image + "\nfrom: [{name: a}]",
		want: []string{"spec.from[0]: Invalid value: a parent is either a lineageRef or an image: set exactly one of them"},
	},
	"a parent that is both": {
		spec: image + "\nfrom: [{name: a, image: \"a:1\", lineageRef: {name: a}}]",
		want: []string{"spec.from[0]: Invalid value: a parent is either a lineageRef or an image: set exactly one of them"},
	},
	"a parent's empty image": {
		spec: image + "\nfrom: [{name: a, image: \"\"}]",
		want: []string{
			"spec.from[0].image: Invalid value: a parent's image must name a tag: write repository:tag",
			`spec.from[0].image: Invalid value: spec.from[0].image in body should be at least 1 chars long`,
		},
	},
	"a parent's image without a tag": {
		spec: image + "\nfrom: [{name: a, image: a}]",
		want: []string{"spec.from[0].image: Invalid value: a parent's image must name a tag: write repository:tag"},
	},
	"a parent's image by digest": {
		spec: image + "\nfrom: [{name: a, image: \"a:1@sha256:" + hex + "\"}]",
		want: []string{
			"spec.from[0].image: Invalid value: a parent's image must be a tag that moves, repository:tag, not a digest",
			"spec.from[0].image: Invalid value: a parent's image must name a tag: write repository:tag",
		},
	},
	"a parent's image that is too long": {
		spec: image + "\nfrom: [{name: a, image: \"" + long(382) + ":12\"}]",
		want: []string{"spec.from[0].image: Too long: may not be more than 384 bytes"},
	},
	"a lineage without a name": {
		spec: image + "\nfrom: [{name: a, lineageRef: {}}]",
		want: []string{"spec.from[0].lineageRef.name: Required value"},
	},
	"a lineage with empty names": {
		spec: image + "\nfrom: [{name: a, lineageRef: {name: \"\", namespace: \"\"}}]",
		want: []string{
			`spec.from[0].lineageRef.name: Invalid value: spec.from[0].lineageRef.name in body should be at least 1 chars long`,
			`spec.from[0].lineageRef.namespace: Invalid value: spec.from[0].lineageRef.namespace in body should be at least 1 chars long`,
		},
	},
	"a lineage with names that are none": {
		spec: image + "\nfrom: [{name: a, lineageRef: {name: A_b, namespace: a.b}}]",
		want: []string{
			"spec.from[0].lineageRef.name: Invalid value: spec.from[0].lineageRef.name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
			"spec.from[0].lineageRef.namespace: Invalid value: spec.from[0].lineageRef.namespace in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'",
		},
	},
	"a lineage with long names": {
		spec: image + "\nfrom: [{name: a, lineageRef: {name: " + long(254) + ", namespace: " + long(64) + "}}]",
		want: []string{
			"spec.from[0].lineageRef.name: Too long: may not be more than 253 bytes",
			"spec.from[0].lineageRef.namespace: Too long: may not be more than 63 bytes",
		},
	},
	"a build of nothing": {
		spec: image + "\nbuild: {pipelineRun: {spec: {}}}",
		want: []string{"spec: Invalid value: build without from: name at least one parent in spec.from, or remove spec.build to only follow the image"},
	},
	"a build without a run": {
		spec: image + "\n" + parent + "\nbuild: {}",
		want: []string{"spec.build.pipelineRun: Required value"},
	},
	"a run without a spec": {
		spec: image + "\n" + parent + "\nbuild: {pipelineRun: {}}",
		want: []string{"spec.build.pipelineRun.spec: Required value"},
	},
	"our own labels on a run": {
		spec: image + "\n" + parent + "\nbuild: {pipelineRun: {metadata: {labels: {imagelineage.dev/lineage: x}}, spec: {}}}",
		want: []string{"spec.build.pipelineRun.metadata.labels: Invalid value: labels of imagelineage.dev are set by the operator"},
	},
	"our own annotations on a run": {
		spec: image + "\n" + parent + "\nbuild: {pipelineRun: {metadata: {annotations: {imagelineage.dev/output: x}}, spec: {}}}",
		want: []string{"spec.build.pipelineRun.metadata.annotations: Invalid value: annotations of imagelineage.dev are set by the operator"},
	},
	"too much metadata on a run": {
		spec: image + "\n" + parent + "\nbuild: {pipelineRun: {metadata: {labels: " + mapping(33) + ", annotations: " + mapping(33) + "}, spec: {}}}",
		want: []string{
			"spec.build.pipelineRun.metadata.annotations: Too many: 33: must have at most 32 items",
			"spec.build.pipelineRun.metadata.labels: Too many: 33: must have at most 32 items",
		},
	},
	"results with long names": {
		spec: image + "\n" + build[:len(build)-1] + ", results: {digest: " + long(129) + ", url: " + long(129) + "}}",
		want: []string{
			"spec.build.results.digest: Too long: may not be more than 128 bytes",
			"spec.build.results.url: Too long: may not be more than 128 bytes",
		},
	},
	"built anew too often": {
		spec: image + "\n" + build[:len(build)-1] + ", rebuildEvery: 59m59s}",
		want: []string{"spec.build.rebuildEvery: Invalid value: build.rebuildEvery must be at least 1h; remove it to build only when something has changed"},
	},
	"built anew at no time": {
		spec: image + "\n" + build[:len(build)-1] + ", rebuildEvery: 1 day}",
		want: []string{"spec.build.rebuildEvery: Invalid value: spec.build.rebuildEvery in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'"},
	},
	"built anew in the far future": {
		spec: image + "\n" + build[:len(build)-1] + ", rebuildEvery: 1111111111111111111111111h}",
		want: []string{"spec.build.rebuildEvery: Too long: may not be more than 24 bytes"},
	},
	"too many push secrets": {
		spec: image + "\n" + build[:len(build)-1] + ", pushSecrets: " + list(9, "{name: s%d}") + "}",
		want: []string{"spec.build.pushSecrets: Too many: 9: must have at most 8 items"},
	},
	"a push secret without a name": {
		spec: image + "\n" + build[:len(build)-1] + ", pushSecrets: [{}]}",
		want: []string{"spec.build.pushSecrets[0].name: Required value"},
	},
	"a push secret twice": {
		spec: image + "\n" + build[:len(build)-1] + ", pushSecrets: [{name: a}, {name: a}]}",
		want: []string{`spec.build.pushSecrets[1]: Duplicate value: {"name":"a"}`},
	},
	"push secrets with bad names": {
		spec: image + "\n" + build[:len(build)-1] + ", pushSecrets: [{name: \"\"}, {name: " + long(254) + "}, {name: A_b}]}",
		want: []string{
			`spec.build.pushSecrets[0].name: Invalid value: spec.build.pushSecrets[0].name in body should be at least 1 chars long`,
			"spec.build.pushSecrets[1].name: Too long: may not be more than 253 bytes",
			"spec.build.pushSecrets[2].name: Invalid value: spec.build.pushSecrets[2].name in body should match '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
		},
	},
	"no build windows": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: []}",
		want: []string{"spec.build.windows: Invalid value: spec.build.windows in body should have at least 1 items"},
	},
	"too many build windows": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: " + list(17, "{schedule: \"%d 22 * * *\", duration: 1m}") + "}",
		want: []string{"spec.build.windows: Too many: 17: must have at most 16 items"},
	},
	"a build window without a time": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{}]}",
		want: []string{
			"spec.build.windows[0].duration: Required value",
			"spec.build.windows[0].schedule: Required value",
		},
	},
	"a build window of nothing": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{schedule: \"\", duration: 1m, timeZone: \"\"}]}",
		want: []string{
			"spec.build.windows[0].schedule: Invalid value: spec.build.windows[0].schedule in body should be at least 1 chars long",
			"spec.build.windows[0].timeZone: Invalid value: spec.build.windows[0].timeZone in body should be at least 1 chars long",
		},
	},
	"a build window with long names": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{schedule: " + long(129) + ", duration: 1m, timeZone: " + long(65) + "}]}",
		want: []string{
			"spec.build.windows[0].schedule: Too long: may not be more than 128 bytes",
			"spec.build.windows[0].timeZone: Too long: may not be more than 64 bytes",
		},
	},
	"a build window that is too short": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{schedule: \"0 22 * * *\", duration: 59s}]}",
		want: []string{"spec.build.windows[0].duration: Invalid value: build.windows[].duration must be at least 1m"},
	},
	"a build window of no duration": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{schedule: \"0 22 * * *\", duration: all night}]}",
		want: []string{"spec.build.windows[0].duration: Invalid value: spec.build.windows[0].duration in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'"},
	},
	"a build window with a long duration": {
		spec: image + "\n" + build[:len(build)-1] + ", windows: [{schedule: \"0 22 * * *\", duration: 1111111111111111111111111h}]}",
		want: []string{"spec.build.windows[0].duration: Too long: may not be more than 24 bytes"},
	},
	"an approval that is unknown": {
		spec: image + "\n" + build[:len(build)-1] + ", approval: Maybe}",
		want: []string{`spec.build.approval: Unsupported value: "Maybe": supported values: "Required"`},
	},
	"a rollout without a mode": {
		spec: image + "\nrollout: {}",
		want: []string{"spec.rollout.mode: Required value"},
	},
	"a rollout of an unknown mode": {
		spec: image + "\nrollout: {mode: Notify}",
		want: []string{`spec.rollout.mode: Unsupported value: "Notify": supported values: "Patch", "None"`},
	},
}

func TestValidSpecs(t *testing.T) {
	for title, spec := range validSpecs {
		t.Run(title, func(t *testing.T) {
			if err := admin.Create(t.Context(), lineageOf(t, spec), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInvalidSpecs(t *testing.T) {
	for title, tc := range invalidSpecs {
		t.Run(title, func(t *testing.T) {
			err := admin.Create(t.Context(), lineageOf(t, tc.spec), client.DryRunAll)
			if diff := cmp.Diff(tc.want, causes(t, err)); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnknownFieldsAreRefused shows that what is not in the schema is not silently
// dropped from a strict client: a field that is accepted works.
func TestUnknownFieldsAreRefused(t *testing.T) {
	for title, tc := range map[string]struct{ spec, want string }{
		"a field of a later version": {spec: image + "\npin: {}", want: `unknown field "spec.pin"`},
		"a misspelt field":           {spec: image + "\nsuspended: true", want: `unknown field "spec.suspended"`},
	} {
		t.Run(title, func(t *testing.T) {
			strict := client.WithFieldValidation(admin, client.FieldValidation(metav1.FieldValidationStrict))
			err := strict.Create(t.Context(), lineageOf(t, tc.spec), client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestTheImageIsImmutable(t *testing.T) {
	lineage := lineageOf(t, image)
	lineage.SetNamespace(newNamespace(t))
	if err := admin.Create(t.Context(), lineage); err != nil {
		t.Fatal(err)
	}
	for title, tc := range map[string]struct {
		spec string
		want []string
	}{
		"another image is refused": {
			spec: "image: registry.example.com/shop/web:next",
			want: []string{"spec.image: Invalid value: spec.image is immutable: create another ImageLineage for another image"},
		},
		"the rest can be changed": {spec: image + "\n" + build},
	} {
		t.Run(title, func(t *testing.T) {
			changed := lineage.DeepCopy()
			changed.Object["spec"] = lineageOf(t, tc.spec).Object["spec"]
			err := admin.Update(t.Context(), changed, client.DryRunAll)
			if diff := cmp.Diff(tc.want, causes(t, err)); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
		})
	}
}

// lineageOf makes an object of a spec in YAML; unstructured, so that fields can be left
// out that Go would write as empty.
func lineageOf(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "imagelineage.dev/v1alpha1",
		"kind":       "ImageLineage",
		"metadata":   map[string]any{"name": "web", "namespace": "default"},
		"spec":       fields,
	}}
}

// value is the refused value at the beginning of a message.
var value = regexp.MustCompile(`^Invalid value: ("([^"\\]|\\.)*"|[0-9]+): `)

// causes lists what a refusal says, as "field: message" without the refused value, in
// order; nothing if err is nil. An error that is not about fields fails the test.
func causes(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil {
		t.Fatalf("not a refusal of fields: %v", err)
	}
	var said []string
	for _, cause := range status.ErrStatus.Details.Causes {
		// Rules that could not be evaluated because of another cause say nothing.
		if strings.Contains(cause.Message, "some validation rules were not checked") {
			continue
		}
		said = append(said, cause.Field+": "+value.ReplaceAllString(cause.Message, "Invalid value: "))
	}
	slices.Sort(said)
	return said
}
