// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry_test

import (
	"net/http"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/imagelineage/imagelineage/internal/registry"
	"github.com/imagelineage/imagelineage/internal/registry/registrytest"
)

// everyLogin runs a test at a registry that wants a password with each request, and at
// one that gives tokens.
func everyLogin(t *testing.T, test func(t *testing.T, token bool)) {
	t.Helper()
	t.Run("basic", func(t *testing.T) { test(t, false) })
	t.Run("token", func(t *testing.T) { test(t, true) })
}

var (
	me       = registrytest.Login{User: "me", Password: "word"}
	reader   = registrytest.Login{User: "reader", Password: "word", ReadOnly: true}
	teamOnly = registrytest.Login{User: "team", Password: "word", Path: "team/"}
	public   = registrytest.Login{ReadOnly: true}
)

// TestCandidatesInTurn: what is refused leaves it to the next, once; from then on a
// check is one request.
func TestCandidatesInTurn(t *testing.T) {
	tests := map[string]struct {
		logins []registrytest.Login
		image  string
		// keys are what the Secrets hold: address behind the host, user and password in turn.
		keys      []string
		absent    bool
		wantClass registry.Class
		// wantCame is how often users showed a password before the steady state; in
		// the steady state only the last of wantUser comes.
		wantOnce []string
		wantUser string
	}{
		"the only one": {
			logins: []registrytest.Login{me}, keys: []string{"", "me", "word"}, wantUser: "me",
		},
		"two for one host, and the first is wrong": {
			logins: []registrytest.Login{me}, keys: []string{"", "gone", "word", "", "me", "word"},
			wantOnce: []string{"gone"}, wantUser: "me",
		},
		"two for one host, and the first is for other repositories": {
			logins: []registrytest.Login{me, teamOnly}, image: "other/app:stable",
			keys: []string{"", "team", "word", "", "me", "word"}, wantOnce: []string{"team"}, wantUser: "me",
		},
		"one for the repository's path comes before one for its host": {
			logins: []registrytest.Login{me, teamOnly}, keys: []string{"", "me", "word", "/team", "team", "word"}, wantUser: "team",
		},
		"one for another path is not shown": {
			logins: []registrytest.Login{me, teamOnly}, image: "other/app:stable",
			keys: []string{"/team", "team", "word", "", "me", "word"}, wantUser: "me",
		},
		"anonymously at last": {
			logins: []registrytest.Login{public}, keys: []string{"", "gone", "word", "", "lost", "word"},
			wantOnce: []string{"gone", "lost"}, wantUser: "",
		},
		"a tag that does not exist, by the word of the second": {
			logins: []registrytest.Login{me}, keys: []string{"", "gone", "word", "", "me", "word"}, absent: true,
			wantClass: registry.Absent, wantOnce: []string{"gone"}, wantUser: "me",
		},
		"all are refused: the first one's error is told": {
			logins: []registrytest.Login{teamOnly}, image: "other/app:stable",
			keys: []string{"", "team", "word", "", "gone", "word"}, wantClass: registry.Forbidden,
		},
		"what the anonymous hear of a tag does not count after a wrong password": {
			logins: []registrytest.Login{public}, keys: []string{"", "gone", "word"}, absent: true, wantClass: registry.Unauthorized,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			everyLogin(t, func(t *testing.T, token bool) {
				t.Helper()
				r := registrytest.New(t)
				if tt.image == "" {
					tt.image = "team/app:stable"
				}
				ref := r.Reference(t, tt.image)
				digest := r.Push(t, ref)
				if tt.absent {
					r.Delete(t, ref)
					digest = ""
				}
				door := r.RequireLogin(token, tt.logins...)
				client, auth := newClient(r.Host), keychain(t, atHost(r.Host, tt.keys)...)
				head := func() {
					t.Helper()
					got, err := client.Head(t.Context(), ref, auth)
					if got != digest || registry.ClassOf(err) != tt.wantClass {
						t.Fatalf("Head = %q, %v; want %q, class %q", got, err, digest, tt.wantClass)
					}
				}
				if tt.wantClass != "" {
					digest = ""
				}
				head()
				if tt.wantClass != "" && tt.wantClass != registry.Absent {
					return
				}
				came := map[string]int{}
				for _, user := range tt.wantOnce {
					came[user] = door.Came(user)
				}
				for range 3 {
					r.ResetRequests()
					head()
					want := 1
					if tt.absent {
						want = 2 // HEAD says too little of what is absent
					}
					if n := r.Requests("", ""); n != want {
						t.Errorf("%d requests for a check, want %d", n, want)
					}
				}
				for user, before := range came {
					if after := door.Came(user); before == 0 || after != before {
						t.Errorf("%s came %d times, and then %d", user, before, after)
					}
				}
				if door.Came(tt.wantUser) == 0 {
					t.Errorf("%q never came", tt.wantUser)
				}
			})
		})
	}
}

