// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
	"github.com/imagelineage/imagelineage/internal/plan"
	"github.com/imagelineage/imagelineage/internal/reference"
)

var (
	digestA = v1alpha1.Digest("sha256:" + strings.Repeat("a", 64))
	digestB = v1alpha1.Digest("sha256:" + strings.Repeat("b", 64))
	moment  = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	webRef  = reference.Reference{Repository: "registry.example.com/shop/web", Tag: "stable"}
)

// lineageOf has the parents base and builder, and a template with the spec.
func lineageOf(spec string) *v1alpha1.ImageLineage {
	return &v1alpha1.ImageLineage{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u-1"},
		Spec: v1alpha1.ImageLineageSpec{
			Image: "registry.example.com/shop/web:stable",
			From:  []v1alpha1.Parent{{Name: "base"}, {Name: "builder"}},
			Build: buildOfSpec(spec),
		},
	}
}

func aBuild() plan.Build {
	return plan.Build{
		Name: "web-abcdefghij", Number: 4, Attempt: 2, Inputs: "v1:inputs",
		Output:   "registry.example.com/shop/web:stable-abcdefghij",
		Expected: string(digestA), Template: "v1:template", Request: "again, please",
		Reasons: []string{"ParentChanged", "Requested"},
		BuiltFrom: []v1alpha1.BuiltFrom{
			{
				Name: "base", Reference: "docker.io/library/debian:12", Digest: digestA,
				Identities: []v1alpha1.Identity{{Kind: v1alpha1.IdentityIndex, Value: string(digestA)}},
			},
			{Name: "builder", Reference: "docker.io/library/golang:1.26", Digest: digestB},
		},
		Roots: []v1alpha1.Root{{
			Reference: "docker.io/library/debian:12", Digest: digestA, Revision: 7,
			Accepted: metav1.NewMicroTime(moment),
		}},
	}
}

// params is a template with one param V of that value, as JSON.
func params(value string) string {
	return `{"pipelineRef":{"name":"build"},"params":[{"name":"V","value":` + value + `}]}`
}

