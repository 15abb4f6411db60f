// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
)

// Method is the value of Principal.Method in events about refresh tokens.
const Method gatehouse.Method = "refresh_token"

// Types of events.
const (
	// EventRotation: a decision on a refresh token that a client presented for rotation,
	// or that the wrong client tried to revoke.
	EventRotation gatehouse.EventType = "refresh_rotation"
	// EventBegun: a token family was created.
	EventBegun gatehouse.EventType = "refresh_begun"
	// EventRevocation: token families were revoked on request. Revocation by reuse
	// detection is an EventRotation.
	EventRevocation gatehouse.EventType = "refresh_revocation"
	// EventMemoryStore: [New] was called with a [Memory]. Use it in development only: its
	// families exist in one process, and are lost when the process ends.
	EventMemoryStore gatehouse.EventType = "refresh_memory_store"
)

// Attributes of EventRevocation: the subject and the client whose families were
// revoked, "" for any, and their number.
const (
	AttrSubject = "family_subject"
	AttrClient  = "family_client"
	AttrCount   = "count"
)

// Codes of RFC 6749 section 5.2 and RFC 7009 section 2.2.1. An invalid_client is 401 if
// the client used the Authorization header.
var (
	codeInvalidRequest       = gatehouse.NewCode(400, "invalid_request", "The request is malformed, repeats a parameter, or lacks a required one.")
	codeInvalidClient        = gatehouse.NewCode(400, "invalid_client", "The client is unknown, or its authentication is missing or failed.")
	codeInvalidClientHeader  = gatehouse.NewCode(401, "invalid_client", "The client is unknown, or its authentication is missing or failed.")
	codeUnsupportedGrantType = gatehouse.NewCode(400, "unsupported_grant_type", "The grant type is not supported.")
	codeUnsupportedTokenType = gatehouse.NewCode(400, "unsupported_token_type", "The revocation of access tokens is not supported.")
	codeInvalidGrant         = gatehouse.NewCode(400, "invalid_grant", "The refresh token is invalid, expired, revoked, or was issued to another client.")
	codeInvalidScope         = gatehouse.NewCode(400, "invalid_scope", "The requested scope is malformed or exceeds the granted scope.")
)

// codeOf returns the code for an error of Rotate or Revoke.
func codeOf(err error) gatehouse.Code {
	switch {
	case errors.Is(err, ErrInvalidGrant):
		return codeInvalidGrant
	case errors.Is(err, ErrInvalidScope):
		return codeInvalidScope
	}
	return gatehouse.CodeTemporarilyUnavailable
}

// storeFailed returns the error of a method of Tokens after a failed call of the store:
// 503, unless err is ErrNotFound.
func storeFailed(method string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("refresh: %s: %w", method, err)
	}
	return fmt.Errorf("refresh: %s: %w: %w", method, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonUnavailable}, err)
}

// Reasons of events about refresh tokens.
const (
	// ReasonMalformed: the text is not a refresh token, or the client_id is missing or malformed. Status: 400. Operator: check the client if it is one of your own clients; otherwise nothing.
	ReasonMalformed gatehouse.Reason = "refresh_malformed"
	// ReasonUnknown: the token family does not exist, was removed after it expired, or has a different family secret. Status: 400. Operator: many of these are attempts to guess tokens, or a store that lost its data.
	ReasonUnknown gatehouse.Reason = "refresh_unknown"
	// ReasonExpired: the token family has reached its absolute timeout. Status: 400. Operator: nothing; the user logs in again.
	ReasonExpired gatehouse.Reason = "refresh_expired"
	// ReasonRevoked: the token family is revoked. Status: 400. Operator: nothing; the user logs in again.
	ReasonRevoked gatehouse.Reason = "refresh_revoked"
	// ReasonReused: a token was presented again after it was rotated, so it may be stolen; its family is revoked. Status: 400. Operator: alert, and warn the user.
	ReasonReused gatehouse.Reason = "refresh_reused"
	// ReasonClient: another client presented the token, which may be stolen; its family is revoked. Status: 400. Operator: alert, and look at the client that presented it.
	ReasonClient gatehouse.Reason = "refresh_client"
	// ReasonScope: the client asked for a scope that was not granted. Status: 400. Operator: correct the client or the grant.
	ReasonScope gatehouse.Reason = "refresh_scope"
	// ReasonRequest: a request to the token or revocation endpoint is malformed, or has an unsupported grant type or token type. Status: 400. Operator: correct the client; the cause names the parameter.
	ReasonRequest gatehouse.Reason = "refresh_request"
	// ReasonClientAuthentication: the client of the token or revocation endpoint is unknown or failed to authenticate. Status: 400, 401. Operator: check the credentials of the client; many of these are attempts to guess them.
	ReasonClientAuthentication gatehouse.Reason = "refresh_client_authentication"
	// ReasonAccessToken: the access token could not be completed or signed. Status: 503. Operator: see the cause; check the signing keys and the AccessToken hook.
	ReasonAccessToken gatehouse.Reason = "refresh_access_token"
	// ReasonUnavailable: the store of token families or of revocations failed, or the ClientAuthenticator failed. Status: 503. Operator: see the cause; clients retry.
	ReasonUnavailable gatehouse.Reason = "refresh_unavailable"
)
