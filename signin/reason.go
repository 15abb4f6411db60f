// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// The reasons for rejected requests. The reasons for authorization responses
// are in package oauth, those for sessions in package session.
const (
	// ReasonNavigation: the request for the login is not a navigation, so that the user would not see the login. Status: 401. Operator: have the page send the user to the login with a link.
	ReasonNavigation gatehouse.Reason = "signin_navigation"
	// ReasonTransaction: the callback has no state, or the browser has no pending login with that state. Status: 400. Operator: nothing for single ones, such as a late login; many for one user are login CSRF attempts.
	ReasonTransaction gatehouse.Reason = "signin_transaction"
	// ReasonResponse: the callback is not a GET request, or its query is malformed. Status: 400. Operator: have the client registration use the response mode query.
	ReasonResponse gatehouse.Reason = "signin_response"
	// ReasonLogoutToken: the back-channel logout request has no valid logout token. Status: 400. Operator: see the cause; check that the issuer and the client match the registration.
	ReasonLogoutToken gatehouse.Reason = "signin_logout_token"
	// ReasonUnavailable: the authorization server or its keys are unavailable. Status: 503. Operator: check the authorization server and the network.
	ReasonUnavailable gatehouse.Reason = "signin_unavailable"
)

var (
	errState         = errors.New("signin: response: state: required exactly once")
	errTransaction   = errors.New("signin: cookie: contains no login transaction")
	errMethod        = errors.New("signin: callback: method must be GET")
	errQuery         = errors.New("signin: callback: malformed query")
	errLogoutRequest = errors.New("signin: not a back-channel logout request")
)

// The events of package signin. A completed login is the event
// [session.EventStarted]; a rejected one is a [gatehouse.EventDecision].
const (
	// EventReturnToRejected: a return_to was not a path on this host and was
	// replaced by Home (open redirect).
	EventReturnToRejected gatehouse.EventType = "signin_return_to_rejected"
	// EventLogoutIncomplete: a session ended in this application, but the
	// authorization server did not revoke its tokens or its end session endpoint is
	// unavailable. See Cause.
	EventLogoutIncomplete gatehouse.EventType = "signin_logout_incomplete"
)
