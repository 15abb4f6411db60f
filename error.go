// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Error describes a refusal. Code, Scheme, Scopes, Params, Header and
// RetryAfter determine the response; Reason, Issuer, Credential and Cause are
// visible only to the [Observer].
//
// Do not change an Error after it is returned: requests may share it.
type Error struct {
	Code   Code
	Reason Reason

	// Scheme is the authentication scheme of the challenge. If it is empty, the
	// gate uses the scheme of the credential, or Bearer.
	Scheme string

	// Scopes are the scopes that the request requires, for [CodeInsufficientScope].
	Scopes Scopes

	// Params are more parameters of the challenge.
	Params []Param

	// Header contains additional response headers, such as DPoP-Nonce.
	Header http.Header

	// RetryAfter is the time until the caller may retry, rounded up to a whole
	// second. It applies to 429 and 503 only; zero means 5 s.
	RetryAfter time.Duration

	// Issuer is the configured issuer of the refused credential, "" if unknown.
	Issuer string

	// Credential is the public identifier of the refused credential, "" if
	// unknown.
	Credential string

	// Level is the log level of the event. The default is ERROR for 503, INFO for a
	// request without credentials, and WARN for all others. Set a lower one if the
	// default would alarm an operator without need.
	Level slog.Leveler

	// Cause is the underlying error. It must not contain any part of a credential.
	Cause error
}

// Error returns the code and the reason.
func (e *Error) Error() string {
	if e == nil {
		return "gatehouse: nil *Error" // see asError
	}
	return "gatehouse: " + e.Code.String() + " (" + string(e.Reason) + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil // see asError
	}
	return e.Cause
}

// Code is an error code of a response, with its HTTP status and description. It
// is an OAuth error code if OAuth defines one for the error. The package that
// produces a code declares it with [NewCode].
//
// Compare codes with ==: two codes may have the same name and a different
// status. The zero Code marks a defect in the program; its response is that of
// [CodeTemporarilyUnavailable].
type Code struct{ row *row }

// row contains the parts of a code that a response shows.
type row struct {
	name, description string
	status            int
}

// constant is a string constant. Other packages cannot convert a run-time value to it, so
// no text of a request or of an error can get into a response.
type constant string

// NewCode returns a code. Call it with constants, in the declaration of a
// package-level variable. It panics if status is neither 4xx nor 503, if name
// contains other characters than lower-case letters and underscores, or if
// description contains a character that RFC 6750 section 3 does not allow.
func NewCode(status int, name, description constant) Code {
	lower := func(r rune) bool { return 'a' <= r && r <= 'z' || r == '_' }
	// RFC 6750 §3 (error): "Values for the "error" and "error_description"
	// attributes ... MUST NOT include characters outside the set %x20-21 /
	// %x23-5B / %x5D-7E."
	text := func(r rune) bool { return r >= 0x20 && r <= 0x7e && r != '"' && r != '\\' }
	switch {
	case (status < 400 || status > 499) && status != http.StatusServiceUnavailable:
		panic(fmt.Sprintf("gatehouse: NewCode: status %d: must be 4xx or 503", status))
	case name == "" || strings.TrimFunc(string(name), lower) != "":
		panic(fmt.Sprintf("gatehouse: NewCode: name %q: must be lower-case letters and underscores", string(name)))
	case description == "" || strings.TrimFunc(string(description), text) != "":
		panic(fmt.Sprintf("gatehouse: NewCode: description %q: must be printable ASCII without quotes", string(description)))
	}
	return Code{&row{string(name), string(description), status}}
}

// String returns the name of the code.
func (c Code) String() string { return c.wire().name }

// Status returns the HTTP status of the code.
func (c Code) Status() int { return c.wire().status }

// Description returns the error_description of the code, a sentence.
func (c Code) Description() string { return c.wire().description }

func (c Code) wire() *row {
	if c.row == nil {
		return CodeTemporarilyUnavailable.row
	}
	return c.row
}

