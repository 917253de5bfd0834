// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// server answers creations with answer, and counts them, and answers reads with
// reading; with no answer it does what the fake client does.
type server struct {
	client.Client
	answer  error
	reading error
	asked   int
	options client.CreateOptions
}

func newServer(t *testing.T, existing ...client.Object) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.Client = interceptor.NewClient(
		fake.NewClientBuilder().WithScheme(scheme).WithObjects(existing...).Build(),
		interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			s.asked++
			s.options = client.CreateOptions{}
			s.options.ApplyOptions(opts)
			if s.answer != nil {
				return s.answer
			}
			return c.Create(ctx, obj, opts...)
		}, Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if s.reading != nil {
				return s.reading
			}
			return c.Get(ctx, key, obj, opts...)
		}})
	return s
}

func rendered(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	run, err := Render(lineageOf(params(`"x"`)), webRef, aBuild())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func still() time.Time { return moment }

var pipelineRuns = schema.GroupResource{Group: "tekton.dev", Resource: "pipelineruns"}

func denied(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}}
}

func TestCreate(t *testing.T) {
	s := newServer(t)
	if err := NewRuns(s, still).Create(t.Context(), rendered(t)); err != nil {
		t.Fatalf("Create: %v", err)
	}
	if s.options.FieldManager != v1alpha1.FieldManager || s.options.FieldValidation != "Strict" || len(s.options.DryRun) > 0 {
		t.Errorf("options %+v", s.options)
	}
	got := Object()
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "web-abcdefghij"}, got); err != nil {
		t.Errorf("the run is not there: %v", err)
	}
}

func TestCreateOfARunThatExists(t *testing.T) {
	tests := map[string]struct {
		uid       string
		wantError bool
	}{
		"of the same lineage it is success":  {"u-1", false},
		"of another lineage it is an error":  {"u-0", true},
		"of nobody's lineage it is an error": {"", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			existing := aRun(t)
			if tc.uid != "" {
				existing.Labels = map[string]string{v1alpha1.LineageUIDLabel: tc.uid}
			}
			err := NewRuns(newServer(t, existing), still).Create(t.Context(), rendered(t))
			if (err != nil) != tc.wantError {
				t.Errorf("Create = %v, want error: %v", err, tc.wantError)
			}
		})
	}
}

