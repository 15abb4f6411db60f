// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// What a token endpoint tells clients, RFC 6749 section 5.2.
const (
	codeInvalidGrant gatehouse.Code = "invalid_grant"
	codeInvalidScope gatehouse.Code = "invalid_scope"
)

// What has happened to a family that nobody had asked to end.
var (
	errReused = errors.New("jwtauth: the token was used before, so one of two is a thief; the family has ended and all who hold a token of it have to log in again")
	errClient = errors.New("jwtauth: another client than its own has presented the token; the family has ended and all who hold a token of it have to log in again")
)

// observe tells the observer what has been decided on a token of a family, which
// is zero where the token has not shown that it belongs to one. It returns an
// error if the decision could not be recorded.
func (t *RefreshTokens) observe(ctx context.Context, start time.Time, f Family, refused refusal) error {
	event := gatehouse.Event{Reason: refused.reason, Issuer: t.issuer, Credential: f.ID, Duration: time.Since(start)}
	if f.ID != "" {
		event.Principal = gatehouse.Principal{
			Kind: gatehouse.KindUser, Subject: f.Subject, Issuer: t.issuer, Tenant: f.Tenant, Client: f.Client,
			Credential: f.ID, Scopes: f.Scopes, AuthTime: f.AuthTime, Expires: f.Expires,
		}
	}
	switch {
	case refused.err == nil:
		event.Decision = gatehouse.Allowed
	case errors.Is(refused.err, ErrInvalidGrant):
		event.Decision, event.Code, event.Status = gatehouse.Refused, codeInvalidGrant, http.StatusBadRequest
		if refused.reason == gatehouse.ReasonRefreshReused {
			event.Cause = errReused
		} else if refused.reason == gatehouse.ReasonRefreshClient {
			event.Cause = errClient
		}
	case errors.Is(refused.err, ErrInvalidScope):
		event.Decision, event.Code, event.Status = gatehouse.Refused, codeInvalidScope, http.StatusBadRequest
	default:
		event.Decision, event.Code, event.Status = gatehouse.Unavailable, gatehouse.CodeTemporarilyUnavailable, http.StatusServiceUnavailable
		event.Cause = refused.err
	}
	if err := t.observer.Observe(ctx, event); err != nil {
		return fmt.Errorf("jwtauth: the observer has failed: %w", err)
	}
	return nil
}
