// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"os"
	"strings"
	"testing"
)

func sign(algorithm func() hash.Hash, key string, body []byte) string {
	mac := hmac.New(algorithm, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestProofs(t *testing.T) {
	file := secretIn(t, right+"\n")
	configs := map[string]Config{
		"github": {Name: "h", Source: GHCR, Proof: Proof{HMAC: &HMAC{SecretFile: file}}},
		"nexus":  {Name: "h", Source: Nexus, Host: "nexus.example", Proof: Proof{HMAC: &HMAC{SecretFile: file}}},
		"jfrog":  {Name: "h", Source: JFrog, Proof: Proof{HMAC: &HMAC{SecretFile: file}}},
		"token":  {Name: "h", Source: JFrog, Proof: Proof{Bearer: &Bearer{SecretFile: file}}},
		"bearer": {Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}},
		"named":  {Name: "h", Source: ECR, Proof: Proof{Bearer: &Bearer{SecretFile: file, Header: "X-Api-Key"}}},
		"basic":  {Name: "h", Source: ACR, Proof: Proof{Basic: &Basic{Username: "azure", PasswordFile: file}}},
		"path":   {Name: "h", Source: DockerHub, Proof: Proof{Path: &Path{SecretFile: file}}},
	}
	body := []byte(`{"some": "body"}`)
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	tests := map[string]struct {
		config string
		path   string
		change func(*http.Request)
		want   int
	}{
		"a signature": {config: "github", change: header("X-Hub-Signature-256", "sha256="+sign(sha256.New, right, body)), want: 202},
		"a signature in capitals, without a word": {config: "github", change: header("X-Hub-Signature-256", strings.ToUpper(sign(sha256.New, right, body))), want: 202},
		"a signature with another secret":         {config: "github", change: header("X-Hub-Signature-256", "sha256="+sign(sha256.New, wrong, body)), want: 401},
		"a signature of another body":             {config: "github", change: header("X-Hub-Signature-256", "sha256="+sign(sha256.New, right, nil)), want: 401},
		"a signature that is cut off":             {config: "github", change: header("X-Hub-Signature-256", "sha256="+sign(sha256.New, right, body)[:62]), want: 401},
		"a signature that is none":                {config: "github", change: header("X-Hub-Signature-256", "sha256=xyz"), want: 401},
		"a signature in another header":           {config: "github", change: header("X-Hub-Signature", "sha256="+sign(sha256.New, right, body)), want: 401},
		"no signature":                            {config: "github", want: 401},
		"Nexus' signature":                        {config: "nexus", change: header("X-Nexus-Webhook-Signature", sign(sha1.New, right, body)), want: 202},
		"Nexus' signature with another secret":    {config: "nexus", change: header("X-Nexus-Webhook-Signature", sign(sha1.New, wrong, body)), want: 401},
		"a short signature is Nexus' only":        {config: "github", change: header("X-Hub-Signature-256", sign(sha1.New, right, body)), want: 401},
		"JFrog's signature":                       {config: "jfrog", change: header("X-JFrog-Event-Auth", sign(sha256.New, right, body)), want: 202},
		"JFrog's secret where it has to sign":     {config: "jfrog", change: header("X-JFrog-Event-Auth", right), want: 401},
		"JFrog's secret":                          {config: "token", change: header("X-JFrog-Event-Auth", right), want: 202},
		"a bearer token":                          {config: "bearer", change: header("Authorization", "Bearer "+right), want: 202},
		"a bearer token as Harbor may send it":    {config: "bearer", change: header("Authorization", right), want: 202},
		"another bearer token":                    {config: "bearer", change: header("Authorization", "Bearer "+wrong), want: 401},
		"a bearer token that only begins alike":   {config: "bearer", change: header("Authorization", "Bearer "+right[:20]), want: 401},
		"the word without a token":                {config: "bearer", change: header("Authorization", "Bearer "), want: 401},
		"no bearer token":                         {config: "bearer", want: 401},
		"a bearer token in the path":              {config: "bearer", path: "/hooks/h/" + right, want: 401},
		"a header of its own":                     {config: "named", change: header("X-Api-Key", right), want: 202},
		"the usual header instead":                {config: "named", change: header("Authorization", right), want: 401},
		"user and password":                       {config: "basic", change: basic("azure", right), want: 202},
		"another user":                            {config: "basic", change: basic("amazon", right), want: 401},
		"another password":                        {config: "basic", change: basic("azure", wrong), want: 401},
		"no user":                                 {config: "basic", want: 401},
		"a path":                                  {config: "path", path: "/hooks/h/" + right, want: 202},
		"another path":                            {config: "path", path: "/hooks/h/" + wrong, want: 404},
		"a path that only begins alike":           {config: "path", path: "/hooks/h/" + right + "/x", want: 404},
		"no path":                                 {config: "path", want: 404},
		"a path's secret in a header":             {config: "path", change: header("Authorization", right), want: 404},
		"a name that there is not":                {config: "path", path: "/hooks/x/" + right, want: 404},
		"a name that there is not, with a header": {config: "bearer", path: "/hooks/x", change: header("Authorization", right), want: 404},
		"no name":                                  {config: "bearer", path: "/hooks/", change: header("Authorization", right), want: 404},
		"a path that is not below the hooks":       {config: "bearer", path: "/h", change: header("Authorization", right), want: 404},
		"a request that wants to read":             {config: "bearer", change: func(r *http.Request) { r.Method = http.MethodGet; r.Header.Set("Authorization", right) }, want: 405},
		"a request that wants to read what is not": {config: "bearer", path: "/hooks/x", change: func(r *http.Request) { r.Method = http.MethodGet }, want: 405},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			r := receive(t, configs[tc.config])
			path := tc.path
			if path == "" {
				path = "/hooks/h"
			}
			answer := r.post(path, body, tc.change)
			if answer.Code != tc.want || answer.Body.Len() > 0 {
				t.Errorf("answered %d with %q, want %d", answer.Code, answer.Body, tc.want)
			}
			if tc.want == 401 && r.counts.of[string(configs[tc.config].Source)+" "+ResultRefused] != 1 {
				t.Errorf("counted %v", r.counts.of)
			}
			if r.follower.calls.Load() > 0 {
				t.Error("a payload without an image woke the poller")
			}
		})
	}
}

// TestASecretThatIsRotated counts at once, and one that is lost opens nothing.
func TestASecretThatIsRotated(t *testing.T) {
	file := secretIn(t, right)
	r := receive(t, Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}})
	for _, step := range []struct {
		content, given string
		want           int
	}{
		{right, right, 202}, {wrong, right, 401}, {wrong, wrong, 202}, {"", "", 401}, {"short", "short", 401}, {right, right, 202},
	} {
		if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if answer := r.post("/hooks/h", []byte("{}"), header("Authorization", step.given)); answer.Code != step.want {
			t.Errorf("the secret is %q, and %q was answered %d, want %d", step.content, step.given, answer.Code, step.want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if answer := r.post("/hooks/h", []byte("{}"), header("Authorization", right)); answer.Code != http.StatusUnauthorized {
		t.Errorf("without its secret a hook answered %d", answer.Code)
	}
}
