// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// idToken is what a verified ID token says.
type idToken struct {
	jwtauth.VerifiedJWT
	nonce     string
	sessionID string
	authTime  time.Time
}

var (
	errNoKeys  = errors.New("oauth: nothing says where the keys of the issuer are: Config.IDTokenKeys or Provider.JWKSURI")
	errType    = errors.New("oauth: is no ID token")
	errSubject = errors.New("oauth: the ID token has no sub")
	errParty   = errors.New("oauth: the ID token was issued to another client")
	errNonce   = errors.New("oauth: the ID token is of another login")
	errAge     = errors.New("oauth: the ID token does not say that the login was recent enough")
)

// verifyIDToken verifies what is to be verified in every ID token, OpenID
// Connect Core 1.0 section 3.1.3.7: its issuer, its audience, its signature by a
// configured algorithm, its time, and that it was issued to this client. An
// error that wraps [ErrUnavailable] says that it could not be told.
func (c *Client) verifyIDToken(ctx context.Context, token gatehouse.Secret) (idToken, error) {
	if c.statements == nil {
		return idToken{}, errNoKeys
	}
	s, err := c.statements.Verify(ctx, string(token.Reveal()))
	if err != nil {
		e, ok := errors.AsType[*gatehouse.Error](err)
		switch {
		case ok && e.Code == gatehouse.CodeTemporarilyUnavailable:
			return idToken{}, errors.Join(ErrUnavailable, err)
		case ok && e.Cause != nil: // for the operator it says more than the reason does
			return idToken{}, fmt.Errorf("oauth: the ID token: %s: %w", e.Reason, e.Cause)
		}
		return idToken{}, err
	}
	var claims struct {
		Audience  json.RawMessage `json:"aud"`
		Party     string          `json:"azp"`
		Nonce     string          `json:"nonce"`
		SessionID string          `json:"sid"`
		AuthTime  json.Number     `json:"auth_time"`
		Events    json.RawMessage `json:"events"`
	}
	if err := s.Claims.Decode(&claims); err != nil {
		return idToken{}, err
	}
	if s.Type != "" && !strings.EqualFold(s.Type, "JWT") || claims.Events != nil {
		return idToken{}, errType
	}
	if s.Subject == "" {
		return idToken{}, errSubject
	}
	// OpenID Connect Core 1.0 §2: azp is "the party to which the ID Token was
	// issued. If present, it MUST contain the OAuth 2.0 Client ID of this party."
	// Of several audiences, it says which one is meant.
	all, _ := audiences(string(claims.Audience))
	if claims.Party != "" && claims.Party != c.id || claims.Party == "" && len(all) > 1 {
		return idToken{}, errParty
	}
	id := idToken{VerifiedJWT: s, nonce: claims.Nonce, sessionID: claims.SessionID}
	if claims.AuthTime != "" {
		whole, _, _ := strings.Cut(claims.AuthTime.String(), ".")
		id.authTime, _ = date(whole)
	}
	return id, nil
}

// fits tells whether a verified ID token is the one of a login.
func (id idToken) fits(t transaction, skew time.Duration) error {
	// OpenID Connect Core 1.0 §3.1.3.7, 11: "If a nonce value was sent in the
	// Authentication Request, a nonce Claim MUST be present and its value checked".
	if t.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.nonce), []byte(t.Nonce)) != 1 {
		return errNonce
	}
	if t.MaxAge > 0 && time.Since(id.authTime) > time.Duration(t.MaxAge)*time.Second+skew {
		return errAge
	}
	return nil
}
