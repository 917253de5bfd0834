// SPDX-License-Identifier: Apache-2.0
// Copyright The Image Lineage Authors

package registry

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// receive looks at an answer before the library does. An error says that it is not
// handed on.
func (g *guard) receive(resp *http.Response, l leg, w *witness) error {
	path := resp.Request.URL.Path
	// Its length is told before anything is read of it, to a HEAD too.
	if resp.StatusCode == http.StatusOK && resp.ContentLength > maxBody && strings.Contains(path, "/manifests/") {
		return errTooLarge
	}
	if resp.StatusCode/100 == 3 {
		g.redirected(resp, w)
	}
	if l.home && resp.StatusCode == http.StatusUnauthorized {
		g.challenged(resp, w)
	}
	return nil
}

// redirected looks at where an answer sends the request.
func (g *guard) redirected(resp *http.Response, w *witness) {
	from := resp.Request.URL
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil {
		return
	}
	another := !strings.EqualFold(to.Host, from.Host)
	switch method := resp.Request.Method; {
	case method == http.MethodPost && !strings.HasPrefix(from.Path, pingPath) && another:
		w.refuses(errHandedOn) // a request for a token; the library may find another reason
	case method != http.MethodGet && method != http.MethodHead:
		// It is not followed.
	case strings.Contains(from.Path, "/referrers/") && another:
		notFound(resp)
	case g.sentOn(to, w) && to.Hostname() != from.Hostname():
		resp.Header.Set("Location", aliased(to).String())
	}
}

// notFound makes a 404 of an answer: the registry has no referrers API, and sends
// to a page for people instead, as GHCR does. The library then looks for the tag
// that stands in for it, says the distribution-spec under "Referrers Tag Schema".
func notFound(resp *http.Response) {
	_ = resp.Body.Close()
	resp.StatusCode, resp.Status = http.StatusNotFound, "404 Not Found"
	resp.Header = http.Header{}
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader("")), 0
}

// realm finds where a challenge sends for a token; RFC 6750 §3.
var realm = regexp.MustCompile(`(?i)(\brealm=")([^"\\]*)"`)

// challenged looks at where a registry sends for tokens.
func (g *guard) challenged(resp *http.Response, w *witness) {
	challenges := resp.Header.Values("WWW-Authenticate")
	for i, challenge := range challenges {
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(challenge)), "bearer") {
			continue
		}
		challenges[i] = realm.ReplaceAllStringFunc(challenge, func(found string) string {
			parts := realm.FindStringSubmatch(found)
			to, err := url.Parse(parts[2])
			if err != nil || strings.EqualFold(to.Host, resp.Request.URL.Host) {
				return found
			}
			if to.Scheme == "http" && resp.Request.URL.Scheme == "https" {
				w.refuses(errSchemeTokens) // as the library does
				return found
			}
			if !g.sentOn(to, w) {
				return found
			}
			return parts[1] + aliased(to).String() + `"`
		})
	}
}

// sentOn is whether an answer sends to an address where the library refuses to go
// and our rules do not. Where our rules refuse too it is noted, since the library's
// word for it is no answer to a user.
func (g *guard) sentOn(to *url.URL, w *witness) bool {
	there := g.leg(&http.Request{URL: to})
	if err := there.checkAddress(to.Hostname()); err != nil {
		w.refuses(err)
		return false
	}
	address, err := netip.ParseAddr(to.Hostname())
	return err == nil && address.Zone() == "" && !there.home && private(address)
}

// aliasDomain ends the names that stand for private addresses between the library,
// which refuses them without a question, and the guard, which knows the rules. No
// name below it exists; RFC 9476.
const aliasDomain = ".address.alt"

// aliased puts a name in place of the address of a URL.
func aliased(to *url.URL) *url.URL {
	alias := *to
	alias.Host = strings.ReplaceAll(to.Hostname(), ":", "-") + aliasDomain
	if port := to.Port(); port != "" {
		alias.Host += ":" + port
	}
	return &alias
}

// unaliased puts the address back.
func unaliased(req *http.Request) *http.Request {
	bare, ok := strings.CutSuffix(req.URL.Hostname(), aliasDomain)
	if !ok {
		return req
	}
	address, err := netip.ParseAddr(bare)
	if err != nil {
		address, err = netip.ParseAddr(strings.ReplaceAll(bare, "-", ":"))
	}
	if err != nil {
		return req
	}
	meant := req.Clone(req.Context())
	meant.Host = ""
	switch port := req.URL.Port(); {
	case port != "":
		meant.URL.Host = net.JoinHostPort(address.String(), port)
	case address.Is4():
		meant.URL.Host = address.String()
	default:
		meant.URL.Host = "[" + address.String() + "]"
	}
	return meant
}
