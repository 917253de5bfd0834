// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package counting

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// TokenLife is how long a token is good for: as long as Docker Hub's. Distribution's
// documentation of tokens asks for 60 s at least.
const TokenLife = 300 * time.Second

// tokenPath is where tokens are given out, by the same host.
const tokenPath = "/token"

// grant is the answer with a token for a scope. What is in a token is no secret
// here: it says until when it is good, and for what.
func (h *Host) grant(scope string) []byte {
	until := h.clock.Now().Add(TokenLife)
	token := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(until.UnixNano(), 10) + " " + scope))
	body, _ := json.Marshal(map[string]any{
		"token": token, "expires_in": int(TokenLife / time.Second), "issued_at": h.clock.Now().UTC().Format(time.RFC3339),
	})
	return body
}

// admits is whether a request has a token that is still good, and for its
// repository.
func (h *Host) admits(r *http.Request, asked question) bool {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	token, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		return false
	}
	until, scope, _ := strings.Cut(string(token), " ")
	nanos, err := strconv.ParseInt(until, 10, 64)
	return err == nil && h.clock.Now().Before(time.Unix(0, nanos)) && (asked.repository == "" || scope == asked.scope())
}

// challenge says where to get the token that was missing.
func (h *Host) challenge(asked question) string {
	challenge := fmt.Sprintf(`Bearer realm="http://%s%s",service=%q`, h.Name, tokenPath, h.Name)
	if asked.repository != "" {
		challenge += fmt.Sprintf(`,scope=%q`, asked.scope())
	}
	return challenge
}

func (q question) scope() string { return "repository:" + q.repository + ":pull" }
