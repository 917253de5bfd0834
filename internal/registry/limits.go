// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

const (
	// burstSeconds is how much of its rate a host may be asked at once. A tenth of a
	// second evens out timers that fire late, and keeps what is due together from
	// coming together: at the rate of public hosts a burst is one request.
	burstSeconds = 0.1
	// nearlyOne is what counts as a token, and soonOne what is waited for. Tokens are
	// fractions, and a check that was told when there will be one must not be told to
	// wait a nanosecond more.
	nearlyOne = 1 - 1e-6
	soonOne   = 1 - 1e-9
	// maxDebt is the rate of a minute, and leastDebt how many requests may be owed at
	// any rate. However much people, builds and copies ask a host, a check waits no
	// longer for it than that.
	maxDebt   = time.Minute
	leastDebt = 10
	// sweepAt is how many buckets are kept before full ones are dropped: a full
	// bucket is as good as a new one.
	sweepAt = 256
)

// account is who a request is charged to: a host, and whether it is asked without
// a credential. The host is that of the question, as in canonical references; the
// request itself may go to a token server.
type account struct {
	host      string
	anonymous bool
}

// Limits keep each host's rate of requests, for a Client and a Poller together.
//
// Every request that the client makes is charged to the host of its question. What people
// and cascades wait for waits for nothing. The poller begins a check only when there is a
// token for its first request. So publishing comes at once, and polling makes up for it
// afterwards. Copies wait for tokens of their own, of which there are half as many: polling
// always has the other half.
//
// Checks are held to HostRule.RequestsPerSecond by all requests that were charged, and
// those that were answered without a credential the last time, whether or not their
// Secrets hold one, to AnonymousRequestsPerSecond besides. What a mirror answered the
// last time waits for the mirror's rate alone, and goes no further in its turn; what it
// did not waits for the origin's, and is asked for at the mirror on the way.
//
// A nil *Limits limits nothing. It is safe for concurrent use.
type Limits struct {
	rule  func(host string) HostRule
	clock clock.PassiveClock

	mu      sync.Mutex
	buckets map[account]*rate.Limiter
	sweepAt int
}

// NewLimits makes limits by the rules of hosts. The function is called for each
// request, from several goroutines at once; what it answers may change, and counts
// from then on: call Poller.RulesChanged to have that looked at.
func NewLimits(rule func(host string) HostRule, clock clock.PassiveClock) *Limits {
	return &Limits{rule: rule, clock: clock, buckets: map[account]*rate.Limiter{}, sweepAt: sweepAt}
}

// half are limits of half of each host's rate.
func (l *Limits) half() *Limits {
	if l == nil {
		return nil
	}
	return NewLimits(func(host string) HostRule {
		rule := l.rule(host)
		rule.RequestsPerSecond /= 2
		rule.AnonymousRequestsPerSecond /= 2
		return rule
	}, l.clock)
}

// charge takes a token for a request that is made anyway. Where there is none, the
// bucket is in debt; what is more than maxDebt is let off.
func (l *Limits) charge(a account) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	for _, bucket := range l.bucketsOf(a, now) {
		if bucket.TokensAt(now) > -max(leastDebt, float64(bucket.Limit())*maxDebt.Seconds()) {
			bucket.ReserveN(now, 1)
		}
	}
}

// wait is how long until there is a token for a check; 0 is now.
func (l *Limits) wait(a account, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := time.Duration(0)
	for _, bucket := range l.bucketsOf(a, now) {
		if tokens := bucket.TokensAt(now); tokens < nearlyOne {
			seconds := (soonOne - tokens) / float64(bucket.Limit())
			longest = max(longest, time.Duration(math.Ceil(seconds*float64(time.Second))))
		}
	}
	return longest
}

// bucketsOf are the buckets that an account draws on, by the rules of now.
func (l *Limits) bucketsOf(a account, now time.Time) []*rate.Limiter {
	rule := l.rule(a.host)
	var buckets []*rate.Limiter
	if rule.RequestsPerSecond > 0 {
		buckets = append(buckets, l.bucket(account{host: a.host}, rule.RequestsPerSecond, now))
	}
	if anonymous := rule.AnonymousRequestsPerSecond; a.anonymous && anonymous > 0 && anonymous < rule.RequestsPerSecond {
		buckets = append(buckets, l.bucket(a, anonymous, now))
	}
	return buckets
}

func (l *Limits) bucket(key account, perSecond float64, now time.Time) *rate.Limiter {
	limit, burst := rate.Limit(perSecond), max(1, int(perSecond*burstSeconds))
	bucket, ok := l.buckets[key]
	if !ok {
		l.sweep(now)
		bucket = rate.NewLimiter(limit, burst)
		l.buckets[key] = bucket
		return bucket
	}
	if bucket.Limit() != limit {
		bucket.SetLimitAt(now, limit)
		bucket.SetBurstAt(now, burst)
	}
	return bucket
}

// sweep drops full buckets, once there are twice as many as were left last time.
func (l *Limits) sweep(now time.Time) {
	if len(l.buckets) < l.sweepAt {
		return
	}
	for key, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = max(sweepAt, 2*len(l.buckets))
}
