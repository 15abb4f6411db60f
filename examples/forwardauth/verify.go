// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// reasonForwarded: the request does not come from the proxy, or does not describe a
// request for the application. Status: 403.
const reasonForwarded gatehouse.Reason = "forwardauth_forwarded"

// forNginx answers auth_request of nginx, which knows three answers: 2xx, 401 and 403.
// It takes all others for 500, such as 503 of a store. With 401 for a navigation,
// X-Auth-Login is the path of the login, to which nginx redirects.
func (a *app) forNginx(w http.ResponseWriter, r *http.Request) {
	a.verify(forbidding{w}, r, func(w http.ResponseWriter, _ *http.Request, login string) bool {
		w.Header().Set("X-Auth-Login", login)
		return false
	})
}

// forTraefik answers a proxy that passes the response to the browser unless it is 2xx.
// The Location is absolute, because Traefik resolves a relative one against the address
// of this server.
func (a *app) forTraefik(w http.ResponseWriter, r *http.Request) {
	a.verify(w, r, func(w http.ResponseWriter, r *http.Request, login string) bool {
		http.Redirect(w, r, a.origin.String()+login, http.StatusSeeOther)
		return true
	})
}

// verify decides about the request that the proxy describes. It calls login for a
// navigation without a session, which may write the response.
func (a *app) verify(w http.ResponseWriter, r *http.Request, login func(w http.ResponseWriter, r *http.Request, path string) bool) {
	w.Header().Set("Cache-Control", "no-store") // the answer is for this request only
	original, err := a.original(r)
	if err != nil {
		a.logger.WarnContext(r.Context(), "forwarded request", "peer", r.RemoteAddr, "problem", err.Error())
		gatehouse.Refuse(w, r, &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: reasonForwarded, Cause: err})
		return
	}
	a.gate.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := gatehouse.FromContext(r.Context())
		switch {
		case ok:
			identify(w.Header(), p)
			w.WriteHeader(http.StatusOK)
		case isNavigation(r) && login(w, r, a.signin.LoginURL+"?return_to="+url.QueryEscape(r.URL.RequestURI())):
		default:
			gatehouse.Refuse(w, r, &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonNoCredentials})
		}
	})).ServeHTTP(w, original)
}

// identify sets the headers that the proxy passes to the application. They are
// percent-encoded, because a subject can be any text. A user without a verified email
// address has an empty one, which replaces the one of the client too.
func identify(h http.Header, p gatehouse.Principal) {
	h.Set("X-Auth-Issuer", url.PathEscape(p.Issuer))
	h.Set("X-Auth-Subject", url.PathEscape(p.Subject))
	h.Set("X-Auth-Email", url.PathEscape(email(p)))
}

// original returns the request that the proxy describes. The session decides about
// it as about a request of its own: the method and the host count for CSRF.
func (a *app) original(r *http.Request) (*http.Request, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !a.isProxy(peer.Addr().Unmap()) {
		return nil, errors.New("the peer is not a proxy: see proxies")
	}
	var values [4]string
	for i, name := range []string{"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"} {
		if found := r.Header.Values(name); len(found) != 1 || found[0] == "" {
			return nil, fmt.Errorf("%d values of %s, want one", len(found), name)
		}
		values[i] = r.Header.Get(name)
		r.Header.Del(name)
	}
	method, scheme, host, uri := values[0], values[1], values[2], values[3]
	if scheme != a.origin.Scheme || host != a.origin.Host {
		return nil, errors.New("X-Forwarded-Proto and X-Forwarded-Host differ from public_origin")
	}
	target, err := url.ParseRequestURI(uri)
	if err != nil || !strings.HasPrefix(uri, "/") {
		return nil, errors.New("X-Forwarded-Uri: not a path")
	}
	original, err := http.NewRequestWithContext(r.Context(), method, "/", http.NoBody)
	if err != nil {
		return nil, errors.New("X-Forwarded-Method: malformed")
	}
	original.URL, original.Header, original.Host, original.RemoteAddr = target, r.Header, host, r.RemoteAddr
	if scheme == "https" {
		original.TLS = new(tls.ConnectionState) // between the browser and the proxy: an Origin of plain http is another one
	}
	return original, nil
}

func (a *app) isProxy(peer netip.Addr) bool {
	for _, network := range a.proxies {
		if network.Contains(peer) {
			return true
		}
	}
	return false
}

// isNavigation reports whether the browser shows the response in a tab. Only then a
// redirect to the login makes sense.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return r.Method == http.MethodGet && mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// forbidding answers 403 instead of the other errors of clients, such as 400 for a
// request with two credentials, which nginx would take for a failure of this server.
type forbidding struct{ http.ResponseWriter }

func (f forbidding) WriteHeader(status int) {
	if status >= 400 && status < 500 && status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	f.ResponseWriter.WriteHeader(status)
}
