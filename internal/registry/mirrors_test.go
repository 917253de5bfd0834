// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/reference"
	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// mirrored is a registry and its mirror, where repositories are below cache/. Both
// have the tag, each with an image of its own.
type mirrored struct {
	origin, mirror *registrytest.Registry
	ref            reference.Reference
	// digests of the tag at the origin and at the mirror.
	here, there string
	clock       *clocktesting.FakeClock
	client      *registry.Client
}

func newMirrored(t *testing.T) *mirrored {
	t.Helper()
	m := &mirrored{origin: registrytest.New(t), mirror: registrytest.New(t), clock: clocktesting.NewFakeClock(time.Now())}
	m.ref = m.origin.Reference(t, "team/app:stable")
	m.here = m.origin.Push(t, m.ref)
	m.there = m.mirror.Push(t, m.mirror.Reference(t, "cache/team/app:stable"))
	m.client = registry.NewClient(registry.Options{
		Rules: m.mirrors(m.mirror.Host + "/cache/"), Clock: m.clock, Timeout: 2 * time.Second,
	})
	return m
}

// mirrors are rules by which these are asked before the origin.
func (m *mirrored) mirrors(mirrors ...string) registry.Rules {
	hosts := []string{m.origin.Host, m.mirror.Host}
	for _, mirror := range mirrors {
		host, _, _ := strings.Cut(mirror, "/")
		hosts = append(hosts, host)
	}
	rules := registry.Rules{Hosts: []registry.HostRule{{Host: m.origin.Host, Mirrors: mirrors}}}
	return rules.WithPlainHTTP(hosts...)
}

// configure puts rules into force.
func (m *mirrored) configure(t *testing.T, rules registry.Rules) {
	t.Helper()
	if err := m.client.Configure(rules); err != nil {
		t.Fatal(err)
	}
}

// head asks for the tag, and returns how many requests that took at either.
func (m *mirrored) head(t *testing.T, want string, auth registry.Keychain) (atMirror, atOrigin int) {
	t.Helper()
	m.mirror.ResetRequests()
	m.origin.ResetRequests()
	if got, err := m.client.Head(t.Context(), m.ref, auth); err != nil || got != want {
		t.Errorf("Head = %s, %v; want %s", got, err, want)
	}
	return m.mirror.Requests("", ""), m.origin.Requests("", "")
}

func TestMirrorIsAskedFirst(t *testing.T) {
	m := newMirrored(t)
	m.head(t, m.there, anonymous)
	for range 3 {
		if atMirror, atOrigin := m.head(t, m.there, anonymous); atMirror != 1 || atOrigin != 0 {
			t.Errorf("%d requests at the mirror and %d at the origin, want 1 and 0", atMirror, atOrigin)
		}
	}
	if got, err := m.client.Describe(t.Context(), m.ref, m.there, registry.Detail{}, anonymous); err != nil || got.Digest != m.there {
		t.Errorf("Describe = %+v, %v", got, err)
	}
	if n := m.origin.Requests("", ""); n != 0 {
		t.Errorf("%d requests at the origin", n)
	}
}

