// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// The reasons for rejected requests. The reasons for authorization responses
// are in package oauth, those for sessions in package session.
const (
	// ReasonNavigation: the request for the login is not a navigation, so the user would not see
	// the login. Status: 401. Operator: have the page send the user to the login with a link.
	ReasonNavigation gatehouse.Reason = "signin_navigation"
	// ReasonTransaction: the callback has no state, or the browser has no pending login with that state. Status: 400. Operator: nothing for a single one, such as a login that took too long; many for one user are login CSRF attempts.
	ReasonTransaction gatehouse.Reason = "signin_transaction"
	// ReasonResponse: the callback is not a GET request, or its query is malformed. Status: 400. Operator: have the client registration use the response mode query.
	ReasonResponse gatehouse.Reason = "signin_response"
	// ReasonStepUp: the login is not as strong or as recent as requested, or Config.ACRValues exclude what is requested. Status: 403. Operator: see the cause; check that the authorization server obeys acr_values, max_age and prompt, and the clocks.
	ReasonStepUp gatehouse.Reason = "signin_step_up"
	// ReasonNotAllowed: Config.Admit does not admit this user. Status: 403. Operator: nothing, or
	// add the group or the domain that the cause names.
	ReasonNotAllowed gatehouse.Reason = "signin_not_allowed"
	// ReasonGroups: Config.Admit.Groups is set, and the groups of the user are unknown. Status: 403. Operator: see the cause; have the authorization server send the groups of this application.
	ReasonGroups gatehouse.Reason = "signin_groups"
	// ReasonProvider: the metadata of the authorization server show that no login can complete with
	// this configuration. Status: 503. Operator: see the cause, such as Config.Client.Algorithms;
	// call Ready at start.
	ReasonProvider gatehouse.Reason = "signin_provider"
	// ReasonPath: the handler receives another path than the one of RedirectURI. Status: 404. Operator: have the proxy keep the path prefix.
	ReasonPath gatehouse.Reason = "signin_path"
	// ReasonLogoutToken: the back-channel logout request has no valid logout token. Status: 400. Operator: see the cause; check that the issuer and the client match the registration.
	ReasonLogoutToken gatehouse.Reason = "signin_logout_token"
	// ReasonUnavailable: the authorization server or its keys are unavailable. Status: 503. Operator: check the authorization server and the network.
	ReasonUnavailable gatehouse.Reason = "signin_unavailable"
)

// CodePath is the code for a path that a proxy has shortened.
var CodePath = gatehouse.NewCode(http.StatusNotFound, "path_changed", "A proxy in front of this application has changed the path of the address.")

var (
	errState         = errors.New("signin: response: state: required exactly once")
	errTransaction   = errors.New("signin: cookie: contains no login transaction")
	errLate          = errors.New("signin: callback: the login took longer than 10 minutes")
	errSameUser      = errors.New("signin: not revoked, because the browser has a session of the same user")
	errPath          = errors.New("signin: the path is not that of RedirectURI: have the proxy keep the path prefix")
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
	// EventTokensDropped: a login was refused after the authorization server had issued
	// tokens, and they are not revoked. See Cause.
	EventTokensDropped gatehouse.EventType = "signin_tokens_dropped"
)