// atHost puts the host before the addresses of keys.
func atHost(host string, keys []string) []string {
	full := append([]string(nil), keys...)
	for i := 0; i < len(full); i += 3 {
		full[i] = host + full[i]
	}
	return full
}

// TestChoiceIsRefused: what worked and is refused begins again with the first, and each
// is tried once.
func TestChoiceIsRefused(t *testing.T) {
	everyLogin(t, func(t *testing.T, token bool) {
		t.Helper()
		r := registrytest.New(t)
		ref := r.Reference(t, "team/app:stable")
		r.Push(t, ref)
		r.RequireLogin(token, me)
		client := newClient(r.Host)
		auth := keychain(t, atHost(r.Host, []string{"", "first", "word", "", "me", "word"})...)
		if _, err := client.Head(t.Context(), ref, auth); err != nil {
			t.Fatal(err)
		}
		r.RequireLogin(token, registrytest.Login{User: "first", Password: "word"})
		if _, err := client.Head(t.Context(), ref, auth); err != nil {
			t.Fatal(err)
		}
		door := r.RequireLogin(token, registrytest.Login{User: "somebody", Password: "else"})
		if _, err := client.Head(t.Context(), ref, auth); registry.ClassOf(err) != registry.Unauthorized {
			t.Fatalf("error %v", err)
		}
		if n := door.Came("me"); n != 1 {
			t.Errorf("me came %d times, want once", n)
		}
	})
}

// TestOnlyWhoIsLetInIsChosen: that a registry had no time for a candidate says nothing of
// the ones before.
func TestOnlyWhoIsLetInIsChosen(t *testing.T) {
	for name, status := range map[string]int{
		"it limits the second": http.StatusTooManyRequests, "it has trouble": http.StatusBadGateway,
	} {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ref := r.Reference(t, "team/app:stable")
			digest := r.Push(t, ref)
			r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
				switch user, _, basic := req.BasicAuth(); {
				case !basic:
					w.Header().Set("WWW-Authenticate", "Basic")
					registrytest.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
				case user == "first":
					registrytest.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
				default:
					w.WriteHeader(status)
				}
				return true
			})
			client := newClient(r.Host)
			auth := keychain(t, atHost(r.Host, []string{"", "first", "word", "", "me", "word"})...)
			if _, err := client.Head(t.Context(), ref, auth); err == nil {
				t.Fatal("there was an answer")
			}
			door := r.RequireLogin(false, registrytest.Login{User: "first", Password: "word"}, me)
			if got, err := client.Head(t.Context(), ref, auth); err != nil || got != digest {
				t.Fatalf("Head = %s, %v; want %s", got, err, digest)
			}
			if first, second := door.Came("first"), door.Came("me"); first == 0 || second != 0 {
				t.Errorf("the first came %d times and the second %d, want the first, which is let in by now", first, second)
			}
		})
	}
}