// TestMirrorWithoutAnAnswer: the origin answers, and the mirror is passed over for a
// minute.
func TestMirrorWithoutAnAnswer(t *testing.T) {
	tests := map[string]struct {
		intercept func(http.ResponseWriter, *http.Request) bool
		// wantOther is whether another tag is asked for there meanwhile.
		wantOther bool
		wantPause time.Duration
	}{
		"it does not have the tag": {
			intercept: func(w http.ResponseWriter, req *http.Request) bool {
				if !strings.HasSuffix(req.URL.Path, "/stable") {
					return false
				}
				registrytest.Refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
				return true
			},
			wantOther: true, wantPause: time.Minute,
		},
		"it refuses":         {intercept: bare(http.StatusForbidden), wantOther: true, wantPause: time.Minute},
		"it is a login page": {intercept: webPage, wantOther: true, wantPause: time.Minute},
		"it has trouble":     {intercept: bare(http.StatusBadGateway), wantOther: true, wantPause: time.Minute},
		"it wants to be left alone": {
			intercept: bare(http.StatusTooManyRequests, "Retry-After", "120"), wantPause: 2 * time.Minute,
		},
		"it breaks off": {
			intercept: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, wantPause: time.Minute,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMirrored(t)
			m.mirror.Intercept(tt.intercept)
			if atMirror, atOrigin := m.head(t, m.here, anonymous); atMirror == 0 || atOrigin == 0 {
				t.Errorf("%d requests at the mirror and %d at the origin", atMirror, atOrigin)
			}
			m.clock.SetTime(m.clock.Now().Add(tt.wantPause - time.Second))
			if atMirror, atOrigin := m.head(t, m.here, anonymous); atMirror != 0 || atOrigin != 1 {
				t.Errorf("in the pause %d requests at the mirror and %d at the origin, want 0 and 1", atMirror, atOrigin)
			}
			other := m.origin.Reference(t, "team/app:other")
			_, _ = m.client.Head(t.Context(), other, anonymous)
			if asked := m.mirror.Requests("", "") > 0; asked != tt.wantOther {
				t.Errorf("another tag is asked for at the mirror: %v, want %v", asked, tt.wantOther)
			}
			m.mirror.Recover()
			m.clock.SetTime(m.clock.Now().Add(time.Second))
			m.head(t, m.there, anonymous)
		})
	}
}

// TestMirrorLimitsACredential: it is asked on as somebody else.
func TestMirrorLimitsACredential(t *testing.T) {
	m := newMirrored(t)
	m.mirror.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		user, _, _ := req.BasicAuth()
		switch {
		case user == "me":
			return throttles("120")(w, req)
		case user == "" && req.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	})
	m.head(t, m.here, keychain(t, m.mirror.Host, "me", "word"))
	if atMirror, _ := m.head(t, m.here, keychain(t, m.mirror.Host, "me", "word")); atMirror != 0 {
		t.Errorf("%d requests more as the one who is limited", atMirror)
	}
	m.head(t, m.there, keychain(t, m.mirror.Host, "you", "word"))
}

func TestMirrorsInTheirOrder(t *testing.T) {
	m := newMirrored(t)
	down := registrytest.New(t)
	m.configure(t, m.mirrors(down.Host, m.mirror.Host+"/cache"))
	if _, atOrigin := m.head(t, m.there, anonymous); atOrigin != 0 {
		t.Errorf("%d requests at the origin", atOrigin)
	}
	if atMirror, _ := m.head(t, m.there, anonymous); atMirror != 1 {
		t.Errorf("%d requests at the second mirror, want 1", atMirror)
	}
}

// TestTheOriginsErrorIsTold: a mirror is the administrator's affair.
func TestTheOriginsErrorIsTold(t *testing.T) {
	m := newMirrored(t)
	m.mirror.Intercept(bare(http.StatusBadGateway))
	m.origin.Delete(t, m.ref)
	_, err := m.client.Head(t.Context(), m.ref, anonymous)
	if registry.ClassOf(err) != registry.Absent || registry.HostOf(err) != m.origin.Host {
		t.Errorf("error %v of %s", err, registry.HostOf(err))
	}
}

// TestMirrorGetsItsOwnCredentials, and never the origin's.
func TestMirrorGetsItsOwnCredentials(t *testing.T) {
	everyLogin(t, func(t *testing.T, token bool) {
		t.Helper()
		m := newMirrored(t)
		there := registrytest.Login{User: "there", Password: "word", Path: "cache/team"}
		atMirror := m.mirror.RequireLogin(token, there)
		atOrigin := m.origin.RequireLogin(token, me)
		m.head(t, m.here, keychain(t, m.origin.Host, "me", "word"))
		if atMirror.Came("me") != 0 || atOrigin.Came("me") == 0 {
			t.Error("the mirror was shown the origin's credentials, or the origin was not")
		}
		both := keychain(t, m.origin.Host, "me", "word", m.mirror.Host+"/cache/team", "there", "word")
		m.head(t, m.there, both)
		if a, o := m.head(t, m.there, both); a != 1 || o != 0 || atOrigin.Came("there") != 0 {
			t.Errorf("%d requests at the mirror and %d at the origin, want 1 and 0", a, o)
		}
	})
}

