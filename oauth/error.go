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

// ErrUnavailable means that the authorization server did not respond, or responded with a
// server error or a malformed response. A retry may succeed.
var ErrUnavailable = errors.New("oauth: the authorization server is unavailable")

// ErrNotOffered means that the metadata of the authorization server do not
// contain the endpoint.
var ErrNotOffered = errors.New("oauth: not offered by the authorization server")

// ErrUnsupported means that the metadata of the authorization server show that no login
// can complete with this configuration: every ID token would be rejected.
var ErrUnsupported = errors.New("oauth: not supported by the authorization server")

// Error is an error response of an authorization server, RFC 6749 sections
// 4.1.2.1 and 5.2. It omits error_description and error_uri, because some
// servers repeat credentials in them.
type Error struct {
	// Endpoint is the endpoint that returned the error: "authorization", "token",
	// "revocation", "introspection" or "pushed authorization request".
	Endpoint string

	// Code is the error code, "" if the response has none that is registered
	// with IANA. The code invalid_grant means that the authorization code or the
	// refresh token is invalid, expired or revoked.
	Code string

	// Status is the HTTP status, zero if the error came through the browser.
	Status int

	// RetryAfter is the value of the header Retry-After, zero if there is none.
	//
	// Implements RFC 7009 §2.2.1 (503).
	RetryAfter time.Duration
}

// Error returns the endpoint, the code and the status.
func (e *Error) Error() string {
	code := e.Code
	if code == "" {
		code = "no registered error code"
	}
	text := "oauth: the " + e.Endpoint + " endpoint returned an error: " + code
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP status %d)", e.Status)
	}
	// These codes nearly always have one cause, in the configuration.
	switch {
	case e.Code == "invalid_client":
		text += "; check Config.ClientID, Secret and Auth against the registration"
	case e.Code == "invalid_request" && e.Endpoint == endpointPAR, e.Code == "invalid_redirect_uri":
		text += "; check that the RedirectURI is registered for this client"
	}
	return text
}

// Unwrap returns [ErrUnavailable] for errors that may be temporary.
//
// Implements RFC 7009 §2.2.1 (503).
func (e *Error) Unwrap() error {
	if e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests ||
		e.Code == "server_error" || e.Code == "temporarily_unavailable" {
		return ErrUnavailable
	}
	return nil
}

// codes are the error codes that a client can receive, from RFC 6749, RFC 7009, RFC 8693, RFC 8707, RFC 9126, RFC 9449, RFC 9470 and OpenID
// Connect Core 1.0.
var codes = []string{
	"access_denied", "account_selection_required", "consent_required", "interaction_required", "invalid_client",
	"invalid_dpop_proof", "invalid_grant", "invalid_request", "invalid_request_object", "invalid_request_uri",
	"invalid_scope", "invalid_target", "invalid_token", "login_required", "request_not_supported",
	"request_uri_not_supported", "server_error", "temporarily_unavailable", "unauthorized_client",
	"unmet_authentication_requirements", "unsupported_grant_type", "unsupported_response_type",
	"unsupported_token_type", "use_dpop_nonce",
}

// known returns code if it is one of codes, and "" otherwise.
//
// Implements RFC 6749 §10.14; RFC 7009 §2.2.1 (unsupported).
func known(code string) string {
	if slices.Contains(codes, code) {
		return code
	}
	return ""
}

// endpointPAR is the name of the endpoint of RFC 9126 in errors.
const endpointPAR = "pushed authorization request"

// malformed returns the error for a response that violates its specification.
func malformed(endpoint, reason string) error {
	return fmt.Errorf("oauth: the response of the %s endpoint %s: %w", endpoint, reason, ErrUnavailable)
}

// withCause adds the text of other to err. It still wraps err only.
func withCause(err, other error) error {
	if other == nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, other.Error())
}

// reject returns the error of a rejected authorization response.
func (c *Client) reject(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Issuer: c.issuer, Cause: cause}
}

// unavailable returns the error for a response that the client cannot verify now.
func (c *Client) unavailable(cause error) *gatehouse.Error {
	e := c.reject(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, cause)
	e.RetryAfter = RetryAfter(cause)
	return e
}
