// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package hooks

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTenThousandHints: at once they wake the poller as often as the burst allows, in their
// time each, and nothing stays.
func TestTenThousandHints(t *testing.T) {
	r := receive(t, Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: secretIn(t, right)}}})
	body := golden(t, "harbor_push")
	const hints = 10_000
	send := func(apart time.Duration) int64 {
		before := r.follower.calls.Load()
		for range hints {
			r.clock.SetTime(r.clock.Now().Add(apart))
			r.post("/hooks/h", body, header("Authorization", right))
		}
		return r.follower.calls.Load() - before
	}
	if woken := send(0); woken != hintBurst {
		t.Errorf("%d hints at once woke the poller %d times", hints, woken)
	}
	before := heap()
	if woken := send(time.Second / hintsPerSecond); woken != hints {
		t.Errorf("%d hints at the rate of a hook woke the poller %d times", hints, woken)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if r.counts.of["Harbor throttled"] != hints-hintBurst {
		t.Errorf("counted %v", r.counts.of)
	}
	answer := r.post("/hooks/h", body, header("Authorization", right))
	for answer.Code == http.StatusAccepted {
		answer = r.post("/hooks/h", body, header("Authorization", right))
	}
	if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") != "1" {
		t.Errorf("answered %d, %v", answer.Code, answer.Header())
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestWhoGuessesIsSlowedDown, and does not use up what proven requests may.
func TestWhoGuessesIsSlowedDown(t *testing.T) {
	file := secretIn(t, right)
	r := receive(t,
		Config{Name: "bearer", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: file}}},
		Config{Name: "signed", Source: GHCR, Proof: Proof{HMAC: &HMAC{SecretFile: file}}},
	)
	answers := map[string]map[int]int{"bearer": {}, "signed": {}}
	for range 1000 {
		for name, of := range answers {
			of[r.post("/hooks/"+name, []byte("{}"), header("Authorization", wrong)).Code]++
		}
	}
	want := map[int]int{http.StatusUnauthorized: failureBurst, http.StatusTooManyRequests: 1000 - failureBurst}
	if diff := cmp.Diff(map[string]map[int]int{"bearer": want, "signed": want}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if answer := r.post("/hooks/bearer", []byte("{}"), header("Authorization", right)); answer.Code != http.StatusAccepted {
		t.Errorf("beside those who guess, one who knows was answered %d", answer.Code)
	}

	signature := header("X-Hub-Signature-256", sign(sha256.New, right, []byte("{}")))
	unread := &countingBody{}
	if answer := r.post("/hooks/signed", nil, func(request *http.Request) {
		signature(request)
		request.Body = unread
	}); answer.Code != http.StatusTooManyRequests || unread.reads.Load() > 0 {
		t.Errorf("answered %d after %d reads of the body", answer.Code, unread.reads.Load())
	}
	r.clock.SetTime(began.Add(time.Second))
	if answer := r.post("/hooks/signed", []byte("{}"), signature); answer.Code != http.StatusAccepted {
		t.Errorf("a second later a signature was answered %d", answer.Code)
	}
}

// countingBody is a body that has no end, and no bytes.
type countingBody struct{ reads atomic.Int64 }

func (b *countingBody) Read([]byte) (int, error) { b.reads.Add(1); return 0, io.ErrUnexpectedEOF }

func (*countingBody) Close() error { return nil }

// TestUnprovenBodiesAreNotRead, unless the proof is made of them.
func TestUnprovenBodiesAreNotRead(t *testing.T) {
	file := secretIn(t, right)
	for _, proof := range []Proof{
		{Bearer: &Bearer{SecretFile: file}},
		{Basic: &Basic{Username: "u", PasswordFile: file}},
		{Path: &Path{SecretFile: file}},
		{HMAC: &HMAC{SecretFile: file, Header: "X-Signature"}},
	} {
		r := receive(t, Config{Name: "h", Source: Harbor, Proof: proof})
		body := &countingBody{}
		r.post("/hooks/h", nil, func(request *http.Request) { request.Body = body })
		if body.reads.Load() > 0 {
			t.Errorf("%+v: the body was read", proof)
		}
	}
}

// TestFourBodiesAtOnce: the fifth waits until one of them is done.
func TestFourBodiesAtOnce(t *testing.T) {
	r := receive(t, Config{Name: "h", Source: Harbor, Proof: Proof{Bearer: &Bearer{SecretFile: secretIn(t, right)}}})
	var group sync.WaitGroup
	reading := make(chan *io.PipeWriter, bodiesAtOnce+1)
	for range bodiesAtOnce + 1 {
		group.Go(func() {
			body, more := io.Pipe()
			request := httptest.NewRequest(http.MethodPost, "/hooks/h", nil)
			request.Header.Set("Authorization", right)
			request.ContentLength = -1
			request.Body = &announcedBody{Reader: body, announce: func() { reading <- more }}
			recorder := httptest.NewRecorder()
			r.ServeHTTP(recorder, request)
			if recorder.Code != http.StatusAccepted {
				t.Errorf("answered %d", recorder.Code)
			}
		})
	}
	var open []*io.PipeWriter
	for range bodiesAtOnce {
		open = append(open, <-reading)
	}
	if extra := len(reading); extra > 0 {
		t.Errorf("%d more bodies are read", extra)
	}
	finish := func(more *io.PipeWriter) {
		_, _ = more.Write([]byte("{}"))
		_ = more.Close()
	}
	finish(open[0])
	finish(<-reading)
	for _, more := range open[1:] {
		finish(more)
	}
	group.Wait()
}

// announcedBody tells when it is first read.
type announcedBody struct {
	io.Reader

	announce func()
	once     sync.Once
}

func (b *announcedBody) Read(p []byte) (int, error) {
	b.once.Do(b.announce)
	return b.Reader.Read(p)
}

func (*announcedBody) Close() error { return nil }