// TestMirrorIsNotAskedForAPublish: what is confirmed before is the origin's word, too.
func TestMirrorIsNotAskedForAPublish(t *testing.T) {
	m := newMirrored(t)
	made := m.origin.Push(t, m.ref.WithTag("made"))
	if got, err := m.client.Confirm(t.Context(), m.ref, anonymous); err != nil || got != m.here {
		t.Errorf("Confirm = %s, %v; want %s", got, err, m.here)
	}
	if err := m.client.MayPush(t.Context(), m.ref, anonymous); err != nil {
		t.Error(err)
	}
	if got, err := m.client.Publish(t.Context(), m.ref, made, m.here, anonymous); err != nil || got.Outcome != registry.Moved {
		t.Errorf("Publish = %+v, %v", got, err)
	}
	if n := m.mirror.Requests("", ""); n != 0 {
		t.Errorf("%d requests at the mirror", n)
	}
}

// TestCopiesAreReadAtMirrors: where a tag is looked up, the image is read, too; and what a
// mirror has not, or not all of, comes from the next place.
func TestCopiesAreReadAtMirrors(t *testing.T) {
	tests := map[string]struct {
		// atMirror is whether the image is at the mirror, and fails what that answers.
		atMirror bool
		fails    func(http.ResponseWriter, *http.Request) bool
		// gone is set where the origin has nothing.
		gone       bool
		wantClass  registry.Class
		wantOrigin bool // asked
		wantMirror bool // asked for the tag afterwards
	}{
		"a mirror that has it":                          {atMirror: true, wantMirror: true},
		"a mirror that has it, and the origin does not": {atMirror: true, gone: true, wantMirror: true},
		"a mirror without it":                           {wantOrigin: true, wantMirror: true},
		"a mirror without one of its layers": {
			atMirror: true, fails: on("GET", "/blobs/", refusing(404, "BLOB_UNKNOWN")), wantOrigin: true, wantMirror: true,
		},
		"a mirror that is down": {
			atMirror: true, fails: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, wantOrigin: true,
		},
		"nobody has it": {gone: true, wantOrigin: true, wantClass: registry.Absent, wantMirror: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			origin, mirror, target := registrytest.New(t), registrytest.New(t), registrytest.New(t)
			o := newOriginal(t, origin, true)
			if tt.atMirror {
				atMirror := newOriginal(t, mirror, true)
				if atMirror.digest != o.digest {
					t.Fatal("the images differ")
				}
			}
			if tt.gone {
				origin.Intercept(on("GET", "/manifests/", refusing(404, "MANIFEST_UNKNOWN")))
			}
			mirror.Intercept(tt.fails)
			rules := registry.Rules{Hosts: []registry.HostRule{{Host: origin.Host, Mirrors: []string{mirror.Host}}}}
			client := registry.NewClient(registry.Options{Rules: rules.WithPlainHTTP(origin.Host, mirror.Host, target.Host), Timeout: 5 * time.Second})
			to := target.Reference(t, "mirror/app")
			_, err := o.copy(client, to)
			if registry.ClassOf(err) != tt.wantClass {
				t.Fatalf("error %v, want class %q", err, tt.wantClass)
			}
			if err != nil && registry.HostOf(err) != origin.Host {
				t.Errorf("error %v, want the origin's", err)
			}
			if asked := origin.Requests("", "") > 0; asked != tt.wantOrigin {
				t.Errorf("the origin is asked: %v", asked)
			}
			if err == nil {
				if missing := o.missing(target, to); len(missing) > 0 {
					t.Errorf("the copy lacks %v", missing)
				}
			}
			mirror.ResetRequests()
			_, _ = client.Head(t.Context(), o.ref, anonymous)
			if asked := mirror.Requests("", "") > 0; asked != tt.wantMirror {
				t.Errorf("the tag is looked up at the mirror: %v", asked)
			}
		})
	}
}
