// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultRetryAfter = 5 * time.Second

// writeError is the one place where a refusal becomes a response. All text in
// it comes from the refusal table, from configuration and from the scopes that
// a policy asks for; none comes from the request or from an error.
func (g *Gate) writeError(w http.ResponseWriter, r *http.Request, e *Error) {
	status, code := e.Status(), e.told()
	row := codes[code]

	h := w.Header()
	// What an outer handler has said of the body holds no more.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name)
	}
	setHeader(h, e.Header)
	h.Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized && e.Login != "" && isNavigation(r) {
		h.Set("Location", e.Login)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	for _, c := range g.challengesFor(e, status, row.challenge) {
		h.Add("WWW-Authenticate", c.String())
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	body := `{"error":"` + string(code) + `","error_description":"` + row.description + `"}` + "\n"
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // a caller who has gone is no concern of ours
	}
}

// challengesFor returns what a refusal invites the caller to do.
func (g *Gate) challengesFor(e *Error, status int, named bool) []Challenge {
	// RFC 6750 §3.1: "If the request lacks any authentication information ...
	// the resource server SHOULD NOT include an error code or other error
	// information."
	if e.Code == CodeMissingCredentials {
		invitations := make([]Challenge, 0, len(g.invitations))
		for _, c := range g.invitations {
			c.Params = g.params(c.Params...)
			invitations = append(invitations, c)
		}
		return invitations
	}
	if !named || e.Code == CodeInvalidAPIKey && status != http.StatusUnauthorized {
		return nil
	}
	c := Challenge{Scheme: e.Scheme}
	if c.Scheme == "" {
		c.Scheme = "Bearer"
	}
	params := []Param{{"error", string(e.Code)}, {"error_description", codes[e.Code].description}}
	// RFC 6750 §3: the scope attribute is a list of at least one.
	if e.Code == CodeInsufficientScope && e.Scopes.Len() > 0 {
		params = append(params, Param{"scope", e.Scopes.String()})
	}
	c.Params = g.params(append(params, e.Params...)...)
	return []Challenge{c}
}

// params puts the gate's own parameters around those of a challenge.
func (g *Gate) params(params ...Param) []Param {
	all := append([]Param{{"realm", g.realm}}, params...)
	if g.metadata != "" {
		// RFC 9728 §5.1: "resource_metadata: The URL of the protected resource
		// metadata."
		all = append(all, Param{"resource_metadata", g.metadata})
	}
	return all
}

// isNavigation reports whether the request is a browser going to a page in its
// own window or tab, for which a redirect to a login makes sense. A fetch that
// is redirected ends in an opaque error.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// keepPrivate keeps the answer to one caller out of the caches that others are
// served from, unless a handler says something else.
//
//	RFC 9111 §3.5: "A shared cache MUST NOT use a cached response to a request
//	with an Authorization header field". There is no such rule for a cookie, for
//	another header or for a client certificate.
func keepPrivate(h http.Header, proof Proof) {
	if proof.Name != headerAuthorization && len(h["Cache-Control"]) == 0 {
		h.Set("Cache-Control", "no-store")
	}
}

// setHeader puts what a proof or an error must say into the response. The
// values are copied, since handlers add to theirs and many requests may share
// one proof.
func setHeader(h, extra http.Header) {
	for name, values := range extra {
		h[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}