// TestChoiceEndsWithTheSession: a first credential that was mended at the registry
// is found again.
func TestChoiceEndsWithTheSession(t *testing.T) {
	r := registrytest.New(t)
	ref := r.Reference(t, "team/app:stable")
	r.Push(t, ref)
	door := r.RequireLogin(false, me)
	clock := clocktesting.NewFakeClock(time.Now())
	client := registry.NewClient(registry.Options{Rules: plainHTTP(r.Host), Clock: clock})
	auth := keychain(t, atHost(r.Host, []string{"", "first", "word", "", "me", "word"})...)
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {11 * time.Hour, 1}, {2 * time.Hour, 2}, {time.Hour, 2}} {
		clock.SetTime(clock.Now().Add(tt.after))
		if _, err := client.Head(t.Context(), ref, auth); err != nil {
			t.Fatal(err)
		}
		if n := door.Came("first"); n != tt.want {
			t.Errorf("%v later: first came %d times, want %d", tt.after, n, tt.want)
		}
	}
}

// TestPushInTurn: who may read and not write leaves it to the next; without a name
// nobody is let push whose name was refused.
func TestPushInTurn(t *testing.T) {
	tests := map[string]struct {
		logins    []registrytest.Login
		keys      []string
		wantClass registry.Class
		wantCame  int // without a name
	}{
		"one that may only read leaves it to the next": {
			logins: []registrytest.Login{reader, me}, keys: []string{"", "reader", "word", "", "me", "word"},
		},
		"a wrong one leaves it to the next": {
			logins: []registrytest.Login{me}, keys: []string{"", "gone", "word", "", "me", "word"},
		},
		"all may only read: the first one's error is told": {
			logins: []registrytest.Login{reader}, keys: []string{"", "reader", "word", "", "gone", "word"},
			wantClass: registry.Forbidden,
		},
		"anonymously never after a wrong one": {
			logins: []registrytest.Login{{}}, keys: []string{"", "gone", "word"}, wantClass: registry.Unauthorized,
		},
		"anonymously where there is no other": {logins: []registrytest.Login{{}}, wantCame: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			everyLogin(t, func(t *testing.T, token bool) {
				t.Helper()
				r := registrytest.New(t)
				ref := r.Reference(t, "team/app:stable")
				old, made := r.Push(t, ref), r.Push(t, ref.WithTag("made"))
				door := r.RequireLogin(token, tt.logins...)
				client, auth := newClient(r.Host), keychain(t, atHost(r.Host, tt.keys)...)
				if err := client.MayPush(t.Context(), ref, auth); registry.ClassOf(err) != tt.wantClass {
					t.Errorf("MayPush: %v, want class %q", err, tt.wantClass)
				}
				published, err := client.Publish(t.Context(), ref, made, old, auth)
				if registry.ClassOf(err) != tt.wantClass {
					t.Errorf("Publish: %v, want class %q", err, tt.wantClass)
				}
				want := made
				if tt.wantClass != "" {
					want = old
				} else if published.Outcome != registry.Moved {
					t.Errorf("Publish = %+v", published)
				}
				if got := r.Digest(t, ref); got != want {
					t.Errorf("the tag shows %s, want %s", got, want)
				}
				if n := door.Came(""); (n > 0) != (tt.wantCame > 0) {
					t.Errorf("somebody came %d times without a name", n)
				}
			})
		})
	}
}

// TestWrongPasswordIsNotShownAgain: neither to read nor to push, where another one works.
func TestWrongPasswordIsNotShownAgain(t *testing.T) {
	everyLogin(t, func(t *testing.T, token bool) {
		t.Helper()
		r := registrytest.New(t)
		ref := r.Reference(t, "team/app:stable")
		old, made := r.Push(t, ref), r.Push(t, ref.WithTag("made"))
		door := r.RequireLogin(token, me)
		client := newClient(r.Host)
		auth := keychain(t, atHost(r.Host, []string{"", "gone", "word", "", "me", "word"})...)
		if err := client.MayPush(t.Context(), ref, auth); err != nil {
			t.Fatal(err)
		}
		before := door.Came("gone")
		for _, digest := range []string{made, old, made} {
			if _, err := client.Publish(t.Context(), ref, digest, r.Digest(t, ref), auth); err != nil {
				t.Fatal(err)
			}
		}
		if after := door.Came("gone"); before != 1 || after != before {
			t.Errorf("the wrong password was shown %d times, and then %d", before, after)
		}
	})
}
