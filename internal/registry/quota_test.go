// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

var retryAfters = map[string]struct {
	values []string
	want   time.Duration
}{
	"seconds":                               {[]string{"30"}, 30 * time.Second},
	"with blanks around them":               {[]string{"  30 "}, 30 * time.Second},
	"a fraction of them":                    {[]string{"1.5"}, 1500 * time.Millisecond},
	"a duration, as GHCR has it":            {[]string{"1.17ms"}, 1170 * time.Microsecond},
	"a longer one":                          {[]string{"1m30s"}, 90 * time.Second},
	"a date":                                {[]string{"Wed, 04 Mar 2026 12:00:20 GMT"}, 20 * time.Second},
	"a date as RFC 850 had it":              {[]string{"Wednesday, 04-Mar-26 12:00:20 GMT"}, 20 * time.Second},
	"a date as C has it":                    {[]string{"Wed Mar  4 12:00:20 2026"}, 20 * time.Second},
	"a date that is over":                   {[]string{"Wed, 04 Mar 2026 11:00:00 GMT"}, 0},
	"a date in a hundred years":             {[]string{"Sun, 04 Mar 2126 12:00:00 GMT"}, time.Hour},
	"nothing":                               {nil, 0},
	"an empty word":                         {[]string{""}, 0},
	"words":                                 {[]string{"soon"}, 0},
	"less than nothing":                     {[]string{"-30"}, 0},
	"a duration below nothing":              {[]string{"-30s"}, 0},
	"more than a duration holds":            {[]string{"1e300"}, time.Hour},
	"more than a number holds":              {[]string{"1e999"}, 0},
	"for ever":                              {[]string{"Inf"}, time.Hour},
	"no number":                             {[]string{"NaN"}, 0},
	"twice: the longer one counts":          {[]string{"5", "30", "1"}, 30 * time.Second},
	"twice in one, as proxies put it":       {[]string{"5, 30"}, 30 * time.Second},
	"one of two can be read":                {[]string{"soon", "7"}, 7 * time.Second},
	"a number of a length to be afraid of":  {[]string{strings.Repeat("9", 400)}, 0},
	"a number that is not only a number: 0": {[]string{"30 seconds"}, 0},
}

