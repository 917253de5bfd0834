// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

func TestValidate(t *testing.T) {
	const file = "secretFile: /hooks/secret"
	tests := map[string]struct {
		hooks string
		// want are the beginnings of the errors: a field, and what kind of error.
		want []string
	}{
		"each proof": {hooks: `
- {name: a, source: GHCR, proof: {hmac: {` + file + `}}}
- {name: b, source: Harbor, host: "harbor.example:8443", proof: {bearer: {` + file + `}}}
- {name: c, source: ECR, proof: {basic: {username: aws, passwordFile: /hooks/secret}}}
- {name: d, source: DockerHub, host: docker.io, proof: {path: {` + file + `}}}
- {name: e, source: Nexus, host: nexus.example/docker, proof: {hmac: {` + file + `}}}
- {name: f, source: Generic, generic: {image: .image}, proof: {hmac: {` + file + `, header: X-Signature}}}
- {name: g, source: Generic, generic: {repository: .r, tag: ".t[*]"}, proof: {path: {` + file + `}}}`},
		"nothing is said": {hooks: "- {}", want: []string{
			"hooks[0].name: Invalid value", "hooks[0].source: Unsupported value", "hooks[0].proof: Required value: set exactly one",
		}},
		"a name that is no label": {
			hooks: "- {name: Big/Name, source: Quay, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[0].name: Invalid value"},
		},
		"a name twice": {
			hooks: "- {name: a, source: Quay, proof: {path: {" + file + "}}}\n- {name: a, source: Quay, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[1].name: Duplicate value"},
		},
		"two proofs": {
			hooks: "- {name: a, source: Harbor, proof: {path: {" + file + "}, bearer: {" + file + "}}}",
			want:  []string{"hooks[0].proof: Required value: set exactly one"},
		},
		"a proof without its file": {
			hooks: "- {name: a, source: GHCR, proof: {hmac: {}}}\n- {name: b, source: Harbor, proof: {bearer: {}}}\n- {name: c, source: Quay, proof: {path: {}}}\n- {name: d, source: ECR, proof: {basic: {}}}",
			want: []string{
				"hooks[0].proof.hmac.secretFile: Required value", "hooks[1].proof.bearer.secretFile: Required value",
				"hooks[2].proof.path.secretFile: Required value", "hooks[3].proof.basic.passwordFile: Required value",
				"hooks[3].proof.basic.username: Required value",
			},
		},
		"a signature in a header that nobody names": {
			hooks: "- {name: a, source: Harbor, proof: {hmac: {" + file + "}}}",
			want:  []string{"hooks[0].proof.hmac.header: Required value"},
		},
		"headers that are none": {
			hooks: `- {name: a, source: Harbor, proof: {hmac: {` + file + `, header: "X Signature"}}}
- {name: b, source: Harbor, proof: {bearer: {` + file + `, header: "X:"}}}`,
			want: []string{"hooks[0].proof.hmac.header: Invalid value", "hooks[1].proof.bearer.header: Invalid value"},
		},
		"hosts that are none": {
			hooks: `- {name: a, source: Harbor, host: "https://harbor.example", proof: {path: {` + file + `}}}
- {name: b, source: Harbor, host: harbor, proof: {path: {` + file + `}}}
- {name: c, source: Harbor, host: "harbor.example/", proof: {path: {` + file + `}}}
- {name: d, source: Nexus, proof: {path: {` + file + `}}}`,
			want: []string{
				"hooks[0].host: Invalid value", "hooks[1].host: Invalid value", "hooks[2].host: Invalid value", "hooks[3].host: Required value",
			},
		},
		"a generic source without its paths": {
			hooks: "- {name: a, source: Generic, proof: {path: {" + file + "}}}\n- {name: b, source: Generic, generic: {}, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[0].generic: Required value", "hooks[1].generic: Required value"},
		},
		"a repository without a tag, and with an image": {
			hooks: "- {name: a, source: Generic, generic: {repository: .r}, proof: {path: {" + file + "}}}\n- {name: b, source: Generic, generic: {image: .i, repository: .r, tag: .t}, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[0].generic: Required value", "hooks[1].generic: Required value"},
		},
		"paths that are none": {
			hooks: "- {name: a, source: Generic, generic: {image: image}, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[0].generic.image: Invalid value"},
		},
		"paths of a source that needs none": {
			hooks: "- {name: a, source: Quay, generic: {image: .i}, proof: {path: {" + file + "}}}",
			want:  []string{"hooks[0].generic: Forbidden"},
		},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			var hooks []Config
			if err := yaml.UnmarshalStrict([]byte(tc.hooks), &hooks); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, err := range Validate(hooks, field.NewPath("hooks")) {
				message := err.Error()
				if i < len(tc.want) && strings.HasPrefix(message, tc.want[i]) {
					message = tc.want[i]
				}
				got = append(got, message)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotTooManyHooks(t *testing.T) {
	errs := Validate(make([]Config, maxHooks+1), field.NewPath("hooks"))
	if len(errs) == 0 || errs[0].Type != field.ErrorTypeTooMany {
		t.Errorf("got %v", errs)
	}
}

// TestDocumentedHooks are valid, each of them, and name every source.
func TestDocumentedHooks(t *testing.T) {
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[Source]bool{}
	for i, block := range strings.Split(string(page), "```") {
		text, isYAML := strings.CutPrefix(block, "yaml\n- ")
		if i%2 == 0 || !isYAML {
			continue
		}
		var hooks []Config
		if err := yaml.UnmarshalStrict([]byte("- "+text), &hooks); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		for _, err := range Validate(hooks, field.NewPath("hooks")) {
			t.Errorf("%s\n%v", text, err)
		}
		for _, c := range hooks {
			documented[c.Source] = true
		}
	}
	for _, source := range sources {
		if !documented[source] {
			t.Errorf("%s is not documented", source)
		}
	}
}
