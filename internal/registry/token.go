// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"encoding/json"
	"net/http"
	"time"
)

const (
	// maxToken is how much of a token server's answer is looked at, in bytes; tokens
	// with many grants have some ten thousand.
	maxToken = 256 << 10
	// tokenMargin is the part of a token's life in which it is not used any more:
	// clocks differ, and requests take their time.
	tokenMargin = 10
)

// tokenLife is how long the token of an answer may be used; 0 where the answer does not
// say. The body can be read as before.
//
// The library goes on with a token until a request is refused. A session that ends
// before its token does spares the registry that request, which at some counts like any
// other (distribution-spec, "Token Authentication Specification", expires_in).
func tokenLife(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusOK {
		return 0
	}
	var told struct {
		ExpiresIn float64 `json:"expires_in"`
	}
	if json.Unmarshal(peek(resp, maxToken), &told) != nil || told.ExpiresIn <= 0 {
		return 0
	}
	life := time.Duration(min(told.ExpiresIn, sessionAge.Seconds()) * float64(time.Second))
	return life - life/tokenMargin
}
