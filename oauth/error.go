// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ErrUnavailable says that the authorization server does not answer, or not as
// it should: nothing is known about what was asked. Try again later.
var ErrUnavailable = errors.New("oauth: the authorization server is unavailable")

// ErrNotOffered says that the authorization server has no such endpoint.
var ErrNotOffered = errors.New("oauth: not offered by the authorization server")

// Error is a refusal by an authorization server, RFC 6749 sections 4.1.2.1 and
// 5.2. It holds nothing that the server says in words of its own, since those
// have been seen to repeat credentials.
type Error struct {
	// Endpoint is which one refuses: "authorization", "token", "revocation",
	// "introspection" or "pushed authorization request".
	Endpoint string

	// Code is the error code, "" if the server gives none that is registered
	// with IANA. The code invalid_grant says that a code or a refresh token is
	// good no more.
	Code string

	// Status is the HTTP status, zero where the browser has brought the error.
	Status int

	// RetryAfter is when the server wants to be asked again, zero if it does
	// not say.
	RetryAfter time.Duration
}

// Error names the endpoint, the code and the status.
func (e *Error) Error() string {
	code := e.Code
	if code == "" {
		code = "no known error code"
	}
	text := "oauth: the " + e.Endpoint + " endpoint refuses: " + code
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP status %d)", e.Status)
	}
	// What these mean is nearly always the same mistake in a configuration.
	switch {
	case e.Code == "invalid_client":
		text += "; are Config.ClientID, Secret and Auth those that are registered?"
	case e.Code == "invalid_request" && e.Endpoint == endpointPAR, e.Code == "invalid_redirect_uri":
		text += "; is the RedirectURI registered for this client?"
	}
	return text
}

// Unwrap returns [ErrUnavailable] for what may be different later.
func (e *Error) Unwrap() error {
	if e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests ||
		e.Code == "server_error" || e.Code == "temporarily_unavailable" {
		return ErrUnavailable
	}
	return nil
}

// codes are the error codes that mean something to a client like this one: of
// RFC 6749, RFC 7009, RFC 8693, RFC 8707, RFC 9126, RFC 9449, RFC 9470 and OpenID
// Connect Core 1.0.
var codes = []string{
	"access_denied", "account_selection_required", "consent_required", "interaction_required", "invalid_client",
	"invalid_dpop_proof", "invalid_grant", "invalid_request", "invalid_request_object", "invalid_request_uri",
	"invalid_scope", "invalid_target", "invalid_token", "login_required", "request_not_supported",
	"request_uri_not_supported", "server_error", "temporarily_unavailable", "unauthorized_client",
	"unmet_authentication_requirements", "unsupported_grant_type", "unsupported_response_type",
	"unsupported_token_type", "use_dpop_nonce",
}

// known returns the code if it is one, and "" otherwise: what it is then, only
// the server knows.
func known(code string) string {
	if slices.Contains(codes, code) {
		return code
	}
	return ""
}

// endpointPAR is what errors call the endpoint of RFC 9126.
const endpointPAR = "pushed authorization request"

// malformed says that an answer of the server is not what it has to be. The
// reason is this package's own words.
func malformed(endpoint, reason string) error {
	return fmt.Errorf("oauth: the answer of the %s endpoint %s: %w", endpoint, reason, ErrUnavailable)
}

// refuse makes the error of a login that cannot go on.
func (c *Client) refuse(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Issuer: c.issuer, Cause: cause}
}

// unavailable makes the error of a login that cannot be decided.
func (c *Client) unavailable(cause error) *gatehouse.Error {
	e := c.refuse(gatehouse.CodeTemporarilyUnavailable, gatehouse.ReasonServerUnavailable, cause)
	if said, ok := errors.AsType[*Error](cause); ok {
		e.RetryAfter = said.RetryAfter
	}
	return e
}