func TestCreateOfARunThatExistsAndCannotBeRead(t *testing.T) {
	for name, answer := range map[string]error{
		"it was deleted since":   apierrors.NewNotFound(pipelineRuns, "web-abcdefghij"),
		"Tekton was deleted too": notServed("web-abcdefghij"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.answer, s.reading = apierrors.NewAlreadyExists(pipelineRuns, "web-abcdefghij"), answer
			err := NewRuns(s, still).Create(t.Context(), rendered(t))
			if !errors.Is(err, answer) || Missing(err) != Missing(answer) {
				t.Errorf("Create = %v, want it to wrap %v", err, answer)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const webhook = `admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: `
	tests := map[string]struct {
		answer      error
		wantRefused bool
	}{
		"Tekton's webhook":        {denied(400, "BadRequest", webhook+"validation failed: missing field(s)"), true},
		"another webhook forbids": {denied(403, "Forbidden", webhook+"not on a Friday"), true},
		"another webhook, oddly":  {denied(418, "", webhook+"teapot"), true},
		"an unknown field":        {apierrors.NewBadRequest(`strict decoding error: unknown field "spec.foo"`), true},
		"the schema":              {apierrors.NewInvalid(schema.GroupKind{Kind: "PipelineRun"}, "web", nil), true},
		"an admission policy": {
			denied(403, "Forbidden", `ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`), true,
		},
		"no right":                    {apierrors.NewForbidden(pipelineRuns, "web", errors.New(`User "x" cannot create`)), false},
		"a quota":                     {apierrors.NewForbidden(pipelineRuns, "web", errors.New("exceeded quota: q")), false},
		"too many requests":           {apierrors.NewTooManyRequests("wait", 1), false},
		"a webhook cannot be reached": {apierrors.NewInternalError(errors.New(`failed calling webhook "w"`)), false},
		"a webhook answers with 5xx":  {denied(500, "", webhook+"oops"), false},
		"no such namespace":           {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), false},
		"the network":                 {errors.New("connection refused"), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for verb, ask := range map[string]func(*Runs) error{
				"Create":   func(r *Runs) error { return r.Create(t.Context(), rendered(t)) },
				"Validate": func(r *Runs) error { return r.Validate(t.Context(), rendered(t)) },
			} {
				s := newServer(t)
				s.answer = tc.answer
				err := ask(NewRuns(s, still))
				var refused *RefusedError
				if err == nil || errors.As(err, &refused) != tc.wantRefused {
					t.Errorf("%s = %v, want refused: %v", verb, err, tc.wantRefused)
				}
				if !tc.wantRefused && !errors.Is(err, tc.answer) {
					t.Errorf("%s = %v, want it to wrap %v", verb, err, tc.answer)
				}
			}
		})
	}
}

func TestRefusalFitsACondition(t *testing.T) {
	s := newServer(t)
	s.answer = apierrors.NewBadRequest("first line\n\tsecond  line " + strings.Repeat("é", 600))
	err := NewRuns(s, still).Create(t.Context(), rendered(t))
	message := err.Error()
	if !strings.HasPrefix(message, "first line second line é") || !strings.HasSuffix(message, "é…") || len(message) > 600 {
		t.Errorf("message of %d bytes: %q", len(message), message)
	}
}

func TestValidateAsksOnce(t *testing.T) {
	s := newServer(t)
	runs := NewRuns(s, still)
	validate := func(change func(*unstructured.Unstructured)) {
		t.Helper()
		run := rendered(t)
		if change != nil {
			change(run)
		}
		if err := runs.Validate(t.Context(), run); err != nil {
			t.Fatalf("Validate: %v", err)
		}
	}
	validate(nil)
	if len(s.options.DryRun) != 1 || s.options.DryRun[0] != metav1.DryRunAll || s.options.FieldValidation != "Strict" {
		t.Errorf("options %+v", s.options)
	}
	validate(nil)
	validate(func(run *unstructured.Unstructured) { run.SetName("web-other") })
	validate(func(run *unstructured.Unstructured) {
		run.SetAnnotations(merge(run.GetAnnotations(), map[string]string{v1alpha1.NumberAnnotation: "5"}))
	})
	if s.asked != 1 {
		t.Errorf("asked %d times for one content", s.asked)
	}
	validate(func(run *unstructured.Unstructured) {
		run.Object["spec"].(map[string]any)["timeouts"] = map[string]any{}
	})
	validate(func(run *unstructured.Unstructured) { run.SetLabels(map[string]string{"team": "x"}) })
	validate(func(run *unstructured.Unstructured) { run.SetNamespace("prod") })
	if s.asked != 4 {
		t.Errorf("asked %d times for four contents", s.asked)
	}
}

func TestValidateRemembersARefusalForAWhile(t *testing.T) {
	now := moment
	s := newServer(t)
	runs := NewRuns(s, func() time.Time { return now })
	s.answer = apierrors.NewBadRequest("no")
	for range 2 {
		var refused *RefusedError
		if err := runs.Validate(t.Context(), rendered(t)); !errors.As(err, &refused) || refused.Message != "no" {
			t.Fatalf("Validate = %v, want the refusal", err)
		}
	}
	if s.asked != 1 {
		t.Errorf("asked %d times, want once", s.asked)
	}
	s.answer, now = nil, now.Add(refusalLasts)
	if err := runs.Validate(t.Context(), rendered(t)); err != nil || s.asked != 2 {
		t.Errorf("after the cluster changed its mind: %v, asked %d times", err, s.asked)
	}
}

func TestValidateForgetsErrorsThatPass(t *testing.T) {
	s := newServer(t)
	runs := NewRuns(s, still)
	s.answer = apierrors.NewServiceUnavailable("later")
	if err := runs.Validate(t.Context(), rendered(t)); err == nil {
		t.Fatal("Validate succeeds without an answer")
	}
	s.answer = nil
	if err := runs.Validate(t.Context(), rendered(t)); err != nil {
		t.Errorf("Validate = %v after the server came back", err)
	}
}

func TestValidateLeavesToCreateWhatCannotBeAsked(t *testing.T) {
	for name, answer := range map[string]error{
		"a webhook with side effects": apierrors.NewBadRequest(`admission webhook "w" does not support dry run`),
		"a run of that name exists":   apierrors.NewAlreadyExists(pipelineRuns, "web"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.answer = answer
			if err := NewRuns(s, still).Validate(t.Context(), rendered(t)); err != nil {
				t.Errorf("Validate = %v", err)
			}
		})
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	v := newVerdicts(still)
	for i := range verdictLimit + 1 {
		v.put(contentHash{byte(i), byte(i >> 8)}, nil)
	}
	if len(v.answers) > verdictLimit {
		t.Errorf("%d answers are kept", len(v.answers))
	}
}
