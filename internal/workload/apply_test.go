// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package workload

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRefused(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	tests := map[string]struct {
		err  error
		want string
	}{
		"a policy":                       {apierrors.NewForbidden(deployments, "web", errors.New("no\nimages by digest")), `deployments.apps "web" is forbidden: no images by digest`},
		"with something around it":       {fmt.Errorf("patch: %w", apierrors.NewForbidden(deployments, "web", errors.New("no"))), `deployments.apps "web" is forbidden: no`},
		"a webhook that is down":         {apierrors.NewInternalError(errors.New("read tcp 10.0.0.1:53211: reset")), "the API server, or a webhook that it asks, has trouble (500)"},
		"a server that has too much":     {apierrors.NewTooManyRequests("in 3 s", 3), "the API server has too much to do"},
		"a workload that has moved on":   {fmt.Errorf("%w: %w", ErrMoved, apierrors.NewConflict(deployments, "web", errors.New("changed"))), ""},
		"a broken connection":            {errors.New("connection refused"), ""},
		"no error":                       {nil, ""},
		"a message that is far too long": {apierrors.NewForbidden(deployments, "web", errors.New(strings.Repeat("x", 1000))), `deployments.apps "web" is forbidden: ` + strings.Repeat("x", 363) + "…"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, refused := Refused(tc.err)
			if got != tc.want || refused != (tc.want != "") {
				t.Errorf("Refused = %q %v, want %q", got, refused, tc.want)
			}
		})
	}
}
