// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/imagelineage/imagelineage/internal/registry"
)

// soon is the Timeout of what only the Timeout ends, and late that of what ends by
// itself well before.
const (
	soon = 300 * time.Millisecond
	late = time.Minute
)

// most is how many bytes may leave the registry: what is read of an answer at most,
// and what the network's buffers hold.
const most = 24 << 20

// manifest answers with a document: with its digest, and its length if it is told.
func manifest(mediaType, document string) answer {
	return func(_ *liar, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", digestOf(document))
		_, _ = io.WriteString(w, document)
	}
}

func digestOf(document string) string {
	sum := sha256.Sum256([]byte(document))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// headless leaves the digest out of the answer to HEAD, so that GET is tried.
func headless(f answer) answer {
	return func(l *liar, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Type", ociIndex)
			w.Header().Set("Content-Length", "10")
			return
		}
		f(l, w, r)
	}
}

// endless writes the same for ever, with a pause in between or without.
func endless(mediaType, text string, pause time.Duration) answer {
	return func(_ *liar, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		for err := error(nil); err == nil && r.Context().Err() == nil; {
			if _, err = io.WriteString(w, text); pause > 0 {
				_ = http.NewResponseController(w).Flush()
			}
			wait(r, pause)
		}
	}
}

// wait is for registries that are slow on purpose.
func wait(r *http.Request, pause time.Duration) {
	if pause == 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// raw takes the connection over, and writes a beginning and then the same for ever.
func raw(beginning, text string, pause time.Duration) answer {
	return func(l *liar, w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, beginning)
		for err == nil {
			_, err = io.WriteString(countedConn{conn, l}, text)
			wait(r, pause)
		}
	}
}

type countedConn struct {
	io.Writer

	l *liar
}

// Write implements io.Writer.
func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.l.sent.Add(int64(n))
	return n, err
}

