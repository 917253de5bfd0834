// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// on answers the requests of a method whose path holds a text.
func on(method, part string, answer func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		return req.Method == method && strings.Contains(req.URL.Path, part) && answer(w, req)
	}
}

// bytesOf answers with bytes, in chunks or with their number.
func bytesOf(content string, chunked bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if chunked {
			_ = http.NewResponseController(w).Flush()
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		}
		_, _ = w.Write([]byte(content))
		return true
	}
}

// brokenOff begins an answer and does not end it; stalled leaves the connection open.
func brokenOff(stalled bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		_, _ = w.Write([]byte("sh"))
		_ = http.NewResponseController(w).Flush()
		if stalled {
			<-req.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
}

// trickling sends a byte now and then, so that the stream never stands still.
func trickling(w http.ResponseWriter, req *http.Request) bool {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		_, _ = w.Write([]byte("s"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-req.Context().Done():
			return true
		}
	}
}

func TestCopyFailures(t *testing.T) {
	const blobs, uploads, manifests = "/v2/team/app/blobs/", "/v2/mirror/app/blobs/uploads/", "/v2/mirror/app/manifests/"
	tests := map[string]struct {
		source, target func(http.ResponseWriter, *http.Request) bool
		wantClass      registry.Class
		wantSource     bool // blamed, else the target
		wantText       string
		// wantPulls is how many manifests the source is asked for at most; -1 does not count.
		wantPulls int
		// timeout of an answer, where it matters.
		timeout time.Duration
	}{
		"a layer of another digest": {
			source: on("GET", blobs, bytesOf("SHARED LAYER", false)), wantClass: registry.Invalid, wantSource: true,
			wantText: "does not have the digest that its manifest says", wantPulls: -1,
		},
		"a layer of another size": {
			source: on("GET", blobs, bytesOf("shared layer and more", false)), wantClass: registry.Invalid, wantSource: true,
			wantText: "does not have the size that its manifest says", wantPulls: -1,
		},
		"a layer that goes on": {
			source: on("GET", blobs, bytesOf(strings.Repeat("SHARED LAYER", 1<<20), true)), wantClass: registry.Invalid, wantSource: true,
			wantText: "does not have the digest that its manifest says", wantPulls: -1,
		},
		"a layer that ends early": {
			source: on("GET", blobs, bytesOf("shared", true)), wantClass: registry.Unavailable, wantSource: true,
			wantText: "the connection broke off", wantPulls: -1,
		},
		"a layer that breaks off": {
			source: on("GET", blobs, brokenOff(false)), wantClass: registry.Unavailable, wantSource: true,
			wantText: "the connection broke off", wantPulls: -1,
		},
		"a layer that stands still": {
			source: on("GET", blobs, brokenOff(true)), wantClass: registry.Unavailable, wantSource: true,
			wantText: "nothing of a layer has moved for 1s", wantPulls: -1, timeout: 500 * time.Millisecond,
		},
		"a layer that trickles": {
			source: on("GET", blobs, trickling), wantClass: registry.Unavailable, wantSource: true,
			wantText: "less than 1 MiB of a layer has moved in a minute", wantPulls: -1, timeout: 500 * time.Millisecond,
		},
		"a layer that is gone": {
			source: on("GET", blobs, refusing(404, "BLOB_UNKNOWN")), wantClass: registry.Invalid, wantSource: true,
			wantText: "it has the image, and not this layer of it", wantPulls: -1,
		},
		"a source that limits its clients": {
			source: on("GET", blobs, bare(429, "Retry-After", "60")), wantClass: registry.RateLimited, wantSource: true,
			wantText: "429", wantPulls: -1,
		},
		"a source that has a proxy's page for a layer": {
			source: on("GET", blobs, bytesOf("<html>log in</html>", false)), wantClass: registry.Invalid, wantSource: true,
			wantText: "does not have the size", wantPulls: -1,
		},
		"a target that wants other credentials": {
			target: on("POST", uploads, refusing(401, "UNAUTHORIZED")), wantClass: registry.Unauthorized, wantText: "credentials are missing or wrong",
		},
		"a target that does not let in": {
			target: on("POST", uploads, refusing(403, "DENIED")), wantClass: registry.Forbidden, wantText: "the credentials do not allow it",
		},
		"a repository that has to be created first": {
			target: on("POST", uploads, refusing(404, "NAME_UNKNOWN")), wantClass: registry.Forbidden, wantText: "does not create it by itself",
		},
		"a target that is read-only": {
			target: on("POST", uploads, refusing(405, "UNSUPPORTED")), wantClass: registry.Invalid, wantText: "405 Method Not Allowed", wantPulls: 2,
		},
		"a target that does not take large layers": {
			target: on("PUT", uploads, bare(413)), wantClass: registry.Invalid, wantText: "413 Request Entity Too Large", wantPulls: 2,
		},
		"a target that is full": {
			target: on("PUT", uploads, bare(507)), wantClass: registry.Unavailable, wantText: "507", wantPulls: 2,
		},
		"a target that takes a layer and says nothing": {
			target: on("PUT", uploads, func(_ http.ResponseWriter, req *http.Request) bool {
				_, _ = io.Copy(io.Discard, req.Body)
				<-req.Context().Done()
				return true
			}),
			wantClass: registry.Unavailable, wantText: "nothing of a layer has moved for 5s", wantPulls: 2, timeout: 500 * time.Millisecond,
		},
		"a target that sends uploads nowhere": {
			target: on("POST", uploads, func(w http.ResponseWriter, req *http.Request) bool {
				return bare(202, "Location", "https://user:word@"+req.Host+"/x")(w, req)
			}), wantClass: registry.Invalid, wantText: "does not say where to upload to", wantPulls: 2,
		},
		"a target with a web page in front of it": {
			target: on("PUT", uploads, putWebPage), wantClass: registry.Invalid, wantText: "web page", wantPulls: 2,
		},
		"a target that does not take manifests": {
			target: on("PUT", manifests, refusing(400, "MANIFEST_INVALID")), wantClass: registry.Invalid, wantText: "400", wantPulls: 2,
		},
		"a target that changes manifests": {
			target:    on("PUT", manifests, bare(201, "Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))),
			wantClass: registry.Invalid, wantText: "under another digest", wantPulls: 2,
		},
		"a target whose tags do not change and where one is in the way": {
			target: on("PUT", manifests+"stable-", refusing(409, "TAG_INVALID")), wantClass: registry.Invalid, wantText: "409", wantPulls: -1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // two of them take their time
			source, target := registrytest.New(t), registrytest.New(t)
			o := newOriginal(t, source, true)
			to := target.Reference(t, "mirror/app")
			source.Intercept(tt.source)
			target.Intercept(tt.target)
			client := registry.NewClient(registry.Options{Rules: plainHTTP(source.Host, target.Host), Timeout: cmp.Or(tt.timeout, 10*time.Second)})
			_, err := o.copy(client, to)
			blamed := target.Host
			if tt.wantSource {
				blamed = source.Host
			}
			if registry.ClassOf(err) != tt.wantClass || registry.HostOf(err) != blamed || !strings.Contains(fmt.Sprint(err), tt.wantText) {
				t.Errorf("error %v of class %s, want %s of %s that says %q", err, registry.ClassOf(err), tt.wantClass, blamed, tt.wantText)
			}
			if strings.Contains(fmt.Sprint(err), "body") {
				t.Errorf("error %v tells what the registry answered", err)
			}
			if n := source.Requests("GET", "/manifests/"); tt.wantPulls >= 0 && n > tt.wantPulls {
				t.Errorf("%d manifests were pulled for nothing, want %d", n, tt.wantPulls)
			}
			if shows := target.Digest(t, o.kept(to)); shows != "" {
				t.Errorf("the kept tag shows %s", shows)
			}
			source.Recover()
			target.Recover()
			if _, err := o.copy(newClient(source.Host, target.Host), to); err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			if missing := o.missing(target, to); len(missing) > 0 {
				t.Errorf("afterwards the copy lacks %v", missing)
			}
		})
	}
}

// TestCopyGivesUploadsUp: what was sent of a layer takes no room for ever.
func TestCopyGivesUploadsUp(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	source.Intercept(on("GET", "/blobs/", bytesOf("SHARED LAYER", false)))
	if _, err := o.copy(newClient(source.Host, target.Host), target.Reference(t, "mirror/app")); err == nil {
		t.Fatal("no error")
	}
	if n := target.Requests("DELETE", "/blobs/uploads/"); n != 2 {
		t.Errorf("%d uploads were given up, want two: of the question and of the layer", n)
	}
}

func TestCopyIsBounded(t *testing.T) {
	tests := map[string]struct {
		make     func(*original)
		wantText string
	}{
		"indexes in indexes in indexes": {
			make: func(o *original) {
				inner := o.image(nil, "config")
				for range 3 {
					inner = o.manifest(ociIndex, object{"schemaVersion": 2, "manifests": []object{inner}})
				}
				o.digest = digestIn(inner)
			},
			wantText: "too deep",
		},
		"referrers without end": {
			make: func(o *original) {
				image := o.image(nil, "config")
				o.digest = digestIn(image)
				signature := o.image(image, "config", o.blob(ociLayer, "signature"))
				list := strings.Repeat(fmt.Sprintf(`{"digest":%q},`, digestIn(signature)), 501)
				o.r.PushManifest(o.t, o.ref.WithTag(fallback(o.digest)), ociManifest, []byte(`{"schemaVersion":2,"manifests":[`+strings.TrimSuffix(list, ",")+`]}`))
			},
			wantText: "more than 500 referrers",
		},
		"pages full of nothing": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config"))
				o.r.Intercept(emptyReferrers(1_000_000))
			},
			wantText: "lists more than 10000 things",
		},
		"short pages of referrers, without end": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config"))
				o.r.Intercept(emptyReferrers(300))
			},
			wantText: "more than 500 referrers",
		},
		"an index full of nothing": {
			make: func(o *original) {
				o.digest = o.r.PushManifest(o.t, o.ref.WithTag("large"), ociManifest, []byte(`{"schemaVersion":2,"manifests":[`+emptyObjects(1_000_000)+`]}`))
			},
			wantText: "lists more than 10000 things",
		},
		"pages of referrers without end": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config"))
				o.r.Intercept(pages(func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Link", `<`+req.URL.Path+`?n=1>; rel="next"`)
				}))
			},
			wantText: "more than 100 pages",
		},
		"a page of referrers somewhere else": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config"))
				o.r.Intercept(pages(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Link", `<http://10.0.0.1/v2/>; rel="next"`)
				}))
			},
			wantText: "the next page is on another host",
		},
		"a layer of impossible size": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config", object{"mediaType": ociLayer, "digest": sha(nil), "size": int64(1) << 60}))
			},
			wantText: "digest or size is none",
		},
		"a layer whose digest is a path": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config", object{"mediaType": ociLayer, "digest": "../../other", "size": 1}))
			},
			wantText: "digest or size is none",
		},
		"a child whose digest is a path": {
			make: func(o *original) {
				raw := []byte(`{"schemaVersion":2,"manifests":[{"digest":"../../x"}]}`)
				o.digest = o.r.PushManifest(o.t, o.ref, "application/json", raw)
			},
			wantText: "lists something that is no digest",
		},
		"a manifest that is none": {
			make: func(o *original) {
				o.digest = o.r.PushManifest(o.t, o.ref, ociManifest, []byte(`{"layers":"none"}`))
			},
			wantText: "no manifest",
		},
		"a manifest of another digest": {
			make: func(o *original) {
				o.digest = digestIn(o.image(nil, "config"))
				o.r.Intercept(on("GET", "/manifests/", func(w http.ResponseWriter, _ *http.Request) bool {
					w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
					w.Header().Set("Docker-Content-Digest", o.digest)
					_, _ = w.Write([]byte(`{"schemaVersion":1}`))
					return true
				}))
			},
			wantText: "the digest of what it answers is another one",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			source, target := registrytest.New(t), registrytest.New(t)
			o := emptyOriginal(t, source)
			tt.make(o)
			to := target.Reference(t, "mirror/app")
			_, err := o.copy(newClient(source.Host, target.Host), to)
			if registry.ClassOf(err) != registry.Invalid || registry.HostOf(err) != source.Host || !strings.Contains(fmt.Sprint(err), tt.wantText) {
				t.Errorf("error %v, want one that says %q", err, tt.wantText)
			}
			if shows := target.Digest(t, o.kept(to)); shows != "" {
				t.Errorf("the kept tag shows %s", shows)
			}
		})
	}
}