func TestRenderReplacesVariables(t *testing.T) {
	tests := map[string]struct {
		value, want string
	}{
		"image":              {`"$(lineage.image)"`, `"registry.example.com/shop/web:stable"`},
		"repository and tag": {`"$(lineage.repository) $(lineage.tag)"`, `"registry.example.com/shop/web stable"`},
		"output":             {`"$(lineage.output)"`, `"registry.example.com/shop/web:stable-abcdefghij"`},
		"reasons":            {`"$(lineage.reasons)"`, `"ParentChanged,Requested"`},
		"a parent is never a tag": {
			`"$(lineage.from.base.reference)"`, `"docker.io/library/debian@` + string(digestA) + `"`,
		},
		"the parts of a parent": {
			`"$(lineage.from.builder.repository)|$(lineage.from.builder.digest)"`,
			`"docker.io/library/golang|` + string(digestB) + `"`,
		},
		"inside arrays": {`["--tag=$(lineage.tag)","x",7]`, `["--tag=stable","x",7]`},
		"inside objects, and not in their keys": {
			`{"$(lineage.tag)":"$(lineage.tag)","n":{"a":["$(lineage.tag)"]}}`,
			`{"$(lineage.tag)":"stable","n":{"a":["stable"]}}`,
		},
		"Tekton's own variables are left": {
			`"$(params.x) $(context.pipelineRun.name) $(lineages.x) $LINEAGE $$ $(tasks.a.results.b[*])"`,
			`"$(params.x) $(context.pipelineRun.name) $(lineages.x) $LINEAGE $$ $(tasks.a.results.b[*])"`,
		},
		"an escaped variable is left":             {`"$$(lineage.image)"`, `"$$(lineage.image)"`},
		"what does not end is no variable":        {`"$(lineage.image"`, `"$(lineage.image"`},
		"whole numbers and other values are kept": {`[1,2.5,true]`, `[1,2.5,true]`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run, err := Render(lineageOf(params(tc.value)), webRef, aBuild())
			if err != nil {
				t.Fatalf("Render: %v", err)
			}
			got, err := json.Marshal(run.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			want := `{"params":[{"name":"V","value":` + tc.want + `}],"pipelineRef":{"name":"build"}}`
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoCache: what time makes old is in the caches, and nothing else is.
func TestNoCache(t *testing.T) {
	tests := map[string]struct {
		reasons []string
		want    string
	}{
		"a build because of the time": {[]string{v1alpha1.ReasonPeriodic}, "true"},
		"one of several reasons":      {[]string{v1alpha1.ReasonParentChanged, v1alpha1.ReasonPeriodic}, "true"},
		"one of other reasons":        {[]string{v1alpha1.ReasonRequested, v1alpha1.ReasonTemplateChanged}, "false"},
		"a template that is checked":  {nil, "false"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := aBuild()
			b.Reasons = tc.reasons
			variables, err := VariablesOf(webRef, b)
			if err != nil {
				t.Fatal(err)
			}
			if got := variables["noCache"]; got != tc.want {
				t.Errorf("noCache = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRenderLeavesEverythingButParams(t *testing.T) {
	const spec = `{"params":[{"name":"$(lineage.tag)","value":"x"}],` +
		`"pipelineSpec":{"tasks":[{"name":"$(lineage.image)","params":[{"name":"a","value":"$(lineage.nonsense)"}]}]},` +
		`"timeouts":{"pipeline":"$(lineage.tag)"}}`
	lineage := lineageOf(spec)
	run, err := Render(lineage, webRef, aBuild())
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	got, err := json.Marshal(run.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec, string(got)); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(lineageOf(spec), lineage); diff != "" {
		t.Errorf("the lineage is modified (-want +got):\n%s", diff)
	}
}

func TestRenderSetsMetadata(t *testing.T) {
	lineage := lineageOf(params(`"x"`))
	lineage.Spec.Build.PipelineRun.Metadata = &v1alpha1.TemplateMetadata{
		Labels:      map[string]string{"team": "shop", v1alpha1.LineageUIDLabel: "forged"},
		Annotations: map[string]string{"note": "hello", v1alpha1.NumberAnnotation: "99"},
	}
	run, err := Render(lineage, webRef, aBuild())
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	yes := true
	want := metav1.ObjectMeta{
		Namespace: "shop", Name: "web-abcdefghij",
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "imagelineage.dev/v1alpha1", Kind: "ImageLineage",
			Name: "web", UID: "u-1", Controller: &yes, BlockOwnerDeletion: &yes,
		}},
		Labels: map[string]string{"team": "shop", v1alpha1.LineageLabel: "web", v1alpha1.LineageUIDLabel: "u-1"},
		Annotations: map[string]string{
			"note":                       "hello",
			v1alpha1.NumberAnnotation:    "4",
			v1alpha1.AttemptAnnotation:   "2",
			v1alpha1.InputsAnnotation:    "v1:inputs",
			v1alpha1.OutputAnnotation:    "registry.example.com/shop/web:stable-abcdefghij",
			v1alpha1.ExpectedAnnotation:  string(digestA),
			v1alpha1.TemplateAnnotation:  "v1:template",
			v1alpha1.RequestAnnotation:   "again, please",
			v1alpha1.ReasonsAnnotation:   "ParentChanged,Requested",
			v1alpha1.BuiltFromAnnotation: run.GetAnnotations()[v1alpha1.BuiltFromAnnotation],
			v1alpha1.RootsAnnotation:     run.GetAnnotations()[v1alpha1.RootsAnnotation],
		},
	}
	if run.GetAPIVersion() != "tekton.dev/v1" || run.GetKind() != "PipelineRun" {
		t.Errorf("kind %s %s", run.GetAPIVersion(), run.GetKind())
	}
	got := typed(t, run.Object)
	if diff := cmp.Diff(want, got.ObjectMeta); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func typed(t *testing.T, object map[string]any) *pipelinev1.PipelineRun {
	t.Helper()
	run := &pipelinev1.PipelineRun{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, run); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestObserveReadsBackWhatRenderWrote(t *testing.T) {
	run, err := Render(lineageOf(params(`"x"`)), webRef, aBuild())
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	got := Observe(typed(t, run.Object), nil).Build
	if diff := cmp.Diff(aBuild(), got, cmp.Comparer(func(a, b metav1.MicroTime) bool { return a.Equal(&b) })); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestLabelValue(t *testing.T) {
	long := strings.Repeat("a", 51) + "." + strings.Repeat("b", 100)
	tests := map[string]struct{ name, want string }{
		"a short name is the label":          {"web.v2", "web.v2"},
		"a name that just fits is the label": {strings.Repeat("a", 63), strings.Repeat("a", 63)},
		"a long name is cut, with a hash":    {long, strings.Repeat("a", 51) + "-aec60e38bd"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := labelValue(tc.name)
			if got != tc.want {
				t.Errorf("labelValue = %q, want %q", got, tc.want)
			}
			if problems := validation.IsValidLabelValue(got); problems != nil {
				t.Errorf("labelValue = %q: %v", got, problems)
			}
		})
	}
}

func TestBadTemplates(t *testing.T) {
	const field = "spec.build.pipelineRun.spec"
	tests := map[string]struct {
		spec        string
		wantField   string
		wantMessage []string
	}{
		"no object":         {`[]`, field, []string{"must be an object"}},
		"nothing":           {`null`, field, []string{"must be an object"}},
		"no pipeline":       {`{"params":[]}`, field, []string{"exactly one of pipelineRef and pipelineSpec"}},
		"two pipelines":     {`{"pipelineRef":{},"pipelineSpec":{}}`, field, []string{"exactly one of"}},
		"params no list":    {`{"pipelineRef":{},"params":{"a":"b"}}`, field + ".params", []string{"must be a list"}},
		"a param no object": {`{"pipelineRef":{},"params":["a"]}`, field + ".params[0]", []string{"must be an object"}},
		"a param without a name": {
			`{"pipelineRef":{},"params":[{"value":"a"}]}`, field + ".params[0].name", []string{"name"},
		},
		"a param without a value": {
			`{"pipelineRef":{},"params":[{"name":"a"}]}`, field + ".params[0].value", []string{"param a needs a value"},
		},
		"an unknown variable": {
			`{"pipelineRef":{},"params":[{"name":"a","value":"x"},{"name":"b","value":"$(lineage.digest)"}]}`,
			field + ".params[1].value",
			[]string{
				"param b: unknown variable $(lineage.digest); known are $(lineage.from.base.digest)",
				"$(lineage.from.builder.repository)", "$(lineage.image), $(lineage.noCache), $(lineage.output), $(lineage.reasons)",
			},
		},
		"a parent that does not exist": {
			params(`["a","$(lineage.from.bse.reference)"]`), field + ".params[0].value[1]",
			[]string{"unknown variable $(lineage.from.bse.reference)"},
		},
		"a variable without a name, deep down": {
			params(`{"k":"$(lineage)"}`), field + ".params[0].value.k", []string{"unknown variable $(lineage)"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, rendered := Render(lineageOf(tc.spec), webRef, aBuild())
			for _, err := range []error{rendered, Check(lineageOf(tc.spec))} {
				var user *UserError
				if !errors.As(err, &user) {
					t.Fatalf("got %v, want a *UserError", err)
				}
				if user.Field != tc.wantField {
					t.Errorf("field %q, want %q", user.Field, tc.wantField)
				}
				for _, want := range tc.wantMessage {
					if !strings.Contains(user.Message, want) {
						t.Errorf("message %q, want it to say %q", user.Message, want)
					}
				}
			}
		})
	}
}

func TestCheckOfAGoodTemplate(t *testing.T) {
	if err := Check(lineageOf(params(`"$(lineage.from.base.reference) $(lineage.output)"`))); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := Check(&v1alpha1.ImageLineage{}); err != nil {
		t.Errorf("Check without a build: %v", err)
	}
}
