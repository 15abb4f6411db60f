// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// LogoutURL returns where a browser is to be sent to end the session at the
// server too: OpenID Connect RP-Initiated Logout 1.0. Of the tokens, the ID token
// says whose session it is; returnTo is one of the addresses that are registered
// for it, or empty. The error wraps [ErrNotOffered] if the server has no such
// address.
func (c *Client) LogoutURL(ctx context.Context, tokens Tokens, returnTo string) (string, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return "", err
	}
	if p.EndSessionEndpoint == "" {
		return "", fmt.Errorf("oauth: end session endpoint: %w", ErrNotOffered)
	}
	address, err := url.Parse(p.EndSessionEndpoint)
	if err != nil {
		return "", fmt.Errorf("oauth: end session endpoint: %w", withoutURL(err))
	}
	params := address.Query()
	params.Set("client_id", c.id)
	if tokens.ID.Len() > 0 {
		params.Set("id_token_hint", string(tokens.ID.Reveal()))
	}
	if returnTo != "" {
		params.Set("post_logout_redirect_uri", returnTo)
	}
	address.RawQuery = params.Encode()
	return address.String(), nil
}

// Logout is what a logout token says: whose session ends, or which one.
type Logout struct {
	Subject   string // "" if SessionID says it all
	SessionID string // of the server, as in [Result]; "" for all of Subject
	ID        string // jti: a token that comes twice is to be obeyed once
}

// logoutEvent is the claim that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

var errLogoutToken = errors.New("oauth: is no logout token")

// LogoutToken verifies the logout_token that the server has sent, OpenID Connect
// Back-Channel Logout 1.0 section 2.6. The error wraps [ErrUnavailable] if it
// cannot be told.
func (c *Client) LogoutToken(ctx context.Context, token string) (Logout, error) {
	if c.statements == nil {
		return Logout{}, errNoKeys
	}
	s, err := c.statements.Verify(ctx, token)
	if err != nil {
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code == gatehouse.CodeTemporarilyUnavailable {
			return Logout{}, errors.Join(ErrUnavailable, err)
		}
		return Logout{}, err
	}
	var claims struct {
		SessionID string                     `json:"sid"`
		ID        string                     `json:"jti"`
		Nonce     json.RawMessage            `json:"nonce"`
		Events    map[string]json.RawMessage `json:"events"`
	}
	if err := s.Claims.Decode(&claims); err != nil {
		return Logout{}, err
	}
	// §2.4: of the event, "the corresponding member value MUST be a JSON object".
	event := strings.HasPrefix(string(claims.Events[logoutEvent]), "{")
	switch {
	// §2.6: an explicit type keeps ID tokens apart; without it, the event does.
	case !strings.EqualFold(s.Type, "logout+jwt") && s.Type != "" && !strings.EqualFold(s.Type, "JWT"):
		return Logout{}, errLogoutToken
	// §2.4: "A Logout Token MUST contain either a sub or a sid Claim, and MAY
	// contain both." "The following Claim MUST NOT be used within the Logout
	// Token: nonce".
	case !event, claims.Nonce != nil, claims.ID == "", s.Subject == "" && claims.SessionID == "":
		return Logout{}, errLogoutToken
	}
	return Logout{Subject: s.Subject, SessionID: claims.SessionID, ID: claims.ID}, nil
}