// emptyObjects are so many descriptors that say nothing, in JSON.
func emptyObjects(n int) string { return strings.TrimSuffix(strings.Repeat(`{},`, n), ",") }

// emptyReferrers answers the referrers API with pages of so many descriptors, without end.
func emptyReferrers(n int) func(http.ResponseWriter, *http.Request) bool {
	page := []byte(`{"schemaVersion":2,"manifests":[` + emptyObjects(n) + `]}`)
	return on("GET", "/referrers/", func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Link", `<`+req.URL.Path+`?n=1>; rel="next"`)
		w.Header().Set("Content-Type", ociIndex)
		_, _ = w.Write(page)
		return true
	})
}

// pages answers the referrers API with an empty page, after a header was set.
func pages(header func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return on("GET", "/referrers/", func(w http.ResponseWriter, req *http.Request) bool {
		header(w, req)
		w.Header().Set("Content-Type", ociIndex)
		_, _ = w.Write([]byte(`{"schemaVersion":2,"manifests":[]}`))
		return true
	})
}

func TestCopyReadsAllPages(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := emptyOriginal(t, source)
	image := o.image(nil, "config")
	o.digest = digestIn(image)
	all := []object{o.image(image, "first"), o.image(image, "second"), o.image(image, "third")}
	for _, referrer := range all {
		o.referrers[o.digest] = append(o.referrers[o.digest], digestIn(referrer))
	}
	source.Intercept(on("GET", "/referrers/", func(w http.ResponseWriter, req *http.Request) bool {
		page, _ := strconv.Atoi(req.URL.Query().Get("last"))
		if page < 2 {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=%d>; rel="next"`, req.URL.Path, page+1))
		}
		w.Header().Set("Content-Type", ociIndex)
		_, _ = fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":%q}]}`, digestIn(all[page]))
		return true
	}))
	to := target.Reference(t, "mirror/app")
	if _, err := o.copy(newClient(source.Host, target.Host), to); err != nil {
		t.Fatal(err)
	}
	if missing := o.missing(target, to); len(missing) > 0 {
		t.Errorf("the copy lacks %v", missing)
	}
}

