// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

// Package registrytest is a container registry in memory, for tests: it counts
// what it is asked, and misbehaves on demand.
package registrytest

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/imagelineage/imagelineage/internal/reference"
)

// Registry is a registry on a port of 127.0.0.1. It speaks plain HTTP, so its
// Host has to be among the client's plain HTTP hosts.
type Registry struct {
	// Host is address:port.
	Host string

	backend http.Handler

	mu        sync.Mutex
	requests  []Request
	intercept func(w http.ResponseWriter, r *http.Request) bool
	user      string
	password  string
}

// Request is one request that came over the network.
type Request struct{ Method, Path string }

// New starts a registry that lives as long as the test.
func New(t testing.TB, options ...ggcr.Option) *Registry {
	t.Helper()
	r := &Registry{backend: ggcr.New(append(options, ggcr.Logger(log.New(io.Discard, "", 0)))...)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// ServeHTTP counts a request and answers it.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, Request{Method: req.Method, Path: req.URL.Path})
	intercept, user, password := r.intercept, r.user, r.password
	r.mu.Unlock()
	if intercept != nil && intercept(w, req) {
		return
	}
	gotUser, gotPassword, _ := req.BasicAuth()
	if user != "" && (gotUser != user || gotPassword != password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	r.backend.ServeHTTP(w, req)
}

// Intercept has a function look at each request first; the registry answers
// where it returns false. nil ends that. The function is called concurrently.
func (r *Registry) Intercept(f func(w http.ResponseWriter, req *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.intercept = f
}

// Fail answers every request that has the method and whose path contains the
// text with a status; an empty method or text is any.
func (r *Registry) Fail(method, pathPart string, status int) {
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if !matches(Request{Method: req.Method, Path: req.URL.Path}, method, pathPart) {
			return false
		}
		Refuse(w, status, "TEST")
		return true
	})
}

// Recover ends Intercept and Fail.
func (r *Registry) Recover() { r.Intercept(nil) }

// Refuse answers with a status and a registry's error document.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": "body-of-the-registry"}},
	})
}

// RequireBasic lets in only who has this user and password; an empty user lets in
// everyone.
func (r *Registry) RequireBasic(user, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.password = user, password
}

// Requests counts the requests since the last ResetRequests that have the method
// and whose path contains the text; an empty method or text is any. What the
// functions of this package do themselves is not counted.
func (r *Registry) Requests(method, pathPart string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, req := range r.requests {
		if matches(req, method, pathPart) {
			n++
		}
	}
	return n
}

// ResetRequests begins to count anew.
func (r *Registry) ResetRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

func matches(req Request, method, pathPart string) bool {
	return (method == "" || req.Method == method) && strings.Contains(req.Path, pathPart)
}

