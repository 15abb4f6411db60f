// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
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

// observe tells the observer what has been decided on a token of a family, which
// is zero where the token has not shown that it belongs to one. It returns an
// error if the decision could not be recorded.
func (t *RefreshTokens) observe(ctx context.Context, start time.Time, f Family, reason gatehouse.Reason, err error) error {
	event := gatehouse.Event{
		Decision: gatehouse.Allowed, Reason: reason, Issuer: t.issuer, Credential: f.ID, Cause: err, Duration: time.Since(start),
	}
	if f.ID != "" {
		event.Principal = gatehouse.Principal{
			Kind: gatehouse.KindUser, Subject: f.Subject, Issuer: t.issuer, Tenant: f.Tenant, Client: f.Client,
			Credential: f.ID, Scopes: f.Scopes, AuthTime: f.AuthTime, Expires: f.Expires,
		}
	}
	switch {
	case err != nil:
		event.Decision, event.Code, event.Status = gatehouse.Unavailable, gatehouse.CodeTemporarilyUnavailable, http.StatusServiceUnavailable
		if reason == "" {
			event.Reason = gatehouse.ReasonRefreshUnavailable
		}
	case reason == gatehouse.ReasonRefreshScope:
		event.Decision, event.Code, event.Status = gatehouse.Refused, codeInvalidScope, http.StatusBadRequest
	case reason != "":
		event.Decision, event.Code, event.Status = gatehouse.Refused, codeInvalidGrant, http.StatusBadRequest
	}
	if err := t.observer.Observe(ctx, event); err != nil {
		return fmt.Errorf("jwtauth: the observer has failed: %w", err)
	}
	return nil
}
