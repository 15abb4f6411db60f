// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// Method is the value of Principal.Method in events about refresh tokens.
const Method gatehouse.Method = "refresh_token"

// EventRotation is the type of the event about a refresh token that a client
// presents for rotation, or that another client than its own revokes.
const EventRotation gatehouse.EventType = "refresh_rotation"

// Codes of RFC 6749 section 5.2.
var (
	codeInvalidGrant = gatehouse.NewCode(400, "invalid_grant", "The refresh token is invalid, expired, revoked, or was issued to another client.")
	codeInvalidScope = gatehouse.NewCode(400, "invalid_scope", "The requested scope is malformed or exceeds the granted scope.")
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

// Reasons of events about refresh tokens.
const (
	// ReasonMalformed: the text is not a refresh token, or the client_id is missing or malformed. Operator: check the client if it is yours; otherwise ignore.
	ReasonMalformed gatehouse.Reason = "refresh_malformed"
	// ReasonUnknown: the token family does not exist, was removed after it expired, or has another key. Operator: many of these are attempts to guess tokens, or a store that lost its data.
	ReasonUnknown gatehouse.Reason = "refresh_unknown"
	// ReasonExpired: the token family has reached its absolute timeout. Operator: none; the user logs in again.
	ReasonExpired gatehouse.Reason = "refresh_expired"
	// ReasonRevoked: the token family was revoked before. Operator: none; the user logs in again.
	ReasonRevoked gatehouse.Reason = "refresh_revoked"
	// ReasonReused: a token was presented again after it was rotated, so it may be stolen; its family is revoked. Operator: alert, and warn the user.
	ReasonReused gatehouse.Reason = "refresh_reused"
	// ReasonClient: another client presented the token, so it is stolen or mixed up; its family is revoked. Operator: alert, and look at the client that presented it.
	ReasonClient gatehouse.Reason = "refresh_client"
	// ReasonScope: the client asked for a scope that was not granted. Operator: correct the client or the grant.
	ReasonScope gatehouse.Reason = "refresh_scope"
	// ReasonUnavailable: the store of token families or of revocations failed. Operator: restore the store; clients retry.
	ReasonUnavailable gatehouse.Reason = "refresh_unavailable"
)
