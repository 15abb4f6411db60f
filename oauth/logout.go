// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// EndSessionURL returns the URL that ends the user's session at the
// authorization server, OpenID Connect RP-Initiated Logout 1.0. The ID token of
// tokens, if present, is sent as id_token_hint. After the logout the browser
// returns to postLogoutRedirectURI, which must be registered, or "" for none.
// The error wraps [ErrNotOffered] if the metadata contain no end session
// endpoint.
//
// Implements OIDC RP-Initiated Logout §2 (endpoint, hint).
func (c *Client) EndSessionURL(ctx context.Context, tokens Tokens, postLogoutRedirectURI string) (string, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return "", err
	}
	if p.EndSessionEndpoint == "" {
		return "", fmt.Errorf("oauth: end session endpoint: %w", ErrNotOffered)
	}
	address, err := url.Parse(p.EndSessionEndpoint)
	if err != nil {
		return "", errors.New("oauth: end session endpoint: malformed URL")
	}
	params := address.Query()
	params.Set("client_id", c.id)
	if tokens.ID.Len() > 0 {
		params.Set("id_token_hint", string(tokens.ID.Reveal()))
	}
	if postLogoutRedirectURI != "" {
		params.Set("post_logout_redirect_uri", postLogoutRedirectURI)
	}
	address.RawQuery = params.Encode()
	return address.String(), nil
}

// LogoutToken is a verified logout token: it identifies the sessions to end.
type LogoutToken struct {
	Subject   string // "" if SessionID identifies one session
	SessionID string // sid, as in [Result]; "" for all sessions of Subject
	ID        string // jti, for the detection of replays
}

// logoutEvent is the member of events that makes a JWT a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

var errLogoutToken = errors.New("oauth: not a logout token")

// VerifyLogoutToken verifies a logout token, OpenID Connect Back-Channel Logout
// 1.0 section 2.6. It does not detect replays: the caller checks the ID. The
// error wraps [ErrUnavailable] if the keys are unavailable.
//
// Implements ASVS 5.0 §9.2.2, §10.5.5; OIDC Back-Channel Logout §2.4 (claims,
// event, sub or sid, nonce), §2.6 (validation, kind).
func (c *Client) VerifyLogoutToken(ctx context.Context, token string) (LogoutToken, error) {
	s, err := c.verify(ctx, token, false)
	if err != nil {
		return LogoutToken{}, err
	}
	var claims struct {
		SessionID string                     `json:"sid"`
		ID        string                     `json:"jti"`
		Nonce     json.RawMessage            `json:"nonce"`
		Events    map[string]json.RawMessage `json:"events"`
	}
	if err := s.Claims.Decode(&claims); err != nil {
		return LogoutToken{}, err
	}
	// OIDC Back-Channel Logout §2.4 (event): for the event, "the corresponding member
	// value MUST be a JSON object".
	event := strings.HasPrefix(string(claims.Events[logoutEvent]), "{")
	switch {
	// OIDC Back-Channel Logout §2.6 (kind): an explicit type distinguishes logout tokens
	// from ID tokens; without a type, the event does.
	case !strings.EqualFold(s.Type, "logout+jwt") && s.Type != "" && !strings.EqualFold(s.Type, "JWT"):
		return LogoutToken{}, errLogoutToken
	// OIDC Back-Channel Logout §2.4 (sub or sid): "A Logout Token MUST contain
	// either a sub or a sid Claim, and MAY contain both." "The following Claim
	// MUST NOT be used within the Logout Token: nonce".
	case !event, claims.Nonce != nil, claims.ID == "", s.Subject == "" && claims.SessionID == "":
		return LogoutToken{}, errLogoutToken
	}
	return LogoutToken{Subject: s.Subject, SessionID: claims.SessionID, ID: claims.ID}, nil
}
