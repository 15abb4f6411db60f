// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// The reasons why a request is rejected. Those of authorization responses are in
// package oauth, those of sessions in package session.
const (
	// ReasonNavigation: the request for the login is not a navigation, so that the user would not see the login. Status: 401. Operator: have the page send the user to the login with a link.
	ReasonNavigation gatehouse.Reason = "signin_navigation"
	// ReasonTransaction: the callback has no state, or the browser has no pending login with that state. Status: 400. Operator: nothing for single ones, such as a late login; many of one user are attempts of login CSRF.
	ReasonTransaction gatehouse.Reason = "signin_transaction"
	// ReasonResponse: the callback is not a GET request, or its query is malformed. Status: 400. Operator: have the client registration use the response mode query.
	ReasonResponse gatehouse.Reason = "signin_response"
	// ReasonLogoutToken: the back-channel logout request has no valid logout token. Status: 400. Operator: see the cause; check that the issuer and the client match the registration.
	ReasonLogoutToken gatehouse.Reason = "signin_logout_token"
	// ReasonUnavailable: the authorization server or its keys are unavailable. Status: 503. Operator: check the authorization server and the network.
	ReasonUnavailable gatehouse.Reason = "signin_unavailable"
)

var (
	errState         = errors.New("signin: the response has no state, or several")
	errTransaction   = errors.New("signin: the cookie does not hold a transaction")
	errMethod        = errors.New("signin: the method of the callback is not GET")
	errQuery         = errors.New("signin: the query of the callback is malformed")
	errLogoutRequest = errors.New("signin: not a back-channel logout request")
)

// The events of package signin. A completed login is the event
// [session.EventStarted]; a rejected one is a [gatehouse.EventDecision].
const (
	// EventReturnToRejected: a return_to did not name a path on this host, and Home
	// replaced it (open redirect).
	EventReturnToRejected gatehouse.EventType = "signin_return_to_rejected"
	// EventLogoutIncomplete: a session ended here, and the authorization server did
	// not revoke its tokens or has no end session endpoint at the moment. Cause
	// says why.
	EventLogoutIncomplete gatehouse.EventType = "signin_logout_incomplete"
)
