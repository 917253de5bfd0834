// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/imagelineage/imagelineage/api/v1alpha1"
)

// Class is what an error means to whoever asked.
type Class string

// The classes of errors.
const (
	// Absent: the registry says that the tag or manifest does not exist.
	Absent Class = "Absent"
	// Unauthorized: the registry wants other credentials, or they cannot be read.
	Unauthorized Class = "Unauthorized"
	// Forbidden: the registry knows who asks, and refuses.
	Forbidden Class = "Forbidden"
	// RateLimited: the registry wants to be asked less.
	RateLimited Class = "RateLimited"
	// Unavailable: no answer, or one that says to come back later.
	Unavailable Class = "Unavailable"
	// Invalid: an answer that cannot be used.
	Invalid Class = "Invalid"
)

// Error is what every function of this package fails with.
type Error struct {
	// Class of the error.
	Class Class
	// Host of the registry, as in canonical references; empty where no registry
	// was asked.
	Host string
	// Op is what was asked, such as "reading team/app:stable".
	Op string
	// Status is the HTTP status of the last answer, 0 without one.
	Status int
	// RetryAfter is how long the registry wants to be left alone; 0 where it does
	// not say.
	RetryAfter time.Duration

	cause   string
	context error // of the caller, so that errors.Is finds a cancellation
}

// Error names host, question and cause.
func (e *Error) Error() string {
	parts := []string{e.Host, e.Op, e.cause}
	if e.Host == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, ": ")
}

// Unwrap is the context's error where the caller's context ended, else nil:
// the errors of the network libraries quote addresses with their queries.
func (e *Error) Unwrap() error { return e.context }

// Reason is the API's reason for the condition Resolved.
func (e *Error) Reason() string {
	switch e.Class {
	case Absent:
		return v1alpha1.ReasonTagAbsent
	case Unauthorized, Forbidden:
		return v1alpha1.ReasonUnauthorized
	default:
		return v1alpha1.ReasonRegistryUnreachable
	}
}

// ClassOf is the class of an error of this package; empty for nil and for every
// other error.
func ClassOf(err error) Class {
	if of, ok := errors.AsType[*Error](err); ok {
		return of.Class
	}
	return ""
}

// maxRetryAfter is how long a registry is left alone at most because it says so.
// One that says a year would not be heard of again.
const maxRetryAfter = time.Hour

// RetryAfter is how long the registry of an error of this package wants to be
// left alone, one hour at most; 0 where it does not say, and for nil and every
// other error.
func RetryAfter(err error) time.Duration {
	if of, ok := errors.AsType[*Error](err); ok {
		return min(of.RetryAfter, maxRetryAfter)
	}
	return 0
}

// Silence says, of a registry that gave no answer at all, which it is and why: it is down,
// or hangs. It is empty for every other error, since a registry that answers that it has
// trouble may have it with one repository only. It names nothing that was asked for, so
// that it can be told to everybody who needs that registry.
func Silence(err error) string {
	of, ok := errors.AsType[*Error](err)
	if !ok || of.Class != Unavailable || of.Host == "" || of.Status != 0 {
		return ""
	}
	return of.Host + ": " + of.cause
}

// HostOf is the registry that an error tells of; empty where none was asked.
func HostOf(err error) string {
	if of, ok := errors.AsType[*Error](err); ok {
		return of.Host
	}
	return ""
}

// absentCodes are the error codes by which a 404 is the registry's own word. A
// bare 404 may come from a proxy, or from a registry that lost its storage. The
// first two are the distribution-spec's; Harbor says NOT_FOUND, and Quay
// TAG_EXPIRED, for the same.
var absentCodes = map[transport.ErrorCode]bool{
	transport.ManifestUnknownErrorCode: true,
	transport.NameUnknownErrorCode:     true,
	"NOT_FOUND":                        true,
	"TAG_EXPIRED":                      true,
}

// classify makes an Error of whatever an operation failed with, and of what was
// seen on the wire.
func classify(ctx context.Context, host, op string, err error, seen sighting) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	is := &Error{Host: host, Op: op, Status: seen.status, RetryAfter: seen.retryAfter}
	answered, ok := errors.AsType[*transport.Error](err)
	switch {
	case seen.refused != nil:
		is.Class, is.cause = Invalid, seen.refused.Error()
	case ok:
		is.Status = answered.StatusCode
		is.Class, is.cause = classOfStatus(answered)
	case ctx.Err() != nil:
		is.Class, is.cause, is.context = Unavailable, seen.where()+causeOfContext(ctx.Err()), ctx.Err()
	case seen.status == 0 || seen.failed || brokeOff(err):
		is.Class, is.cause = Unavailable, seen.where()+causeOfNetwork(err)
	case seen.status == http.StatusTooManyRequests || seen.status >= http.StatusInternalServerError:
		// The library wanted to read more of the answer than it could.
		is.Class, is.cause = classOfStatus(&transport.Error{StatusCode: seen.status})
	default:
		is.Class, is.cause = Invalid, "the answer is not that of a registry, or is damaged"
	}
	if is.Class != RateLimited && is.Class != Unavailable {
		is.RetryAfter = 0
	}
	return is
}

// where begins the cause of a failure that is not the registry's own.
func (s sighting) where() string {
	if s.failed && s.abroad {
		return "the host that it sends clients on to: "
	}
	return ""
}

func classOfStatus(e *transport.Error) (Class, string) {
	said := strings.TrimSpace(fmt.Sprintf("it answers %d %s", e.StatusCode, http.StatusText(e.StatusCode)))
	switch code := e.StatusCode; {
	case code == http.StatusNotFound && saysAbsent(e):
		return Absent, "it does not exist"
	case code == http.StatusNotFound:
		return Invalid, said + ", and not in the words of a registry"
	case code == http.StatusUnauthorized:
		return Unauthorized, said + ": credentials are missing or wrong"
	case code == http.StatusForbidden:
		return Forbidden, said + ": the credentials do not allow it"
	case code == http.StatusTooManyRequests:
		return RateLimited, said
	case code == http.StatusRequestTimeout, code >= http.StatusInternalServerError:
		return Unavailable, said
	default:
		return Invalid, said
	}
}

func saysAbsent(e *transport.Error) bool {
	for _, said := range e.Errors {
		if absentCodes[said.Code] {
			return true
		}
	}
	return false
}

// brokeOff is true where an answer began and did not end.
func brokeOff(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func causeOfContext(err error) string {
	if errors.Is(err, context.Canceled) {
		return "was given up"
	}
	return "no answer in time"
}

// causeOfNetwork says in our words why a connection failed. The libraries' words
// hold whole URLs.
func causeOfNetwork(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "the host name does not exist"
		}
		return "the host name cannot be resolved"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is signed by an unknown authority; an administrator can have it trusted in the operator's configuration"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not valid for the host"
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return "no answer in time"
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak HTTPS; plain HTTP has to be allowed in the operator's configuration"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection broke off"
	default:
		return "the connection failed"
	}
}
