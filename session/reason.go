// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// Method is the value of [gatehouse.Principal.Method] for a caller with a session.
const Method gatehouse.Method = "session"

// The reasons for rejected requests and calls.
const (
	// ReasonUnknown: the session is expired, ended or renewed, or the cookie was forged. Status: 401. Operator: nothing; many from one client are attempts to guess.
	ReasonUnknown gatehouse.Reason = "session_unknown"
	// ReasonMalformed: the value of the cookie does not have the format of a session cookie. Status: 401. Operator: look for another application that uses the same cookie name; otherwise treat it as an attack.
	ReasonMalformed gatehouse.Reason = "session_malformed"
	// ReasonOtherCredential: the caller is authenticated by another credential than a session. Status: 403. Operator: put the route behind sessions only, or have the handler check Principal.Method.
	ReasonOtherCredential gatehouse.Reason = "session_other_credential"
	// ReasonOtherUser: the page that sent the request shows another user than that of the session. Status: 409. Operator: nothing; the page loads the signed-in user again.
	ReasonOtherUser gatehouse.Reason = "session_other_user"
	// ReasonNoUser: the route requires the tag of the user that the page shows, and the request has none, or its form is malformed. Status: 400. Operator: have the page send the header or the form field that the cause names.
	ReasonNoUser gatehouse.Reason = "session_no_user"
	// ReasonNoTokens: the session has no valid access token and no means to refresh it. Status: 401. Operator: request offline_access, and keep each key of the keyring until the sessions that it sealed have ended; see the cause.
	ReasonNoTokens gatehouse.Reason = "session_no_tokens"
	// ReasonSignedOut: the authorization server rejects the refresh token, and the session has ended. Status: 401. Operator: nothing for single ones; many may be a stolen refresh token that was used (reuse detection).
	ReasonSignedOut gatehouse.Reason = "session_signed_out"
	// ReasonRefreshUnavailable: the authorization server is unavailable and the access token is expired. Status: 503. Operator: check the authorization server.
	ReasonRefreshUnavailable gatehouse.Reason = "session_refresh_unavailable"
	// ReasonStoreUnavailable: the session store is unavailable, or the call was canceled. Status: 503. Operator: check the store that the cause names.
	ReasonStoreUnavailable gatehouse.Reason = "session_store_unavailable"
)

var errOtherCredential = errors.New("session: the caller is not authenticated by a session")

// storeError returns the error for an error of the store.
func storeError(id string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: ReasonUnknown, Credential: id}
	}
	return unavailable(id, err)
}

func unavailable(id string, err error) error {
	return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonStoreUnavailable, Credential: id, Cause: err}
}

// noTokens returns the error for tokens that are missing or do not open. It is 401,
// because a login gets new tokens.
func noTokens(id string, err error) error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: ReasonNoTokens, Credential: id, Cause: err}
}
