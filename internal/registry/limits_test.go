// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestLimits(t *testing.T) {
	hub := func(string) HostRule { return HostRule{RequestsPerSecond: 10, AnonymousRequestsPerSecond: 1} }
	known, anonymous := account{host: "docker.io"}, account{host: "docker.io", anonymous: true}
	type charges struct {
		to account
		n  int
	}
	tests := map[string]struct {
		rule    func(string) HostRule
		charged []charges
		later   time.Duration
		asked   account
		want    time.Duration
	}{
		"a host that was not asked is asked at once":              {rule: hub, asked: known},
		"a request costs its token":                               {rule: hub, charged: []charges{{known, 1}}, asked: known, want: 100 * time.Millisecond},
		"the token is back in time":                               {rule: hub, charged: []charges{{known, 1}}, later: 100 * time.Millisecond, asked: known},
		"what went without tokens is debt":                        {rule: hub, charged: []charges{{known, 8}}, asked: known, want: 800 * time.Millisecond},
		"debt is paid in time":                                    {rule: hub, charged: []charges{{known, 8}}, later: 790 * time.Millisecond, asked: known, want: 10 * time.Millisecond},
		"nobody waits longer than a minute for what others asked": {rule: hub, charged: []charges{{known, 10_000}}, asked: known, want: 60100 * time.Millisecond},
		"nor the anonymous":                                       {rule: hub, charged: []charges{{anonymous, 10_000}}, asked: anonymous, want: 61 * time.Second},
		"or than for ten requests":                                {rule: func(string) HostRule { return HostRule{RequestsPerSecond: 0.01} }, charged: []charges{{known, 10_000}}, asked: known, want: 1100 * time.Second},
		"nothing is saved up for later":                           {rule: hub, charged: []charges{{known, 1}}, later: time.Hour, asked: known},
		"the anonymous have a rate of their own":                  {rule: hub, charged: []charges{{anonymous, 1}}, asked: anonymous, want: time.Second},
		"and count as requests to the host":                       {rule: hub, charged: []charges{{anonymous, 1}}, asked: known, want: 100 * time.Millisecond},
		"who has a credential does not hold up the slow":          {rule: hub, charged: []charges{{known, 1}}, later: 100 * time.Millisecond, asked: anonymous},
		"another host is another matter":                          {rule: hub, charged: []charges{{known, 8}}, asked: account{host: "quay.io"}},
		"without a rule there is no limit":                        {rule: func(string) HostRule { return HostRule{} }, charged: []charges{{known, 1000}}, asked: anonymous},
		"a fast host may be asked a tenth of a second ahead":      {rule: func(string) HostRule { return HostRule{RequestsPerSecond: 100} }, charged: []charges{{known, 9}}, asked: known},
		"and no more":              {rule: func(string) HostRule { return HostRule{RequestsPerSecond: 100} }, charged: []charges{{known, 10}}, asked: known, want: 10 * time.Millisecond},
		"a slow host is asked too": {rule: func(string) HostRule { return HostRule{RequestsPerSecond: 0.01} }, charged: []charges{{known, 1}}, asked: known, want: 100 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
			limits := NewLimits(tt.rule, clock)
			for _, c := range tt.charged {
				for range c.n {
					limits.charge(c.to)
				}
			}
			clock.SetTime(clock.Now().Add(tt.later))
			if got := limits.wait(tt.asked, clock.Now()).Round(time.Microsecond); got != tt.want {
				t.Errorf("wait = %s, want %s", got, tt.want)
			}
		})
	}
}

// TestLimitsKeepTheirWord: after the wait that was told there is a token, whatever the
// rate, and whatever the fractions.
func TestLimitsKeepTheirWord(t *testing.T) {
	for _, rate := range []float64{0.003, 0.7, 1, 3, 9.99, 10, 97, 1000} {
		clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 123_456_789))
		limits := NewLimits(func(string) HostRule { return HostRule{RequestsPerSecond: rate} }, clock)
		begun := clock.Now()
		const checks = 1000
		for range checks {
			clock.SetTime(clock.Now().Add(limits.wait(account{}, clock.Now())))
			if again := limits.wait(account{}, clock.Now()); again != 0 {
				t.Fatalf("at %v a second: %s more after the wait", rate, again)
			}
			limits.charge(account{})
		}
		if per := checks / clock.Now().Sub(begun).Seconds(); per > rate*1.12 || per < rate*0.99 {
			t.Errorf("at %v a second: %v a second", rate, per)
		}
	}
}

func TestLimitsFollowTheRule(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
	rate := 0.1
	limits := NewLimits(func(string) HostRule { return HostRule{RequestsPerSecond: rate} }, clock)
	a := account{host: "quay.io"}
	limits.charge(a)
	if got := limits.wait(a, clock.Now()).Round(time.Microsecond); got != 10*time.Second {
		t.Errorf("wait = %s, want 10 s", got)
	}
	rate = 10
	if got := limits.wait(a, clock.Now()).Round(time.Microsecond); got != 100*time.Millisecond {
		t.Errorf("wait = %s by the new rule, want 100 ms", got)
	}
	rate = 0
	if got := limits.wait(a, clock.Now()); got != 0 {
		t.Errorf("wait = %s without a rule", got)
	}
}

func TestBucketsDoNotPileUp(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
	limits := NewLimits(func(string) HostRule { return HostRule{RequestsPerSecond: 1} }, clock)
	inDebt := account{host: "in-debt.example"}
	for i := range 10 * sweepAt {
		limits.charge(inDebt)
		limits.charge(inDebt)
		limits.charge(account{host: fmt.Sprintf("host-%d.example", i)})
		clock.SetTime(clock.Now().Add(time.Second))
	}
	if n := len(limits.buckets); n > 2*sweepAt {
		t.Errorf("%d buckets are kept", n)
	}
	if limits.wait(inDebt, clock.Now()) == 0 {
		t.Error("a debt was forgotten")
	}
}
