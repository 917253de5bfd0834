// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxHint is how much of the body of a 429 is looked at, in bytes. GHCR's hint is
// one line.
const maxHint = 4 << 10

// patience is how long an answer asks to be left alone, by its header or, of a 429,
// its body; 0 where it does not say.
func patience(resp *http.Response, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, value := range resp.Header.Values("Retry-After") {
		longest = max(longest, retryAfter(value, now))
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		longest = max(longest, bodyHint(peek(resp, maxHint)))
	}
	return longest
}

// retryAfter reads the header of RFC 9110 §10.2.3: seconds, or a date in one of
// three forms. What registries and proxies write beside it is read too: fractions of
// seconds, Go's durations, and several values, of which the longest counts. A time
// that is over, or below zero, is none, and one that is too long to be meant is
// maxRetryAfter.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if date, err := http.ParseTime(value); err == nil {
		return sane(date.Sub(now))
	}
	longest := time.Duration(0)
	for part := range strings.SplitSeq(value, ",") {
		longest = max(longest, delay(strings.TrimSpace(part)))
	}
	return longest
}

// delay reads seconds, with a fraction or without, or a duration as Go writes them.
func delay(text string) time.Duration {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return saneSeconds(seconds)
	}
	if duration, err := time.ParseDuration(text); err == nil {
		return sane(duration)
	}
	return 0
}

func sane(d time.Duration) time.Duration { return min(max(d, 0), maxRetryAfter) }

// saneSeconds is sane for a number that may be none, or more than a duration holds.
func saneSeconds(seconds float64) time.Duration {
	if math.IsNaN(seconds) {
		return 0
	}
	return time.Duration(min(max(seconds, 0), maxRetryAfter.Seconds()) * float64(time.Second))
}

// hintPattern is GHCR's "retry-after: 1.17ms, allowed: 44000/minute", wherever it
// stands in the body.
var hintPattern = regexp.MustCompile(`(?i)retry-after\s*[:=]\s*"?([0-9][0-9.a-zµ]*)`)

// bodyHint is how long the body of a 429 asks to be left alone; 0 where it does not
// say.
func bodyHint(body []byte) time.Duration {
	found := hintPattern.FindSubmatch(body)
	if found == nil {
		return 0
	}
	return delay(strings.TrimRight(string(found[1]), "."))
}

// peek reads the beginning of a body, and leaves the body as it was.
func peek(resp *http.Response, most int64) []byte {
	if resp.Body == nil {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, most))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), resp.Body}
	return head
}

// failing is what is left of a body that could not be read.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// quota is what an answer tells of the requests that are left.
type quota struct {
	// remaining requests, where known says so.
	remaining int64
	known     bool
	// reset is how long until there are more; 0 where it does not say.
	reset time.Duration
}

// usedUp is true where nothing is left until a time that is told.
func (q quota) usedUp() bool { return q.known && q.remaining == 0 && q.reset > 0 }

// quotaOf reads the headers ratelimit-remaining and ratelimit-reset, or their x-
// spelling. Docker Hub writes 100;w=21600, where w is a window of seconds and not
// the time that is left of it, and has been seen to write ;w=21600. What cannot be
// read is as good as absent.
func quotaOf(header http.Header, now time.Time) quota {
	for _, prefix := range []string{"Ratelimit-", "X-Ratelimit-"} {
		remaining, ok := amount(header.Get(prefix + "Remaining"))
		if !ok {
			continue
		}
		is := quota{remaining: remaining, known: true}
		if reset, ok := amount(header.Get(prefix + "Reset")); ok {
			is.reset = resetIn(reset, now)
		}
		return is
	}
	return quota{}
}

// amount is the whole number at the beginning of a header, before parameters.
func amount(value string) (int64, bool) {
	number, _, _ := strings.Cut(value, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	return n, err == nil && n >= 0
}

// aDate is more than any number of seconds that somebody waits, and less than any
// date of today in Unix seconds, which some write into ratelimit-reset.
const aDate = 1_000_000_000

func resetIn(reset int64, now time.Time) time.Duration {
	if reset >= aDate {
		reset -= now.Unix()
	}
	return saneSeconds(float64(reset))
}
