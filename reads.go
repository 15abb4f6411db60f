// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Reads declares the parts of a request that an [Authenticator] reads. A
// credential is explicit if the client adds it to the request, and ambient if
// the browser or the connection sends it automatically. An authenticator reads
// explicit credentials (Schemes, Headers) or ambient ones (Cookies,
// Connection), never both.
//
// The gate uses the declaration to detect several credentials in one request, to write
// the challenges of a 401, and to remove credentials from the request before it calls the
// handler.
type Reads struct {
	// Schemes are the schemes of the Authorization header.
	Schemes []Scheme

	// Headers are other headers that carry an explicit credential.
	Headers []Header

	// Cookies are the names of cookies that carry a credential. A cookie with the same
	// name followed by a dot and digits is a part of the same credential.
	Cookies []string

	// Connection is true if the credential belongs to the connection: a client
	// certificate.
	Connection bool

	// Companions are headers that accompany a credential but are not credentials, such as
	// Client-Cert. The handler does not receive them.
	Companions []string

	// Rechecks is true if Authenticate may be called again while a request that it has
	// accepted is served: see [UntilCredentialEnds]. The later call returns an error if
	// the credential is no longer valid. If [IsRecheck] returns true, Authenticate must
	// not count a use, extend a session, or require a proof that is valid once;
	// [Confirmers] follow this rule.
	Rechecks bool

	// InURL finds a credential of this kind in a URL and returns its issuer and its
	// public identifier, or "" if there is none. The gate refuses a request with a
	// credential in its URL, because URLs are logged. Optional.
	InURL func(*url.URL) (issuer, credential string)
}

// Scheme is one scheme of the Authorization header, RFC 9110 section 11.1.
type Scheme struct {
	// Name is the name of the scheme, such as "Bearer". It is case-insensitive.
	Name string

	// Params are parameters of its challenge in addition to the realm, such as
	// algs.
	Params []Param

	// Companions are headers that accompany only this scheme, such as DPoP. The handler
	// does not receive them. The response to a request with such a header and another
	// scheme is 400.
	Companions []string

	// Invalid is the code for a credential that no authenticator recognizes,
	// [CodeInvalidToken] if it is zero.
	Invalid Code

	// Silent omits the scheme from challenges: it is accepted but not advertised.
	Silent bool

	// Always adds the challenge of this scheme to every 401, even if the error belongs to
	// another scheme.
	Always bool
}

// Header is a request header other than Authorization that carries an explicit
// credential. Reject an invalid credential in it with a code of status 403, as package
// apikey does: HTTP has no challenge for such a header, so a 401 would carry the
// challenge of another scheme.
type Header struct {
	Name    string // case-insensitive
	Invalid Code   // for a credential that no authenticator recognizes; [CodeInvalidToken] if zero
}

func (r Reads) explicit() bool { return len(r.Schemes)+len(r.Headers) > 0 }
func (r Reads) ambient() bool  { return len(r.Cookies) > 0 || r.Connection }

// check returns the mistakes in a declaration.
func (r Reads) check() error {
	if r.explicit() == r.ambient() {
		return errors.New("Reads: must declare either explicit credentials (Schemes, Headers) or ambient ones (Cookies, Connection)")
	}
	names := slices.Concat(r.Companions, r.Cookies)
	for _, s := range r.Schemes {
		names = append(append(names, s.Name), s.Companions...)
	}
	for _, h := range r.Headers {
		names = append(names, h.Name)
	}
	for _, name := range names {
		if !text.IsToken(name) {
			return fmt.Errorf("Reads: %q is not a token of RFC 9110", name)
		}
	}
	return nil
}

// reader is the union of the declarations of all authenticators of a gate.
type reader struct {
	schemes []Scheme // without duplicates; Bearer is always one of them
	headers []Header // other than Authorization, with canonical names
	strip   []string // canonical names of all headers that handlers do not receive
	cookies []string
	inURL   []func(*url.URL) (issuer, credential string)

	// always and missing are the challenges of every 401, and those of a 401
	// without an error.
	always, missing []Challenge
}

