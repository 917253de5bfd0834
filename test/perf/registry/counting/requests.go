// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package counting

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is what a request asks for.
type Kind string

// The kinds.
const (
	// ManifestHead asks what a tag shows.
	ManifestHead Kind = "manifest HEAD"
	// ManifestGet asks for a manifest, which registries count as a pull.
	ManifestGet Kind = "manifest GET"
	// Token asks for a bearer token.
	Token Kind = "token"
	// Ping asks how the registry wants to be spoken to.
	Ping Kind = "ping"
	// List asks for the tags of a repository.
	List Kind = "list"
	// Other is all the rest.
	Other Kind = "other"
)

// Manifests are the kinds that the figures call manifest requests.
var Manifests = []Kind{ManifestHead, ManifestGet}

// Request is one request that came.
type Request struct {
	// Kind of the request.
	Kind Kind
	// Repository that it was about; empty for pings and tokens.
	Repository string
	// At is when it came.
	At time.Time
	// Status of its answer; 0 before it is answered, and where it never was.
	Status int
}

// Requests in the order in which they came.
type Requests []Request

// Between are the requests that came at or after one time and before another.
func (r Requests) Between(from, to time.Time) Requests {
	return r.where(func(q Request) bool { return !q.At.Before(from) && q.At.Before(to) })
}

// Of are the requests of these kinds.
func (r Requests) Of(kinds ...Kind) Requests {
	return r.where(func(q Request) bool { return slices.Contains(kinds, q.Kind) })
}

// Answered are the requests with this status.
func (r Requests) Answered(status int) Requests {
	return r.where(func(q Request) bool { return q.Status == status })
}

// But are the requests with any other status.
func (r Requests) But(status int) Requests {
	return r.where(func(q Request) bool { return q.Status != status })
}

// ByRepository are the requests of each repository.
func (r Requests) ByRepository() map[string]Requests {
	by := map[string]Requests{}
	for _, q := range r {
		by[q.Repository] = append(by[q.Repository], q)
	}
	return by
}

func (r Requests) where(is func(Request) bool) Requests {
	var found Requests
	for _, q := range r {
		if is(q) {
			found = append(found, q)
		}
	}
	return found
}

// question is what a request asks.
type question struct {
	kind       Kind
	repository string
	// reference is a tag or a digest.
	reference string
}

// parse reads a request's path, after the distribution-spec's table of endpoints.
func parse(r *http.Request) question {
	if r.URL.Path == tokenPath {
		return question{kind: Token}
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if ok && path == "" {
		return question{kind: Ping}
	}
	if repository, ok := strings.CutSuffix(path, "/tags/list"); ok {
		return question{kind: List, repository: repository}
	}
	repository, reference, ok := strings.Cut(path, "/manifests/")
	switch {
	case ok && r.Method == http.MethodHead:
		return question{kind: ManifestHead, repository: repository, reference: reference}
	case ok && r.Method == http.MethodGet:
		return question{kind: ManifestGet, repository: repository, reference: reference}
	default:
		return question{kind: Other}
	}
}