func TestRetryAfterInAllItsForms(t *testing.T) {
	for name, tt := range retryAfters {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": tt.values}, Body: http.NoBody}
			if got := patience(resp, noon); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHintInTheBody(t *testing.T) {
	ghcr := `{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 1.17ms, allowed: 44000/minute"}]}`
	tests := map[string]struct {
		status int
		header string
		body   string
		want   time.Duration
	}{
		"GHCR says it in the body":             {status: 429, body: ghcr, want: 1170 * time.Microsecond},
		"the longer of body and header":        {status: 429, header: "2", body: ghcr, want: 2 * time.Second},
		"a body that says more":                {status: 429, header: "2", body: "Retry-After: 30s", want: 30 * time.Second},
		"at the end of a sentence":             {status: 429, body: "Too much. retry-after: 7.", want: 7 * time.Second},
		"of another status the body is not":    {status: 503, body: ghcr},
		"a hint that is none":                  {status: 429, body: "retry-after: later"},
		"a hint far behind":                    {status: 429, body: strings.Repeat(" ", maxHint) + ghcr},
		"a page of a proxy":                    {status: 429, body: "<html>429 Too Many Requests</html>"},
		"less than nothing":                    {status: 429, body: "retry-after: -5"},
		"a number of a length to be afraid of": {status: 429, body: "retry-after: " + strings.Repeat("9", maxHint)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Retry-After": {tt.header}}, Body: io.NopCloser(strings.NewReader(tt.body))}
			if got := patience(resp, noon); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if left, err := io.ReadAll(resp.Body); err != nil || string(left) != tt.body {
				t.Errorf("the reader gets %d bytes of %d, and %v", len(left), len(tt.body), err)
			}
		})
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	broken := errors.New("broken")
	body := io.MultiReader(strings.NewReader("retry-after: 3s, "), iotest.ErrReader(broken))
	resp := &http.Response{StatusCode: http.StatusTooManyRequests, Body: io.NopCloser(body)}
	if got := patience(resp, noon); got != 3*time.Second {
		t.Errorf("got %s, want 3 s", got)
	}
	if left, err := io.ReadAll(resp.Body); !errors.Is(err, broken) || len(left) != 17 {
		t.Errorf("the reader gets %q and %v", left, err)
	}
}

func TestQuota(t *testing.T) {
	tests := map[string]struct {
		header  map[string]string
		want    quota
		wantEnd bool
	}{
		"Docker Hub's form": {
			header: map[string]string{"Ratelimit-Limit": "100;w=21600", "Ratelimit-Remaining": "76;w=21600"},
			want:   quota{remaining: 76, known: true},
		},
		"Docker Hub's form without a number": {header: map[string]string{"Ratelimit-Limit": ";w=21600", "Ratelimit-Remaining": ";w=21600"}},
		"nothing left, and no word until when": {
			header: map[string]string{"Ratelimit-Remaining": "0;w=21600"}, want: quota{known: true},
		},
		"nothing left for a while": {
			header: map[string]string{"Ratelimit-Remaining": "0", "Ratelimit-Reset": "30"},
			want:   quota{known: true, reset: 30 * time.Second}, wantEnd: true,
		},
		"something left for a while": {
			header: map[string]string{"Ratelimit-Remaining": "1", "Ratelimit-Reset": "30"},
			want:   quota{remaining: 1, known: true, reset: 30 * time.Second},
		},
		"the older spelling, and a date": {
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1772625630"},
			want:   quota{known: true, reset: 30 * time.Second}, wantEnd: true,
		},
		"a date that is over": {
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1700000000"}, want: quota{known: true},
		},
		"a reset in a year is in an hour": {
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "31536000"},
			want:   quota{known: true, reset: time.Hour}, wantEnd: true,
		},
		"less than nothing":      {header: map[string]string{"Ratelimit-Remaining": "-1", "Ratelimit-Reset": "30"}},
		"words":                  {header: map[string]string{"Ratelimit-Remaining": "many", "Ratelimit-Reset": "soon"}},
		"a reset in words":       {header: map[string]string{"Ratelimit-Remaining": "0", "Ratelimit-Reset": "soon"}, want: quota{known: true}},
		"no header of this kind": {header: map[string]string{"Content-Type": "text/plain"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			for key, value := range tt.header {
				header.Set(key, value)
			}
			got := quotaOf(header, noon)
			if got != tt.want || got.usedUp() != tt.wantEnd {
				t.Errorf("got %+v, used up %t; want %+v, %t", got, got.usedUp(), tt.want, tt.wantEnd)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, tt := range retryAfters {
		f.Add(strings.Join(tt.values, ","))
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, noon); got < 0 || got > maxRetryAfter {
			t.Errorf("%q is %s", value, got)
		}
	})
}

func FuzzBodyHint(f *testing.F) {
	f.Add([]byte("retry-after: 1.17ms, allowed: 44000/minute"))
	f.Add([]byte(`{"message":"Retry-After=\"5µs\""}`))
	f.Add([]byte("retry-after: ......"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := bodyHint(body); got < 0 || got > maxRetryAfter {
			t.Errorf("%q is %s", body, got)
		}
	})
}

func FuzzQuota(f *testing.F) {
	f.Add("100;w=21600", "")
	f.Add(";w=21600", "30")
	f.Add("0", "1772625630")
	f.Add("-9223372036854775808", "9223372036854775807")
	f.Fuzz(func(t *testing.T, remaining, reset string) {
		got := quotaOf(http.Header{"Ratelimit-Remaining": {remaining}, "Ratelimit-Reset": {reset}}, noon)
		if got.remaining < 0 || got.reset < 0 || got.reset > maxRetryAfter || !got.known && got != (quota{}) {
			t.Errorf("%q and %q are %+v", remaining, reset, got)
		}
	})
}