// add adds the declaration of one authenticator. The first one that declares a
// scheme or a header decides on its parameters.
func (d *reader) add(r Reads) {
	strip := func(names ...string) {
		for _, name := range names {
			if name = http.CanonicalHeaderKey(name); !slices.Contains(d.strip, name) {
				d.strip = append(d.strip, name)
			}
		}
	}
	for _, s := range r.Schemes {
		known := d.scheme(s.Name)
		s.Companions = slices.Clone(s.Companions)
		for i, name := range s.Companions {
			s.Companions[i] = http.CanonicalHeaderKey(name)
		}
		switch {
		case known == nil:
			d.schemes = append(d.schemes, s)
		case known.Silent: // a later declaration may advertise the scheme
			*known = s
		}
		strip(s.Companions...)
	}
	for _, h := range r.Headers {
		h.Name = http.CanonicalHeaderKey(h.Name)
		if !slices.ContainsFunc(d.headers, func(other Header) bool { return other.Name == h.Name }) {
			d.headers = append(d.headers, h)
		}
		strip(h.Name)
	}
	strip(r.Companions...)
	d.cookies = append(d.cookies, r.Cookies...)
	if r.InURL != nil {
		d.inURL = append(d.inURL, r.InURL)
	}
}

// done completes the declarations once all are added.
func (d *reader) done(params func(...Param) []Param) {
	if !slices.Contains(d.strip, authorization) {
		d.strip = append(d.strip, authorization)
	}
	// A Bearer token is invalid, not missing, even if no authenticator reads Bearer
	// tokens.
	if d.scheme("Bearer") == nil {
		d.schemes = append(d.schemes, Scheme{Name: "Bearer", Silent: true})
	}
	for _, s := range d.schemes {
		if s.Silent {
			continue
		}
		challenge := Challenge{s.Name, params(s.Params...)}
		d.missing = append(d.missing, challenge)
		if s.Always {
			d.always = append(d.always, challenge)
		}
	}
	// RFC 9110 §15.5.2: a 401 response "MUST" carry at least one challenge.
	if len(d.missing) == 0 {
		d.missing = []Challenge{{"Bearer", params()}}
	}
}

func (d *reader) scheme(name string) *Scheme {
	for i := range d.schemes {
		if strings.EqualFold(d.schemes[i].Name, name) {
			return &d.schemes[i]
		}
	}
	return nil
}

// without returns a copy of header without credentials, so that no code behind the gate
// can read, log or forward them. The remaining values are shared with header.
//
// Implements RFC 9700 §4.9.3; ASVS 5.0 §10.1.1.
func (d *reader) without(header http.Header) http.Header {
	stripped := maps.Clone(header) // faster than copying each entry
	if stripped == nil {
		return make(http.Header)
	}
	for _, name := range d.strip {
		if len(stripped[name]) > 0 { // a look-up is faster than deleting a missing key
			delete(stripped, name)
		}
	}
	if lines := stripped["Cookie"]; len(lines) > 0 && len(d.cookies) > 0 {
		if lines = d.withoutCookies(lines); len(lines) > 0 {
			stripped["Cookie"] = lines
		} else {
			delete(stripped, "Cookie")
		}
	}
	return stripped
}

func (d *reader) withoutCookies(lines []string) []string {
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = textproto.TrimString(pair) // exactly as net/http does
			name, _, _ := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			if pair != "" && !slices.ContainsFunc(d.cookies, func(cookie string) bool { return isPartOf(name, cookie) }) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	return kept
}

// isPartOf reports whether name is cookie, or cookie followed by a dot and
// digits.
func isPartOf(name, cookie string) bool {
	rest, ok := strings.CutPrefix(name, cookie)
	if !ok || rest == "" {
		return ok
	}
	return rest[0] == '.' && len(rest) > 1 && strings.Trim(rest[1:], "0123456789") == ""
}