var (
	index     = `{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`
	selfIndex = fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`, ociIndex, ociIndex, aDigest)
)

// TestMisbehavingAnswers asks what a tag shows.
func TestMisbehavingAnswers(t *testing.T) {
	const endlessText = "0123456789abcdef"
	tests := map[string]struct {
		serve        answer
		timeout      time.Duration
		wantClass    registry.Class
		want         string
		wantRequests int32 // with the ping
		// wantMost bytes are sent, most by default.
		wantMost int64
	}{
		"a dead token server": {
			serve: challenge("http://" + dead + "/token"), timeout: late,
			wantClass: registry.Unavailable, want: "the host that it sends clients on to: the connection is refused", wantRequests: 1,
		},
		"a token server whose name does not exist": {
			serve: challenge("http://unresolvable.corp.example/token"), timeout: late,
			wantClass: registry.Unavailable, want: "the host that it sends clients on to: the host name does not exist", wantRequests: 1,
		},
		"a manifest of 100 MiB, to HEAD": {
			serve: lie(func(_ *liar, w http.ResponseWriter, r *http.Request) {
				showsDigest(nil, w, r)
				w.Header().Set("Content-Length", "104857600")
			}), timeout: late,
			wantClass: registry.Invalid, want: "more than 8 MiB", wantRequests: 2, wantMost: 1,
		},
		"a manifest of 100 MiB, to GET": {
			serve: lie(headless(func(_ *liar, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "104857600")
				for chunk := bytes.Repeat([]byte(" "), 1<<20); ; {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})), timeout: late,
			wantClass: registry.Invalid, want: "more than 8 MiB", wantRequests: 3,
		},
		"a manifest that never ends": {
			serve: lie(headless(endless(ociIndex, strings.Repeat(endlessText, 1<<10), 0))), timeout: late,
			wantClass: registry.Invalid, want: "more than 8 MiB", wantRequests: 3,
		},
		"a manifest that dribbles": {
			serve: lie(headless(endless(ociIndex, "{", 20*time.Millisecond))), timeout: soon,
			wantClass: registry.Unavailable, want: "no answer in time", wantRequests: 3,
		},
		"a manifest that is cut off": {
			serve: lie(headless(func(_ *liar, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, index)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})), timeout: late,
			wantClass: registry.Unavailable, want: "the connection broke off", wantRequests: 3,
		},
		"half a manifest": {
			serve: lie(headless(manifest(ociIndex, index[:20]))), timeout: late,
			wantClass: registry.Invalid, want: "something that is no manifest", wantRequests: 3,
		},
		"another media type, to HEAD": {
			serve: lie(manifest("application/vnd.oci.artifact.manifest.v1+json", "{}")), timeout: late,
			wantClass: registry.Invalid, want: "it shows something that is no image", wantRequests: 2,
		},
		"another media type, to GET": {
			serve: lie(headless(manifest("application/json", `{"schemaVersion":2}`))), timeout: late,
			wantClass: registry.Invalid, want: "it shows something that is no image", wantRequests: 3,
		},
		"another media type by the document's own word": {
			serve: lie(headless(manifest(ociIndex, `{"schemaVersion":2,"mediaType":"application/vnd.example+json"}`))), timeout: late,
			wantClass: registry.Invalid, want: "it shows something that is no image", wantRequests: 3,
		},
		"Docker's first schema": {
			serve: lie(manifest("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`)), timeout: late,
			wantClass: registry.Invalid, want: "it shows something that is no image", wantRequests: 2,
		},
		"headers that never end": {
			serve: lie(raw("HTTP/1.1 200 OK\r\n", strings.Repeat("X-Header: "+endlessText+"\r\n", 1<<10), 0)), timeout: late,
			wantClass: registry.Invalid, want: "headers have more than 256 KiB", wantRequests: 2,
		},
		"headers that dribble": {
			serve: lie(raw("HTTP/1.1 200 OK\r\n", "X-Header: a\r\n", 20*time.Millisecond)), timeout: soon,
			wantClass: registry.Unavailable, want: "no answer in time", wantRequests: 2,
		},
		"interim answers that never end": {
			serve: lie(raw("", "HTTP/1.1 103 Early Hints\r\nLink: "+endlessText+"\r\n\r\n", 0)), timeout: late,
			wantClass: registry.Invalid, want: "headers have more than 256 KiB", wantRequests: 2,
		},
		"a ping that dribbles": {
			serve: endless("text/plain", "x", 20*time.Millisecond), timeout: soon,
			wantClass: registry.Unavailable, want: "no answer in time", wantRequests: 1,
		},
		"a refusal that never ends": {
			serve: lie(headless(func(l *liar, w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusTooManyRequests)
				endless("", strings.Repeat(endlessText, 1<<10), 0)(l, w, r)
			})), timeout: late,
			wantClass: registry.RateLimited, want: "429 Too Many Requests", wantRequests: 3,
		},
		"a token that never ends": {
			serve: func(l *liar, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					endless("application/json", strings.Repeat(" ", 1<<10), 0)(l, w, r)
					return
				}
				challenge("http://"+liarHost+"/token")(l, w, r)
			}, timeout: late,
			wantClass: registry.Invalid, want: "not that of a registry, or is damaged", wantRequests: 4, // HEAD and GET begin with one each
		},
		"a challenge without a realm": {
			serve: func(_ *liar, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer service="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			}, timeout: late,
			wantClass: registry.Invalid, want: "not that of a registry, or is damaged", wantRequests: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, tt.serve, nil)
			begun := time.Now()
			_, err := l.client(asPrivate(), tt.timeout).Head(t.Context(), l.reference(), anonymous)
			l.answered(t, err, tt.wantClass, tt.want)
			if took := time.Since(begun); took > late/3 {
				t.Errorf("it took %v", took)
			}
			if n := l.requests.Load(); n != tt.wantRequests {
				t.Errorf("%d requests, want %d", n, tt.wantRequests)
			}
			if tt.wantMost == 0 {
				tt.wantMost = most
			}
			if n := l.sent.Load(); n > tt.wantMost {
				t.Errorf("%d bytes were taken, want %d at most", n, tt.wantMost)
			}
		})
	}
}

// TestMisbehavingDigests asks for what a digest holds.
func TestMisbehavingDigests(t *testing.T) {
	tests := map[string]struct {
		document, asked string
		want            string // empty where it is believed
	}{
		"a manifest of another digest": {document: index, asked: aDigest, want: "not that of a registry, or is damaged"},
		"half a manifest":              {document: index[:20], asked: digestOf(index), want: "not that of a registry, or is damaged"},
		"nothing":                      {asked: aDigest, want: "not that of a registry, or is damaged"},
		// Nobody can make an index that holds its own digest; a registry can answer
		// for the child with the same index again.
		"an index that contains an index": {document: selfIndex, asked: digestOf(selfIndex)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, lie(manifest(ociIndex, tt.document)), nil)
			got, err := l.client(asPrivate(), late).Describe(t.Context(), l.reference(), tt.asked, registry.Detail{}, anonymous)
			if tt.want != "" {
				l.answered(t, err, registry.Invalid, tt.want)
			} else if err != nil || got.Digest != tt.asked {
				t.Errorf("Describe = %v, %v", got, err)
			}
			if n := l.requests.Load(); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}
