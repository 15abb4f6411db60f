// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/navigation"
)

const defaultRetryAfter = 5 * time.Second

// Refusal is the part of an Error that the caller may see.
type Refusal struct {
	Status      int
	Code        string        // the error code on the wire
	Description string        // a sentence of printable ASCII without quotes
	Scopes      Scopes        // the scopes that the request requires, for insufficient_scope
	Params      []Param       // additional parameters of the challenge; read-only
	RetryAfter  time.Duration // in whole seconds, for 429 and 503
}

// Body is the response body for a refused request.
type Body struct {
	ContentType string
	Content     []byte

	// Header contains additional response headers. The gate ignores
	// WWW-Authenticate, Cache-Control, Set-Cookie and Retry-After in it.
	Header http.Header
}

// writeError writes the response for every refusal. Its text comes from declared codes,
// from configuration and from policies, never from the request or from an error.
//
// Implements RFC 9110 §9.3.2, §10.2.3; ASVS 5.0 §14.3.2.
func (g *Gate) writeError(w http.ResponseWriter, r *http.Request, a *admitted, e *Error) {
	refusal := Refusal{Status: e.Code.Status(), Code: e.Code.String(), Description: e.Code.Description(), Params: e.Params}
	if e.Code == CodeInsufficientScope {
		refusal.Scopes = e.Scopes
	}
	h := w.Header()
	// These headers of an outer handler describe another body.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name)
	}
	putHeader(h, e.Header)
	fields := make([]string, 0, 4) // one allocation for the usual fields
	set := func(name, value string) {
		fields = append(fields, value)
		h[name] = fields[len(fields)-1 : len(fields) : len(fields)]
	}
	set("Cache-Control", "no-store")
	if location := g.loginFor(r, a, e); location != "" {
		h.Set("Location", location)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	for _, c := range g.challengesFor(a, e) {
		if len(h["Www-Authenticate"]) == 0 {
			set("Www-Authenticate", c.String())
		} else {
			h.Add("WWW-Authenticate", c.String())
		}
	}
	if refusal.Status == http.StatusServiceUnavailable || refusal.Status == http.StatusTooManyRequests {
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		refusal.RetryAfter = (wait + time.Second - 1).Truncate(time.Second)
		set("Retry-After", strconv.FormatInt(int64(refusal.RetryAfter/time.Second), 10))
	}
	body := g.bodyFor(r, e, refusal)
	for name, values := range body.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Www-Authenticate", "Cache-Control", "Set-Cookie", "Retry-After", "Content-Length":
		default:
			h[name] = slices.Clone(values)
		}
	}
	set("Content-Type", body.ContentType)
	set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(refusal.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Content) // fails only if the client has disconnected
	}
}

// putHeader puts the header of a proof or of an error into that of a response. Its
// cookies go beside those that an outer handler has set. The values are cloned: handlers
// append to theirs, and many requests may share one proof.
func putHeader(h, from http.Header) {
	for name, values := range from {
		if name = http.CanonicalHeaderKey(name); name != "Set-Cookie" {
			h.Del(name)
		}
		h[name] = slices.Concat(h[name], values)
	}
}

// bodyFor returns the body of a refusal: that of the application, or the default.
func (g *Gate) bodyFor(r *http.Request, e *Error, refusal Refusal) Body {
	if g.errorBody != nil {
		public := publicRequest(r)
		if e.Reason == ReasonCredentialInURL {
			public.URL = &url.URL{Path: "/"} // the path may be the credential
		}
		if body := g.errorBody(public, refusal); body.ContentType != "" {
			return body
		}
	}
	const start, between, end = `{"error":"`, `","error_description":"`, `"}` + "\n"
	content := make([]byte, 0, len(start)+len(refusal.Code)+len(between)+len(refusal.Description)+len(end))
	content = append(append(content, start...), refusal.Code...)
	content = append(append(append(content, between...), refusal.Description...), end...)
	return Body{ContentType: "application/json", Content: content}
}

// publicRequest returns the request for [Config.ErrorBody], without everything that
// may be a credential.
func publicRequest(r *http.Request) *http.Request {
	public := (&http.Request{
		Method: r.Method, Host: r.Host, Pattern: r.Pattern, URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath},
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Header: make(http.Header), Body: http.NoBody,
	}).WithContext(r.Context())
	for _, name := range [...]string{
		"Accept", "Accept-Language", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
	} {
		if values := r.Header[name]; len(values) > 0 {
			public.Header[name] = slices.Clone(values)
		}
	}
	return public
}

// maxReturnTo limits the path and query in the parameter return_to, in bytes.
const maxReturnTo = 2048