// The error codes of the core package.
var (
	CodeMissingCredentials = NewCode(401, "missing_credentials", "This resource requires authentication.")
	// The next three codes are defined in RFC 6750 section 3.1.
	//
	// Implements RFC 6750 §3.1 (invalid_request).
	CodeInvalidRequest = NewCode(400, "invalid_request", "The request carries malformed or several credentials.")
	// Implements RFC 6750 §3.1 (invalid_token).
	CodeInvalidToken      = NewCode(401, "invalid_token", "The access token is expired, revoked, malformed or invalid for other reasons.")
	CodeInsufficientScope = NewCode(403, "insufficient_scope", "The request requires higher privileges than the credential provides.")
	CodeAccessDenied      = NewCode(403, "access_denied", "Access to this resource is denied.")
	// CodeTemporarilyUnavailable: a backend failed.
	CodeTemporarilyUnavailable = NewCode(503, "temporarily_unavailable", "The service cannot decide on this request now.")
)

// Reason is the reason of a refusal, for operators. Each package declares its
// reasons as constants with the package name as prefix. The set is closed, so a
// reason can be a metric label; docs/reasons.md lists all. Callers see only the
// [Code].
type Reason string

// The reasons of the core package.
const (
	// ReasonNoCredentials: the request carries no credential that an authenticator reads. Status: 401. Operator: nothing, unless a client should have sent one.
	ReasonNoCredentials Reason = "no_credentials"
	// ReasonSeveralCredentials: the request carries more than one explicit credential. Status: 400. Operator: have the client send one.
	ReasonSeveralCredentials Reason = "several_credentials"
	// ReasonMalformedCredentials: the Authorization header violates the grammar of RFC 9110 or RFC 6750. Status: 400. Operator: check how the client builds the header.
	ReasonMalformedCredentials Reason = "malformed_credentials"
	// ReasonCredentialInURL: the URL contains a credential, which has leaked into logs. Status: 400, 401. Operator: revoke it and have the client send it in a header.
	ReasonCredentialInURL Reason = "credential_in_url"
	// ReasonUnclaimed: the credential has a scheme or a format that no authenticator recognizes. Status: 401, 403. Operator: check which kind of credential the client sends; an opaque token needs an authenticator that looks it up.
	ReasonUnclaimed Reason = "credential_unclaimed"
	// ReasonUnconfirmed: the token is bound to a key that the request does not prove, or its cnf claim has a member without a confirmer. Status: 401. Operator: check for a stolen token; configure the confirmer of that member.
	ReasonUnconfirmed Reason = "credential_unconfirmed"
	// ReasonUnbound: the route requires a sender-constrained credential and the request has a bearer credential. Status: 401. Operator: have the client use DPoP or mutual TLS.
	ReasonUnbound Reason = "credential_unbound"
	// ReasonOutsideGate: the handler is not behind a gate, or is behind another gate than its own. Status: 401. Operator: fix the wiring of the routes.
	ReasonOutsideGate Reason = "outside_gate"
	// ReasonPolicyRefused: a policy of the application denied the request. Status: 403. Operator: see the cause.
	ReasonPolicyRefused Reason = "policy_refused"
	// ReasonPolicyFailed: a policy could not decide because a backend failed or the context ended. Status: 503. Operator: check the backend that the cause names.
	ReasonPolicyFailed Reason = "policy_failed"
	// ReasonAuthenticatorFailed: an authenticator returned an error that is not a *gatehouse.Error. Status: 503. Operator: see the cause; it is a defect or a backend failure.
	ReasonAuthenticatorFailed Reason = "authenticator_failed"
	// ReasonEnrichFailed: Config.Enrich failed, or changed a field that it must not change. Status: 503. Operator: see the cause.
	ReasonEnrichFailed Reason = "enrich_failed"
	// ReasonChanged: a later check of a long request found that its caller has lost a scope or a role, or is another one. Status: 403. Operator: nothing, if a permission was withdrawn.
	ReasonChanged Reason = "credential_changed"
	// ReasonObserverFailed: the observer could not record the event, so the request was refused. Status: 503. Operator: check the audit log or other observer.
	ReasonObserverFailed Reason = "observer_failed"
)

// asRefusal returns the Error that err is or wraps, or one with
// ReasonAuthenticatorFailed.
func asRefusal(err error) *Error {
	if e := asError(err); e != nil {
		return e
	}
	return &Error{Code: CodeTemporarilyUnavailable, Reason: ReasonAuthenticatorFailed, Cause: err}
}

// asError returns the Error that err is or wraps, or nil. It also returns nil for
// an interface value that holds a nil *Error.
func asError(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}