func TestCopyOfWhatIsNotThere(t *testing.T) {
	source, target := registrytest.New(t), registrytest.New(t)
	o := newOriginal(t, source, true)
	client := newClient(source.Host, target.Host)
	to := target.Reference(t, "mirror/app")
	gone := "sha256:" + strings.Repeat("0", 64)
	_, err := client.Copy(t.Context(), o.ref, gone, to, anonymous, anonymous)
	if registry.ClassOf(err) != registry.Absent || registry.HostOf(err) != source.Host {
		t.Errorf("a digest that is gone: %v", err)
	}
	source.Intercept(on("GET", o.child, refusing(404, "MANIFEST_UNKNOWN")))
	_, err = o.copy(client, to)
	if registry.ClassOf(err) != registry.Absent || !strings.Contains(err.Error(), o.child[len("sha256:"):][:12]) {
		t.Errorf("a child that is gone: %v", err)
	}
	for _, digest := range []string{"stable", "sha256:x", "sha512:" + strings.Repeat("0", 128)} {
		if _, err := client.Copy(t.Context(), o.ref, digest, to, anonymous, anonymous); registry.ClassOf(err) != registry.Invalid {
			t.Errorf("%s: %v", digest, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	source.Intercept(on("GET", "/blobs/", func(_ http.ResponseWriter, req *http.Request) bool {
		cancel()
		<-req.Context().Done()
		return true
	}))
	if _, err := client.Copy(ctx, o.ref, o.digest, to, anonymous, anonymous); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestAKeptTagIsNotMoved: whatever somebody put there, the copy fails and says so.
func TestAKeptTagIsNotMoved(t *testing.T) {
	tests := map[string]struct {
		mediaType, document string
		wantText            string
	}{
		"another image":              {ociManifest, `{"schemaVersion":2,"config":{"mediaType":"` + ociConfig + `"}}`, "another image"},
		"something that is no image": {"application/vnd.example.chart+json", `{"schemaVersion":2}`, "no image"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			source, target := registrytest.New(t), registrytest.New(t)
			o := newOriginal(t, source, true)
			to := target.Reference(t, "mirror/app")
			before := target.PushManifest(t, o.kept(to), tt.mediaType, []byte(tt.document))
			_, err := o.copy(newClient(source.Host, target.Host), to)
			if registry.ClassOf(err) != registry.Invalid || !strings.Contains(fmt.Sprint(err), tt.wantText) {
				t.Errorf("error %v, want one that says %q", err, tt.wantText)
			}
			if shows := target.Digest(t, o.kept(to)); shows != before {
				t.Errorf("the kept tag shows %s, and %s before", shows, before)
			}
		})
	}
}