// Reference is a reference of this registry: Reference(t, "team/app:stable").
func (r *Registry) Reference(t testing.TB, image string) reference.Reference {
	t.Helper()
	ref, err := reference.Parse(r.Host + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// Option changes the image that Push makes.
type Option func(annotations map[string]string)

// WithBase gives an image the annotations that say what it was built on.
func WithBase(name, digest string) Option {
	return func(annotations map[string]string) {
		annotations["org.opencontainers.image.base.name"] = name
		annotations["org.opencontainers.image.base.digest"] = digest
	}
}

// Push makes a random image of one small layer, puts it under the tag, and
// returns its digest.
func (r *Registry) Push(t testing.TB, ref reference.Reference, options ...Option) string {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r.PushImage(t, ref, image, options...)
}

// PushImage puts an image under the tag and returns its digest.
func (r *Registry) PushImage(t testing.TB, ref reference.Reference, image v1.Image, options ...Option) string {
	t.Helper()
	r.blobs(t, ref, image)
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	manifest = manifest.DeepCopy()
	if manifest.Annotations == nil {
		manifest.Annotations = map[string]string{}
	}
	for _, option := range options {
		option(manifest.Annotations)
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return r.PushManifest(t, ref, string(manifest.MediaType), raw)
}

// PushIndex puts an index of images under the tag, with all that it lists, and
// returns its digest.
func (r *Registry) PushIndex(t testing.TB, ref reference.Reference, index v1.ImageIndex) string {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range manifest.Manifests {
		image, err := index.Image(child.Digest)
		if err != nil {
			t.Fatal(err)
		}
		r.blobs(t, ref, image)
		raw, err := image.RawManifest()
		if err != nil {
			t.Fatal(err)
		}
		r.PushManifest(t, ref.WithTag(child.Digest.String()), string(child.MediaType), raw)
	}
	raw, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return r.PushManifest(t, ref, string(manifest.MediaType), raw)
}

// blobs puts an image's configuration and layers into the repository.
func (r *Registry) blobs(t testing.TB, ref reference.Reference, image v1.Image) {
	t.Helper()
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	r.blob(t, ref, manifest.Config.Digest, config)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		r.blob(t, ref, manifest.Layers[i].Digest, raw)
	}
}

// PushManifest puts bytes under the tag as they are, and returns their digest.
func (r *Registry) PushManifest(t testing.TB, ref reference.Reference, mediaType string, raw []byte) string {
	t.Helper()
	answer := r.do(t, http.MethodPut, r.path(ref, "manifests/"+ref.Tag), mediaType, raw)
	return answer.Header().Get("Docker-Content-Digest")
}

// PushBlob puts bytes into the reference's repository, and returns their digest.
func (r *Registry) PushBlob(t testing.TB, ref reference.Reference, raw []byte) string {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r.blob(t, ref, digest, raw)
	return digest.String()
}

// Content is what the registry has at a path below the reference's repository, such as
// manifests/stable or blobs/sha256:…; nil where there is nothing.
func (r *Registry) Content(t testing.TB, ref reference.Reference, rest string) []byte {
	t.Helper()
	answer := httptest.NewRecorder()
	r.backend.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, r.path(ref, rest), nil))
	if answer.Code != http.StatusOK {
		return nil
	}
	return answer.Body.Bytes()
}

// Move puts a digest that is in the repository under the tag.
func (r *Registry) Move(t testing.TB, ref reference.Reference, digest string) {
	t.Helper()
	answer := r.do(t, http.MethodGet, r.path(ref, "manifests/"+digest), "", nil)
	r.PushManifest(t, ref, answer.Header().Get("Content-Type"), answer.Body.Bytes())
}

// Delete removes the tag; the image stays.
func (r *Registry) Delete(t testing.TB, ref reference.Reference) {
	t.Helper()
	r.do(t, http.MethodDelete, r.path(ref, "manifests/"+ref.Tag), "", nil)
}

// Digest is what the tag shows; empty where it does not exist.
func (r *Registry) Digest(t testing.TB, ref reference.Reference) string {
	t.Helper()
	answer := httptest.NewRecorder()
	r.backend.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodHead, r.path(ref, "manifests/"+ref.Tag), nil))
	if answer.Code != http.StatusOK {
		return ""
	}
	return answer.Header().Get("Docker-Content-Digest")
}

func (r *Registry) path(ref reference.Reference, rest string) string {
	return "/v2/" + strings.TrimPrefix(ref.Repository, ref.Host()+"/") + "/" + rest
}

func (r *Registry) blob(t testing.TB, ref reference.Reference, digest v1.Hash, raw []byte) {
	t.Helper()
	r.do(t, http.MethodPost, r.path(ref, "blobs/uploads/?digest="+url.QueryEscape(digest.String())), "application/octet-stream", raw)
}

// do goes to the registry behind the counters.
func (r *Registry) do(t testing.TB, method, path, mediaType string, raw []byte) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(raw))
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	answer := httptest.NewRecorder()
	r.backend.ServeHTTP(answer, req)
	if answer.Code >= http.StatusBadRequest {
		t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	return answer
}
