// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package tekton

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// notServed is what client-go makes of the answer to a path that nothing serves.
func notServed(name string) error {
	return apierrors.NewGenericServerResponse(404, "get", pipelineRuns, name, "404 page not found", 0, true)
}

func TestMissing(t *testing.T) {
	gv := schema.GroupVersion{Group: "tekton.dev", Version: "v1"}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"no error":                            {nil, false},
		"a get of a path that is not served":  {notServed("web-abcdefghij"), true},
		"a list of a path that is not served": {notServed(""), true},
		"it is wrapped":                       {fmt.Errorf("get: %w", notServed("web")), true},
		"the mapper knows no such kind":       {fmt.Errorf("get: %w", &meta.NoKindMatchError{}), true},
		"the mapper knows no such resource":   {&meta.NoResourceMatchError{}, true},
		"discovery finds no such version":     {&apiutil.ErrResourceDiscoveryFailed{gv: notServed("")}, true},
		"discovery fails otherwise":           {&apiutil.ErrResourceDiscoveryFailed{gv: apierrors.NewServiceUnavailable("later")}, false},
		"a status that names nothing":         {denied(404, metav1.StatusReasonNotFound, "not found"), true},
		"a run is gone":                       {fmt.Errorf("get: %w", apierrors.NewNotFound(pipelineRuns, "web-abcdefghij")), false},
		"the namespace is gone":               {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), false},
		"a proxy's own page, of another code": {apierrors.NewGenericServerResponse(502, "get", pipelineRuns, "web", "bad gateway", 0, true), false},
		"no right":                            {apierrors.NewForbidden(pipelineRuns, "", errors.New("no")), false},
		"the network":                         {errors.New("connection refused"), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Missing(tc.err); got != tc.want {
				t.Errorf("Missing(%v) = %v, want %v", tc.err, got, tc.want)
			}
		})
	}
}