// loginFor returns the URL to which a browser is redirected instead of a 401, "" if the
// response to r is not a redirect.
func (g *Gate) loginFor(r *http.Request, a *admitted, e *Error) string {
	if g.login == nil || e.Code.Status() != http.StatusUnauthorized || a.explicit || !navigation.Is(r) {
		return ""
	}
	here := g.login.Host == "" || strings.EqualFold(g.login.Host, r.Host)
	if here && r.URL.Path == g.login.Path || e.Reason == ReasonUnbound {
		return "" // another login would change nothing: the browser would be redirected forever
	}
	login, query := *g.login, g.login.RawQuery
	add := func(name, value string) {
		if query != "" {
			query += "&"
		}
		query += url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	for _, p := range e.Params {
		add(p.Name, p.Value)
	}
	back := r.RequestURI
	// Browsers read "//host" and "/\host" as URLs of another host (open redirect).
	local := strings.HasPrefix(back, "/") && !strings.HasPrefix(back, "//") && !strings.Contains(back, `\`)
	if g.login.Host == "" && e.Reason != ReasonCredentialInURL && len(back) <= maxReturnTo && local && back != "/" &&
		!strings.Contains(back, "access_token=") && !tokenInQuery(r) { // do not copy a token from one URL to another
		add("return_to", back)
	}
	login.RawQuery = query
	return login.String()
}

// challengesFor returns the challenges of a refusal: for each 401, for a 403 because of a
// missing scope, and for any other 403 with parameters.
//
// Implements RFC 6750 §3 (challenge, once), §3.1 (insufficient_scope); RFC 9110
// §11.6.1.
func (g *Gate) challengesFor(a *admitted, e *Error) []Challenge {
	status := e.Code.Status()
	// RFC 6750 §3.1 (no error): "If the request lacks any authentication
	// information ... the resource server SHOULD NOT include an error code or
	// other error information."
	if e.Code == CodeMissingCredentials {
		return g.reads.missing
	}
	if status != http.StatusUnauthorized && e.Code != CodeInsufficientScope && (status != http.StatusForbidden || len(e.Params) == 0) {
		return nil
	}
	scheme := Scheme{Name: e.Scheme}
	if scheme.Name == "" {
		scheme.Name = "Bearer"
		if a.scheme != nil && !a.scheme.Silent {
			scheme.Name = a.scheme.Name
		}
	}
	if declared := g.reads.scheme(scheme.Name); declared != nil {
		scheme = *declared
	}
	params := append(make([]Param, 0, 8), Param{"error", e.Code.String()}, Param{"error_description", e.Code.Description()})
	// RFC 6750 §3 (scope): the scope attribute is a list of at least one.
	if e.Code == CodeInsufficientScope && e.Scopes.Len() > 0 {
		params = append(params, Param{"scope", e.Scopes.String()})
	}
	params = append(params, e.Params...)
	for _, p := range scheme.Params {
		if !slices.ContainsFunc(e.Params, func(other Param) bool { return strings.EqualFold(other.Name, p.Name) }) {
			params = append(params, p)
		}
	}
	challenges := []Challenge{{scheme.Name, g.params(params...)}}
	if status == http.StatusUnauthorized {
		for _, c := range g.reads.always {
			if !strings.EqualFold(c.Scheme, scheme.Name) {
				challenges = append(challenges, c)
			}
		}
	}
	return challenges
}

// params returns the parameters of a challenge with those of the gate: the realm first,
// the metadata URL last.
//
// Implements RFC 6750 §3 (auth-param); RFC 9110 §11.2.
func (g *Gate) params(params ...Param) []Param {
	all := append(append(make([]Param, 0, len(params)+2), Param{"realm", g.realm}), params...)
	if g.metadata != nil {
		// RFC 9728 §5.1: "resource_metadata: The URL of the protected resource
		// metadata."
		all = append(all, Param{"resource_metadata", g.metadata.URL})
	}
	return all
}

// Challenge is one challenge of a WWW-Authenticate header, RFC 9110 section
// 11.6.1: a scheme and its parameters.
type Challenge struct {
	Scheme string
	Params []Param
}

// Param is one authentication parameter. Name must be a token of RFC 9110;
// Value is always written as a quoted-string.
type Param struct{ Name, Value string }

// String returns the challenge in the format of the header.
//
// Every value is a quoted-string: RFC 9110 §11.2 requires recipients to accept
// both a token and a quoted-string, and RFC 6750 §3 defines only the quoted
// form.
func (c Challenge) String() string {
	var b strings.Builder
	size := len(c.Scheme)
	for _, p := range c.Params {
		size += len(`, =""`) + len(p.Name) + len(p.Value)
	}
	b.Grow(size)
	b.WriteString(c.Scheme)
	for i, p := range c.Params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(p.Name)
		b.WriteByte('=')
		writeQuoted(&b, p.Value)
	}
	return b.String()
}

// writeQuoted writes s as a quoted-string.
//
//	RFC 9110 §5.6.4: quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text )
//
// A character that is neither VCHAR nor SP becomes "?", so that no value can end a line
// or depend on a charset.
func writeQuoted(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
