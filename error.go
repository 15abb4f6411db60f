// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
	"time"
)

// Error is why a request is not let through. What the caller gets to see
// follows from Code, Scheme, Scopes, Params, Header, RetryAfter and Login;
// Reason, Issuer, Credential and Cause are for the [Observer] alone.
//
// An Error must not be changed once it is returned.
type Error struct {
	Code   Code
	Reason Reason

	// Scheme is the authentication scheme under which the credential came, and
	// so that of the challenge: Bearer if it is empty.
	Scheme string

	// Scopes is what the request needs, for [CodeInsufficientScope].
	Scopes Scopes

	// Params are more parameters of the challenge.
	Params []Param

	// Header is what the response must carry beside, such as a DPoP nonce.
	Header http.Header

	// RetryAfter is when to try again, for [CodeTemporarilyUnavailable] (5 s if
	// zero) and [CodeBudgetExceeded] (a request that can never pass if zero).
	// It is rounded up to a whole second.
	RetryAfter time.Duration

	// Login is where a person can log in. A navigation that is refused with 401
	// is redirected there; every other request gets the refusal. It must come
	// from configuration; of the request there may be its own path in it, as the
	// escaped value of a query parameter, so that the person can come back.
	Login string

	// Issuer is the configured issuer of the refused credential, if it has one.
	Issuer string

	// Credential is the public identifier of the refused credential, if known.
	Credential string

	// Cause is what lies behind. It carries no part of a credential.
	Cause error
}

// Error returns the code and the reason.
func (e *Error) Error() string {
	return "gatehouse: " + string(e.Code) + " (" + string(e.Reason) + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil // see asError
	}
	return e.Cause
}

// Status is the HTTP status of the refusal.
func (e *Error) Status() int {
	switch {
	case e.Code == CodeInvalidAPIKey && e.Scheme != "":
		return http.StatusUnauthorized
	case e.Code == CodeBudgetExceeded && e.RetryAfter > 0:
		return http.StatusTooManyRequests
	}
	return codes[e.told()].status
}

// told is the code that the caller is told: a code that nobody knows, "" say,
// is a defect behind the gate.
func (e *Error) told() Code {
	if _, ok := codes[e.Code]; ok {
		return e.Code
	}
	return CodeTemporarilyUnavailable
}

// Code is what a refusal is called on the wire: an error code of OAuth where
// there is one, and one in its style where there is none.
type Code string

// The codes.
const (
	CodeMissingCredentials             Code = "missing_credentials"
	CodeInvalidRequest                 Code = "invalid_request"    // RFC 6750 §3.1
	CodeInvalidToken                   Code = "invalid_token"      // RFC 6750 §3.1
	CodeInsufficientScope              Code = "insufficient_scope" // RFC 6750 §3.1
	CodeInvalidAPIKey                  Code = "invalid_api_key"
	CodeAccessDenied                   Code = "access_denied"
	CodeInsufficientUserAuthentication Code = "insufficient_user_authentication" // RFC 9470 §3
	CodeApprovalRequired               Code = "approval_required"
	CodeInvalidDPoPProof               Code = "invalid_dpop_proof" // RFC 9449 §7.1
	CodeUseDPoPNonce                   Code = "use_dpop_nonce"     // RFC 9449 §9
	CodeBudgetExceeded                 Code = "budget_exceeded"
	CodeTemporarilyUnavailable         Code = "temporarily_unavailable"
)

// codes is the refusal table: all that a caller is ever told.
var codes = map[Code]struct {
	status      int
	description string
	challenge   bool // a WWW-Authenticate with the error in it
}{
	CodeMissingCredentials:             {401, "This resource requires authentication.", false},
	CodeInvalidRequest:                 {400, "The request carries malformed or several credentials.", false},
	CodeInvalidToken:                   {401, "The access token is expired, revoked, malformed or invalid for other reasons.", true},
	CodeInsufficientScope:              {403, "The request requires higher privileges than the credential provides.", true},
	CodeInvalidAPIKey:                  {403, "The API key is not valid.", true},
	CodeAccessDenied:                   {403, "Access to this resource is denied.", false},
	CodeInsufficientUserAuthentication: {401, "A different authentication level is required.", true},
	CodeApprovalRequired:               {403, "This operation requires approval.", true},
	CodeInvalidDPoPProof:               {401, "The DPoP proof is not valid.", true},
	CodeUseDPoPNonce:                   {401, "The DPoP proof must carry the given nonce.", true},
	CodeBudgetExceeded:                 {403, "The request exceeds its budget.", false},
	CodeTemporarilyUnavailable:         {503, "The service cannot decide on this request now.", false},
}

// unavailable makes an error of one that says no more than that something is
// broken.
func unavailable(err error) *Error {
	if e := asError(err); e != nil {
		return e
	}
	return &Error{Code: CodeTemporarilyUnavailable, Reason: ReasonAuthenticatorFailed, Cause: err}
}

// asError returns the Error that err is or wraps, and nil if there is none. An
// error that holds a nil *Error, the mistake of a function that returns one
// where it means to return nothing, is an error and not an Error.
func asError(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}
