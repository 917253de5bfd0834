// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package refusal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestOf(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	forbidden := func(why string) error { return apierrors.NewForbidden(deployments, "web", errors.New(why)) }
	tests := map[string]struct {
		err      error
		want     string
		wantDone bool
	}{
		"a policy":                       {forbidden("no\nimages by digest"), `deployments.apps "web" is forbidden: no images by digest`, false},
		"a quota":                        {forbidden("exceeded quota: few"), `deployments.apps "web" is forbidden: exceeded quota: few`, false},
		"with something around it":       {fmt.Errorf("patch: %w", forbidden("no")), `deployments.apps "web" is forbidden: no`, false},
		"a webhook that is down":         {apierrors.NewInternalError(errors.New("read tcp 10.0.0.1:53211: reset")), "the API server, or a webhook that it asks, has trouble (500)", true},
		"a server that has too much":     {apierrors.NewTooManyRequests("in 3 s", 3), "the API server has too much to do", false},
		"a conflict":                     {apierrors.NewConflict(deployments, "web", errors.New("changed")), "", false},
		"a broken connection":            {errors.New("connection refused"), "", false},
		"no error":                       {nil, "", false},
		"a message that is far too long": {forbidden(strings.Repeat("x", 1000)), `deployments.apps "web" is forbidden: ` + strings.Repeat("x", 363) + "…", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, done, refused := Of(tc.err)
			if got != tc.want || done != tc.wantDone || refused != (tc.want != "") {
				t.Errorf("Of = %q %v %v, want %q %v", got, done, refused, tc.want, tc.wantDone)
			}
		})
	}
}
