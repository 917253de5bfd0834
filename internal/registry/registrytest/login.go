// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registrytest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Login is somebody who may use a registry.
type Login struct {
	// User and Password; both empty are everybody's, without a login.
	User, Password string
	// Path is what the repositories begin with that the user may use; empty is all.
	Path string
	// ReadOnly users may not push.
	ReadOnly bool
}

// Door asks who comes to a registry, and counts them.
type Door struct {
	host   string
	token  bool
	logins []Login

	mu   sync.Mutex
	came map[string]int
}

// tokenPath is where a Door gives out tokens.
const tokenPath = "/token"

// RequireLogin lets in only those who have a login: by a token where token is
// true, and else by the password with each request. It takes the place of Intercept.
func (r *Registry) RequireLogin(token bool, logins ...Login) *Door {
	d := &Door{host: r.Host, token: token, logins: logins, came: map[string]int{}}
	r.Intercept(d.answer)
	return d
}

// Came counts how often a user showed a password, right or wrong: for a token, or
// with a request. The empty user came without one.
func (d *Door) Came(user string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.came[user]
}

func (d *Door) count(user string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came[user]++
}

func (d *Door) answer(w http.ResponseWriter, req *http.Request) bool {
	user, password, basic := req.BasicAuth()
	if req.URL.Path == tokenPath {
		d.count(user)
		if _, ok := d.login(user, password); !ok && basic {
			Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return true
		}
		token := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
		return true
	}
	if token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok && d.token {
		raw, _ := base64.StdEncoding.DecodeString(token)
		user, password, _ = strings.Cut(string(raw), ":")
	} else if d.token {
		return d.challenge(w)
	} else if path := req.URL.Path; path != "/v2/" {
		d.count(user)
	} else if !basic {
		return d.challenge(w)
	}
	login, ok := d.login(user, password)
	if !ok {
		return d.challenge(w)
	}
	writes := req.Method != http.MethodGet && req.Method != http.MethodHead
	if !strings.HasPrefix(req.URL.Path, "/v2/"+login.Path) && req.URL.Path != "/v2/" || login.ReadOnly && writes {
		Refuse(w, http.StatusForbidden, "DENIED")
		return true
	}
	return false
}

func (d *Door) login(user, password string) (Login, bool) {
	for _, login := range d.logins {
		if login.User == user && login.Password == password {
			return login, true
		}
	}
	return Login{}, false
}

func (d *Door) challenge(w http.ResponseWriter) bool {
	challenge := `Basic realm="registry"`
	if d.token {
		challenge = fmt.Sprintf(`Bearer realm="http://%s%s",service="registry"`, d.host, tokenPath)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	return true
}
