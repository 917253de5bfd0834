// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imagelineage/imagelineage/internal/reference"
)

func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func names(refs []reference.Reference) []string {
	var found []string
	for _, ref := range refs {
		found = append(found, ref.String())
	}
	slices.Sort(found)
	return found
}

// parserOf is the parser of a golden payload's source; those of Generic differ by
// payload.
func parserOf(name string) parser {
	generic := map[string]Generic{
		"generic_image":  {Image: ".data.image"},
		"generic_pairs":  {Repository: `.events[*].target.repo\.name`, Tag: ".events[*].target.tag"},
		"generic_tags":   {Repository: ".repository", Tag: ".tags[*]"},
		"generic_uneven": {Repository: ".repository[*]", Tag: ".tags[*]"},
	}
	if g, ok := generic[name]; ok {
		return newGeneric(g)
	}
	prefix, _, _ := strings.Cut(name, "_")
	for source, read := range parsers {
		if strings.EqualFold(string(source), prefix) {
			return read
		}
	}
	return nil
}

func TestPayloads(t *testing.T) {
	tests := map[string]struct {
		payload string
		host    string
		want    []string
		wantErr error
	}{
		"Distribution: tags that were pushed, each once": {
			payload: "distribution_push",
			want:    []string{"registry.corp.example:5000/shop/api:stable", "registry.corp.example:5000/shop/web:stable"},
		},
		"Distribution: under the name that lineages know": {
			payload: "distribution_push", host: "images.corp.example",
			want: []string{"images.corp.example/shop/api:stable", "images.corp.example/shop/web:stable"},
		},
		"Distribution: a pull and a deletion move no tag": {payload: "distribution_pull"},
		"Harbor: a push, but not one by digest":           {payload: "harbor_push", want: []string{"harbor.corp.example/platform/base:12"}},
		"Harbor: a push as a CloudEvent":                  {payload: "harbor_cloudevent", want: []string{"harbor.corp.example/platform/base:12"}},
		"Harbor: under the name that lineages know": {
			payload: "harbor_push", host: "images.corp.example:8443", want: []string{"images.corp.example:8443/platform/base:12"},
		},
		"Harbor: a scan moves no tag":                 {payload: "harbor_scan"},
		"Docker Hub: a push":                          {payload: "dockerhub_push", want: []string{"docker.io/acme/web:stable"}},
		"Docker Hub: through a mirror":                {payload: "dockerhub_push", host: "mirror.corp.example/hub", want: []string{"mirror.corp.example/hub/acme/web:stable"}},
		"Quay: a push of two tags":                    {payload: "quay_push", want: []string{"quay.io/acme/web:1.4", "quay.io/acme/web:stable"}},
		"Quay: a push of old versions":                {payload: "quay_push_map", want: []string{"quay.corp.example:8443/acme/web:stable"}},
		"Quay: under the name that lineages know":     {payload: "quay_push_map", host: "quay.example", want: []string{"quay.example/acme/web:stable"}},
		"Quay: a build moves no tag":                  {payload: "quay_build"},
		"GHCR: a package, in lower case":              {payload: "ghcr_package", want: []string{"ghcr.io/acme/shop/web:stable"}},
		"GHCR: a registry package, by its URL":        {payload: "ghcr_registry_package", want: []string{"ghcr.io/acme/web:1.4"}},
		"GHCR: a version without a tag":               {payload: "ghcr_untagged"},
		"GHCR: a package that is no image":            {payload: "ghcr_npm"},
		"GHCR: a ping":                                {payload: "ghcr_ping"},
		"ACR: a push":                                 {payload: "acr_push", want: []string{"acme.azurecr.io/shop/web:stable"}},
		"ACR: a chart is no image":                    {payload: "acr_chart"},
		"ECR: a push":                                 {payload: "ecr_push", want: []string{"012345678901.dkr.ecr.eu-central-1.amazonaws.com/shop/web:stable"}},
		"ECR: a push in China":                        {payload: "ecr_china", want: []string{"012345678901.dkr.ecr.cn-north-1.amazonaws.com.cn/shop/web:stable"}},
		"ECR: a push that failed":                     {payload: "ecr_failed"},
		"ECR: a scan moves no tag":                    {payload: "ecr_scan"},
		"Artifact Registry: a tag":                    {payload: "artifactregistry_insert", want: []string{"europe-west3-docker.pkg.dev/acme/shop/web:stable"}},
		"Artifact Registry: an image without a tag":   {payload: "artifactregistry_untagged"},
		"Artifact Registry: a deletion moves no tag":  {payload: "artifactregistry_delete"},
		"Nexus: without a host nothing can be hinted": {payload: "nexus_component"},
		"Nexus: a blob is no image":                   {payload: "nexus_blob", host: "nexus.corp.example"},
		"Nexus: a manifest by digest moves no tag":    {payload: "nexus_by_digest", host: "nexus.corp.example"},
		"Nexus: a component of another format":        {payload: "nexus_maven", host: "nexus.corp.example"},
		"Nexus: a deletion moves no tag":              {payload: "nexus_deleted", host: "nexus.corp.example"},
		"JFrog: a deletion moves no tag":              {payload: "jfrog_deleted"},
		"Generic: an image, without its digest":       {payload: "generic_image", want: []string{"registry.corp.example/shop/web:stable"}},
		"Generic: an image under another name":        {payload: "generic_image", host: "images.corp.example", want: []string{"images.corp.example/shop/web:stable"}},
		"Generic: all tags of one repository":         {payload: "generic_tags", host: "images.corp.example", want: []string{"images.corp.example/shop/web:1.4", "images.corp.example/shop/web:stable"}},
		"Generic: numbers of both that do not fit":    {payload: "generic_uneven", wantErr: errPairs},
		"Generic: pairs, and a number as it is written": {
			payload: "generic_pairs",
			want:    []string{"registry.corp.example/shop/api:stable", "registry.corp.example/shop/web:1.10"},
		},
		"Nexus: a component, on a host of its own and under its repository": {
			payload: "nexus_component", host: "nexus.corp.example",
			want: []string{"nexus.corp.example/docker-hosted/shop/web:stable", "nexus.corp.example/shop/web:stable"},
		},
		"Nexus: an asset, on a host of its own and under its repository": {
			payload: "nexus_asset", host: "nexus.corp.example:8082",
			want: []string{"nexus.corp.example:8082/docker-hosted/shop/web:stable", "nexus.corp.example:8082/shop/web:stable"},
		},
		"JFrog: a push, on a host of its own and under its repository": {
			payload: "jfrog_pushed",
			want:    []string{"acme.jfrog.example/docker-local/shop/web:stable", "acme.jfrog.example/shop/web:stable"},
		},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			got, err := parse(parserOf(tc.payload), tc.host, golden(t, tc.payload))
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("error %v, want %v", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, names(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("references (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBodiesThatAreNone: every source says the same of a body that it cannot
// read, and repeats nothing of it.
func TestBodiesThatAreNone(t *testing.T) {
	read := map[Source]parser{GenericSource: newGeneric(Generic{Image: ".image"})}
	maps.Copy(read, parsers)
	for source, p := range read {
		t.Run(string(source), func(t *testing.T) {
			for _, body := range []string{"", "payload=%7B%7D", `{"events": [`, `{"image": "a:1"} {}`} {
				refs, err := parse(p, "", []byte(body))
				if !errors.Is(err, errNoJSON) || len(refs) > 0 {
					t.Errorf("%q: %v, %v", body, refs, err)
				}
			}
			if refs, err := parse(p, "", []byte(`{}`)); err != nil || len(refs) > 0 {
				t.Errorf("an empty object: %v, %v", refs, err)
			}
		})
	}
	if _, err := parse(parseArtifactRegistry, "", []byte(`{"message": {"data": "%%%"}}`)); !errors.Is(err, errNoBase64) {
		t.Errorf("a message that is not base64: %v", err)
	}
}

func TestNotMoreThanAHundred(t *testing.T) {
	var events []string
	for i := range 1000 {
		events = append(events, fmt.Sprintf(`{"action": "push", "target": {"repository": "app-%d", "tag": "1"}, "request": {"host": "registry.corp.example"}}`, i))
	}
	body := `{"events": [` + strings.Join(events, ",") + `]}`
	refs, err := parse(parseDistribution, "", []byte(body))
	if err != nil || len(refs) != maxReferences {
		t.Errorf("%d references, %v", len(refs), err)
	}
}

// FuzzPayloads reads any body as any source's, with and without another host.
func FuzzPayloads(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no payloads: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		f.Add(golden(f, name), "")
		f.Add(golden(f, name), "images.corp.example/team")
	}
	all := []parser{
		newGeneric(Generic{Image: ".data.image"}),
		newGeneric(Generic{Repository: ".events[*].target.repository", Tag: ".events[*].target.tag"}),
	}
	for _, p := range parsers {
		all = append(all, p)
	}
	f.Fuzz(func(t *testing.T, body []byte, host string) {
		for _, p := range all {
			refs, err := parse(p, host, body)
			if len(refs) > maxReferences || (err != nil && len(refs) > 0) {
				t.Fatalf("%d references, %v", len(refs), err)
			}
			for _, ref := range refs {
				if again, err := reference.ParseTag(ref.String()); err != nil || again != ref || ref.Tag == "" {
					t.Fatalf("%+v is not canonical: %+v, %v", ref, again, err)
				}
			}
		}
	})
}

func TestPaths(t *testing.T) {
	document := `{"a": {"b": [{"c": "x"}, {"d": true}, {"c": 1.50}, {"c": null}], "e.f[g]\\": "y"}, "": "z"}`
	tests := map[string]struct {
		path    string
		want    []string
		wantErr bool
	}{
		"all elements, where they have the key":    {path: ".a.b[*].c", want: []string{"x", "1.50"}},
		"one element":                              {path: ".a.b[2].c", want: []string{"1.50"}},
		"an element that there is not":             {path: ".a.b[9223372036854775807].c"},
		"a key of special characters":              {path: `.a.e\.f\[g]\\`, want: []string{"y"}},
		"a key of what is a list":                  {path: ".a.b.c"},
		"an index of what is an object":            {path: ".a[0]"},
		"what is neither text nor a number":        {path: ".a.b[1].d"},
		"an object is no text":                     {path: ".a"},
		"nothing":                                  {path: "", wantErr: true},
		"without the dot":                          {path: "a.b", wantErr: true},
		"JSONPath's root":                          {path: "$.a", wantErr: true},
		"kubectl's braces":                         {path: "{.a}", wantErr: true},
		"recursive descent":                        {path: "..c", wantErr: true},
		"a dot at the end":                         {path: ".a.", wantErr: true},
		"a backslash at the end":                   {path: `.a\`, wantErr: true},
		"a bracket that is not closed":             {path: ".a[0", wantErr: true},
		"a negative index":                         {path: ".a[-1]", wantErr: true},
		"a slice":                                  {path: ".a[0:1]", wantErr: true},
		"more than sixteen steps":                  {path: strings.Repeat(".a", 17), wantErr: true},
		"an index that is larger than any integer": {path: ".a[99999999999999999999]", wantErr: true},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			p, err := parsePath(tc.path)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error %v, want one: %t", err, tc.wantErr)
			}
			root, err := decodeAny([]byte(document))
			if err != nil {
				t.Fatal(err)
			}
			if tc.wantErr {
				return
			}
			if diff := cmp.Diff(tc.want, p.find(root), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzPath(f *testing.F) {
	for _, text := range []string{".data.image", ".events[*].target.tag", `.a\.b[0]`, "[*][*]", "..", "[", `\`} {
		f.Add(text, `{"data": {"image": "a:1"}, "events": [{"target": {"tag": 1}}]}`)
		f.Add(text, `[[["a"], ["b"]], [[1]]]`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		p, err := parsePath(text)
		if err != nil {
			return
		}
		document, err := decodeAny([]byte(body))
		if err != nil {
			return
		}
		found := p.find(document)
		if len(p) > maxSteps || len(found) > maxReferences || (len(found) > 0 && !json.Valid([]byte(body))) {
			t.Fatalf("%d steps found %d", len(p), len(found))
		}
	})
}
