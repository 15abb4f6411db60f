// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
	"strings"
)

const (
	headerAuthorization = "Authorization"
	headerAPIKey        = "X-Api-Key"
	headerDPoP          = "Dpop"
)

// Authorization returns the credentials that the request carries under the
// given scheme, such as "Bearer", whose case does not matter. It returns
// [ErrNoCredentials] if the request has no Authorization header or one of
// another scheme, and an [*Error] of [CodeInvalidRequest] if it has several
// headers or nothing behind the scheme.
//
//	RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token
//
// The alphabet of the credentials is not checked here: an authenticator must
// not accept what it has not read. The [Gate] tells a malformed header from a
// bad token when nobody has accepted it.
func Authorization(r *http.Request, scheme string) (string, error) {
	values := r.Header[headerAuthorization]
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
	if rest == "" {
		return "", &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
	}
	if rest[0] != ' ' {
		if isTokenChar(rest[0]) {
			return "", ErrNoCredentials // a longer scheme, such as Bearerish
		}
		return "", &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
	}
	rest = strings.TrimLeft(rest, " ")
	if rest == "" {
		return "", &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
	}
	return rest, nil
}

// HasExplicitCredential reports whether the request carries a credential that
// its sender put there on purpose, in Authorization or X-API-Key. Where it
// does, a cookie or a client certificate does not say who is calling.
func HasExplicitCredential(r *http.Request) bool {
	return len(r.Header[headerAuthorization])+len(r.Header[headerAPIKey]) > 0
}

// knownSchemes are those of which a malformed use is refused as such. Under
// any other scheme the Authorization header is not ours to read.
var knownSchemes = [...]string{"Bearer", "ApiKey", "DPoP"}

// maxRead is up to which size credentials are read to tell a malformed one from
// a bad one. What is longer is refused as bad without a look, so that a megabyte
// of junk costs as little as a byte.
const maxRead = 16 << 10

// checkExplicit refuses a request whose explicit credentials are ambiguous or
// malformed whatever they hold. The alphabet is checked only if deep is set:
// the gate asks for that once nobody has accepted the credential, so that the
// good ones need not be read twice.
func checkExplicit(r *http.Request, deep bool) *Error {
	authorization := r.Header[headerAuthorization]
	if len(authorization)+len(r.Header[headerAPIKey]) > 1 {
		return &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
	}
	// RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the
	// token in each request."
	if len(authorization) == 1 && tokenInQuery(r) {
		return &Error{Code: CodeInvalidRequest, Reason: ReasonSeveralCredentials}
	}
	if !deep || len(authorization) == 0 {
		return nil
	}
	if value := authorization[0]; value == "" || !isTokenChar(value[0]) {
		return &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
	}
	for _, scheme := range knownSchemes {
		credentials, err := Authorization(r, scheme)
		if errors.Is(err, ErrNoCredentials) {
			continue
		}
		// They are empty where there was an error, which is no b64token either.
		if len(credentials) <= maxRead && !isToken68(credentials) {
			return &Error{Code: CodeInvalidRequest, Reason: ReasonMalformedCredentials}
		}
	}
	return nil
}

// tokenInQuery reports whether the URL carries a parameter by which RFC 6750
// §2.3 once let clients send a token. We never read it, but a request that has
// it has leaked a token into somebody's log.
func tokenInQuery(r *http.Request) bool {
	return strings.Contains(r.URL.RawQuery, "access_token") && r.URL.Query().Has("access_token")
}

// isToken68 reports whether s is a b64token, which RFC 9110 calls token68.
//
//	RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return s != ""
}

// RFC 9110 §5.6.2: tchar
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
