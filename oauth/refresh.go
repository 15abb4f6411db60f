// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// Refresh redeems a refresh token, RFC 6749 section 6. If the response omits the refresh
// token, the scope or the ID token, the result contains that of old.
//
// An authorization server with refresh token rotation and reuse detection revokes the
// token family when a refresh token is used twice. The caller must call Refresh once with
// old, and store the result before using it; package session does both.
//
// If Refresh rejects a response, such as one with an ID token of another user, it revokes
// the tokens in it; the error says if that failed.
//
// An [*Error] with the code invalid_grant means that the user has to log in
// again. After an error that wraps [ErrUnavailable], the tokens may still be
// valid.
//
// Implements RFC 9700 §2.2.2; OIDC Core §12.2 (iss and sub, nonce).
func (c *Client) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	if old.Refresh.Len() == 0 {
		return Tokens{}, errors.New("oauth: Refresh: Tokens.Refresh: required")
	}
	t, err := c.token(ctx, c.grantRequests, url.Values{"grant_type": {grantRefresh}, "refresh_token": {string(old.Refresh.Reveal())}}, old.Scopes)
	if err != nil {
		return Tokens{}, err
	}
	// RFC 6749 §6 (replace): "The authorization server MAY issue a new refresh
	// token, in which case the client MUST discard the old refresh token and
	// replace it".
	issued := t
	if t.Refresh.Len() == 0 {
		t.Refresh = old.Refresh
	}
	if t.ID.Len() == 0 {
		t.ID = old.ID
		return t, nil
	}
	id, err := c.verifyIDToken(ctx, t.ID)
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, errNoKeys):
		// The old refresh token is already used. The new one must not be lost because an
		// optional ID token cannot be verified.
		t.ID = old.ID
		return t, nil
	case err != nil:
		return Tokens{}, withCause(err, c.discard(ctx, issued))
	}
	// OIDC Core §12.2 (iss and sub): "its sub Claim Value MUST be the same as
	// in the ID Token issued when the original authentication occurred".
	subject, nonce := claimsOf(string(old.ID.Reveal()))
	if subject != "" && subtle.ConstantTimeCompare([]byte(subject), []byte(id.Subject)) != 1 {
		return Tokens{}, withCause(malformed("token", "has an ID token of another subject"), c.discard(ctx, issued))
	}
	// The same: "it SHOULD NOT have a nonce Claim, even when the ID Token issued at
	// the time of the original authentication contained nonce; however, if it is
	// present, its value MUST be the same".
	if nonce != "" && id.nonce != "" && subtle.ConstantTimeCompare([]byte(nonce), []byte(id.nonce)) != 1 {
		return Tokens{}, withCause(malformed("token", "has an ID token with another nonce"), c.discard(ctx, issued))
	}
	return t, nil
}

// claimsOf returns the sub and the nonce of an ID token that was verified before.
func claimsOf(token string) (subject, nonce string) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, _ := base64.RawURLEncoding.DecodeString(payload)
	var claims map[string]json.RawMessage
	_ = json.Unmarshal(text, &claims)
	_ = json.Unmarshal(claims["sub"], &subject)
	_ = json.Unmarshal(claims["nonce"], &nonce)
	return subject, nonce
}
