// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTokenLife(t *testing.T) {
	long := `{"token":"` + strings.Repeat("x", maxToken) + `","expires_in":300}`
	tests := map[string]struct {
		status int
		body   string
		want   time.Duration
	}{
		"nine tenths of what is told":        {http.StatusOK, `{"token":"x","expires_in":300}`, 270 * time.Second},
		"never longer than a session":        {http.StatusOK, `{"token":"x","expires_in":1e300}`, sessionAge - sessionAge/tokenMargin},
		"nothing is told":                    {http.StatusOK, `{"token":"x"}`, 0},
		"nothing that makes sense is told":   {http.StatusOK, `{"token":"x","expires_in":-5}`, 0},
		"a number in quotes is none":         {http.StatusOK, `{"token":"x","expires_in":"300"}`, 0},
		"no token":                           {http.StatusUnauthorized, `{"expires_in":300}`, 0},
		"no JSON":                            {http.StatusOK, `<html>`, 0},
		"more than is looked at is read yet": {http.StatusOK, long, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: tt.status, Body: io.NopCloser(strings.NewReader(tt.body))}
			if got := tokenLife(resp); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if read, err := io.ReadAll(resp.Body); err != nil || string(read) != tt.body {
				t.Errorf("the body is %d bytes long afterwards, %v", len(read), err)
			}
		})
	}
}

func FuzzTokenLife(f *testing.F) {
	f.Add(`{"expires_in":300}`)
	f.Add(`{"expires_in":1e999}`)
	f.Fuzz(func(t *testing.T, body string) {
		resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}
		if got := tokenLife(resp); got < 0 || got > sessionAge {
			t.Errorf("%s", got)
		}
	})
}
