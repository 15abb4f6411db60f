// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

const authorization = "Authorization"

// Authorization returns the credentials that the request carries under the given scheme,
// such as "Bearer". The scheme is case-insensitive. It returns [ErrNoCredentials] if the
// request has no Authorization header, or one of another scheme. It returns an [*Error]
// of [CodeInvalidRequest] if the request has several Authorization headers, or one
// without credentials after the scheme.
//
//	RFC 6750 §2.1 (grammar): credentials = "Bearer" 1*SP b64token
//
// Authorization does not check the characters of the credentials: the authenticator
// parses them, and the [Gate] checks the characters of a credential that no authenticator
// accepts.
//
// Implements RFC 6750 §2.1 (header); RFC 9110 §11.1.
func Authorization(r *http.Request, scheme string) (string, error) {
	values := r.Header[authorization]
	if len(values) == 0 {
		return "", ErrNoCredentials
	}
	if len(values) > 1 {
		return "", &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
	}
	value := values[0]
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", ErrNoCredentials
	}
	rest := value[len(scheme):]
	if rest != "" && text.IsTokenChar(rest[0]) {
		return "", ErrNoCredentials // a longer scheme, such as Bearerish
	}
	credentials := strings.TrimLeft(rest, " ")
	if credentials == "" || rest[0] != ' ' {
		return "", malformed()
	}
	return credentials, nil
}

// credentials are the explicit credentials of one request. They are looked up once,
// because a second look-up would cost as much as all other checks.
type credentials struct {
	explicit      int      // how many there are
	authorization []string // the values of the Authorization header
	scheme        *Scheme  // of the only Authorization header, nil for none or an unknown one
}

func (d *reader) find(r *http.Request) credentials {
	sent := credentials{authorization: r.Header[authorization]}
	sent.explicit = len(sent.authorization)
	for i := range d.headers {
		sent.explicit += len(r.Header[d.headers[i].Name])
	}
	if len(sent.authorization) == 1 {
		name, _, _ := strings.Cut(sent.authorization[0], " ")
		sent.scheme = d.scheme(name)
	}
	return sent
}

// checkURL refuses a request whose URL contains a credential. The gate calls it
// first, so that no other refusal reports a path that contains a key.
func (d *reader) checkURL(r *http.Request, sent *credentials) *Error {
	for _, find := range d.inURL {
		if issuer, credential := find(r.URL); credential != "" {
			e := &Error{Code: CodeMissingCredentials, Reason: ReasonCredentialInURL, Issuer: issuer, Credential: credential}
			if sent.explicit > 0 {
				// RFC 6750 §2: "Clients MUST NOT use more than one method to
				// transmit the token in each request."
				e.Code = CodeInvalidRequest
			}
			return e
		}
	}
	return nil
}

// checkNumber refuses a request with several credentials.
func (d *reader) checkNumber(r *http.Request, sent *credentials) *Error {
	if sent.explicit > 1 {
		return &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
	}
	if len(sent.authorization) == 0 {
		return nil
	}
	// RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the
	// token in each request."
	if tokenInQuery(r) {
		return &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
	}
	for i := range d.schemes {
		for _, name := range d.schemes[i].Companions {
			if sent.scheme != nil && sent.scheme != &d.schemes[i] && len(r.Header[name]) > 0 {
				return &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
			}
		}
	}
	return nil
}

// maxRead is the longest credential, in bytes, whose characters checkForm reads. A longer
// credential is invalid in any case, and reading a megabyte would take time.
const maxRead = 16 << 10

// checkForm refuses an Authorization header that violates its grammar. The gate
// calls it only if no authenticator has accepted the credential, so that a valid
// one is not read twice.
func (d *reader) checkForm(r *http.Request) *Error {
	values := r.Header[authorization]
	if len(values) == 0 {
		return nil
	}
	if values[0] == "" || !text.IsTokenChar(values[0][0]) {
		return malformed()
	}
	for i := range d.schemes {
		credentials, err := Authorization(r, d.schemes[i].Name)
		switch {
		case err == ErrNoCredentials: //nolint:errorlint // Authorization does not wrap it
		case len(credentials) <= maxRead && !text.IsToken68(credentials): // empty if Authorization returned another error
			return malformed()
		}
	}
	return nil
}

func malformed() *Error {
	return &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
}

// unclaimed returns the refusal of a request for which every authenticator returned
// ErrNoCredentials. If the request has a declared explicit credential, the credential is
// invalid, not missing. The response to an Authorization header with an undeclared scheme
// is that to a request without credentials, with a reason of its own.
func (d *reader) unclaimed(r *http.Request) *Error {
	if e := d.checkForm(r); e != nil {
		return e
	}
	for i := range d.schemes {
		if s := &d.schemes[i]; d.carries(r, s) {
			return &Error{Code: invalid(s.Invalid), Reason: ReasonUnclaimed, Scheme: s.Name, Cause: unrecognized(s.Name)}
		}
	}
	for i := range d.headers {
		if h := &d.headers[i]; r.Header.Get(h.Name) != "" {
			return &Error{Code: invalid(h.Invalid), Reason: ReasonUnclaimed, Cause: unrecognized(h.Name)}
		}
	}
	e := &Error{Code: CodeMissingCredentials, Reason: ReasonNoCredentials}
	switch {
	case len(r.Header[authorization]) > 0: // of a scheme that no authenticator declares
		names := make([]string, len(d.schemes))
		for i := range d.schemes {
			names[i] = d.schemes[i].Name
		}
		e.Reason = ReasonUnclaimed
		e.Cause = errors.New("gatehouse: the scheme of the Authorization header is none of " + strings.Join(names, ", "))
	case tokenInQuery(r):
		e.Reason = ReasonCredentialInURL
	}
	return e
}

func unrecognized(name string) error {
	return errors.New("gatehouse: no authenticator recognizes the format of the " + name + " credential")
}

func (d *reader) carries(r *http.Request, s *Scheme) bool {
	_, err := Authorization(r, s.Name)
	return err == nil
}

func invalid(c Code) Code {
	if c == (Code{}) {
		return CodeInvalidToken
	}
	return c
}

// tokenInQuery reports whether the URL has the parameter in which RFC 6750 §2.3 allowed
// clients to send a token. The gate never accepts a token from it, but a token that was
// sent in it has leaked into logs. It also finds a parameter that [url.ParseQuery]
// rejects: one with a malformed value or behind a semicolon.
//
// Implements RFC 6750 §2.3; ASVS 5.0 §14.2.1.
func tokenInQuery(r *http.Request) bool {
	query := r.URL.RawQuery
	if !strings.Contains(query, "access_token") && !strings.Contains(query, "%") {
		return false
	}
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == "access_token" {
			return true
		}
	}
	return false
}
