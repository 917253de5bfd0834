// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxHosts is how many hosts have series of their own. A tenant who follows a
	// thousand hosts fills no monitoring system.
	maxHosts = 200
	// otherHosts is the label of all others, and of hosts that nobody follows.
	otherHosts = "other"
)

// The results of requests, as metrics call them.
const (
	resultOK           = "ok"
	resultAbsent       = "absent"
	resultUnauthorized = "unauthorized"
	resultForbidden    = "forbidden"
	resultThrottled    = "throttled"
	resultUnavailable  = "unavailable"
	resultInvalid      = "invalid"
)

// breakerState is the value of the metric of that name.
type breakerState int

const (
	breakerClosed   breakerState = iota // checks go as they are due
	breakerHalfOpen                     // one check finds out whether the host answers
	breakerOpen                         // checks wait for the next one that finds out
)

// lagBuckets reach from a check that begins in time to one that is an hour late, in
// seconds.
var lagBuckets = []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600}

// Metrics count what registries are asked; docs/metrics.md describes them. A nil
// *Metrics counts nothing. It is safe for concurrent use.
type Metrics struct {
	requests   *prometheus.CounterVec
	throttled  *prometheus.CounterVec
	remaining  *prometheus.GaugeVec
	breaker    *prometheus.GaugeVec
	lag        *prometheus.HistogramVec
	references prometheus.Gauge
	hints      *prometheus.CounterVec

	mu sync.Mutex
	// hosts that have series.
	hosts map[string]bool
}

// NewMetrics makes metrics and registers them. It panics where that was done with
// the same registerer before, as two kinds of numbers would be one.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	byHost := []string{"host"}
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "imagelineage_registry_requests_total",
			Help: "Requests to registries and their token servers, by the registry that was asked about.",
		}, []string{"host", "kind", "result"}),
		throttled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "imagelineage_registry_throttled_total",
			Help: "Requests that were answered 429.",
		}, byHost),
		remaining: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "imagelineage_registry_quota_remaining",
			Help: "Requests left in the registry's window, as its last answer that told said.",
		}, byHost),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "imagelineage_registry_breaker_state",
			Help: "Whether the registry's checks go as they are due (0), wait for the one that finds out whether it answers (1), or wait for the time of the next one (2).",
		}, byHost),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "imagelineage_poll_lag_seconds",
			Help:    "How long after its time a check began.",
			Buckets: lagBuckets,
		}, byHost),
		references: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "imagelineage_poll_references",
			Help: "References that are polled, each once for every credential.",
		}),
		hints: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "imagelineage_webhook_hints_total",
			Help: "Notifications from registries, by webhook and by what became of them.",
		}, []string{"source", "result"}),
		hosts: map[string]bool{},
	}
	registerer.MustRegister(m.requests, m.throttled, m.remaining, m.breaker, m.lag, m.references, m.hints)
	return m
}

// Hint counts a notification that came to a webhook. Both labels are the
// operator's own words: the name of a configured webhook, and one of a few results.
func (m *Metrics) Hint(source, result string) {
	if m != nil {
		m.hints.WithLabelValues(source, result).Inc()
	}
}

// request counts a request, by the status of its answer, 0 without one.
func (m *Metrics) request(host, kind string, status int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	host = m.label(host)
	result := resultOf(status)
	m.requests.WithLabelValues(host, kind, result).Inc()
	if result == resultThrottled {
		m.throttled.WithLabelValues(host).Inc()
	}
}

// quota keeps what is left, where an answer of a host with a series tells.
func (m *Metrics) quota(host string, q quota) {
	if m == nil || !q.known {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hosts[host] {
		m.remaining.WithLabelValues(host).Set(float64(q.remaining))
	}
}

// lagged keeps how late a check began.
func (m *Metrics) lagged(host string, by time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag.WithLabelValues(m.label(host)).Observe(by.Seconds())
}

// breakerIs keeps the state of a host with a series: states cannot be added up.
func (m *Metrics) breakerIs(host string, state breakerState) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hosts[host] {
		m.breaker.WithLabelValues(host).Set(float64(state))
	}
}

// polled keeps how many references are polled.
func (m *Metrics) polled(references int) {
	if m != nil {
		m.references.Set(float64(references))
	}
}

// followed gives a host series of its own, where there is room.
func (m *Metrics) followed(host string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.hosts) < maxHosts {
		m.hosts[host] = true
	}
}

// unfollowed removes a host's series.
func (m *Metrics) unfollowed(host string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hosts[host] {
		return
	}
	delete(m.hosts, host)
	of := prometheus.Labels{"host": host}
	m.requests.DeletePartialMatch(of)
	m.throttled.DeletePartialMatch(of)
	m.remaining.DeletePartialMatch(of)
	m.breaker.DeletePartialMatch(of)
	m.lag.DeletePartialMatch(of)
}

func (m *Metrics) label(host string) string {
	if m.hosts[host] {
		return host
	}
	return otherHosts
}

// resultOf tells what a status says; 0 is no answer.
func resultOf(status int) string {
	switch {
	case status == http.StatusNotFound:
		return resultAbsent
	case status == http.StatusUnauthorized:
		return resultUnauthorized
	case status == http.StatusForbidden:
		return resultForbidden
	case status == http.StatusTooManyRequests:
		return resultThrottled
	case status == 0, status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return resultUnavailable
	case status >= http.StatusBadRequest:
		return resultInvalid
	default:
		return resultOK
	}
}
