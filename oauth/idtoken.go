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

// idToken is a verified ID token.
type idToken struct {
	jwtauth.VerifiedJWT
	nonce     string
	sessionID string
	authTime  time.Time
}

var (
	errNoKeys  = errors.New("oauth: issuer keys: not configured: set Config.IDTokenKeys or Provider.JWKSURI")
	errType    = errors.New("oauth: not an ID token")
	errSubject = errors.New("oauth: ID token: sub: missing")
	errParty   = errors.New("oauth: ID token: aud or azp: issued to another client")
	errNonce   = errors.New("oauth: ID token: nonce: differs from that of the transaction")
	errAge     = errors.New("oauth: ID token: auth_time: missing or older than MaxAge")
)

// verify verifies a JWT of the issuer for this client. The error wraps
// [ErrUnavailable] if the keys are unavailable.
func (c *Client) verify(ctx context.Context, token string, response bool) (jwtauth.VerifiedJWT, error) {
	if c.verifier == nil {
		return jwtauth.VerifiedJWT{}, errNoKeys
	}
	verify := c.verifier.Verify
	if response {
		verify = c.verifier.VerifyResponse
	}
	s, err := verify(ctx, token)
	if err == nil {
		return s, nil
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	switch {
	case ok && e.Code == gatehouse.CodeTemporarilyUnavailable:
		return jwtauth.VerifiedJWT{}, errors.Join(ErrUnavailable, err)
	case ok && e.Cause != nil: // the cause tells the operator more than the reason does
		return jwtauth.VerifiedJWT{}, fmt.Errorf("oauth: verify JWT: %s: %w", e.Reason, e.Cause)
	}
	return jwtauth.VerifiedJWT{}, err
}

// verifyIDToken verifies an ID token, OpenID Connect Core 1.0 section 3.1.3.7:
// issuer, audience, signature by a configured algorithm, times, and the
// authorized party. The error wraps [ErrUnavailable] if the keys are unavailable.
//
// Implements ASVS 5.0 §9.2.2, §10.5.4; OIDC Back-Channel Logout §2.6 (kind);
// OIDC Core §3.1.3.7 (step 4, step 6).
func (c *Client) verifyIDToken(ctx context.Context, token gatehouse.Secret) (idToken, error) {
	s, err := c.verify(ctx, string(token.Reveal()), false)
	if err != nil {
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
	// OIDC Core §2: azp is "the party to which the ID Token was issued. If present, it
	// MUST contain the OAuth 2.0 Client ID of this party." With several audiences, azp is
	// required.
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

// fits checks that a verified ID token belongs to the transaction.
//
// Implements RFC 9700 §2.1.1 (injection); ASVS 5.0 §6.8.4, §10.5.1; OIDC Core
// §3.1.3.7 (step 11, step 13).
func (id idToken) fits(t transaction, skew time.Duration) error {
	// OIDC Core §3.1.3.7 (step 11): "If a nonce value was sent in the
	// Authentication Request, a nonce Claim MUST be present and its value checked".
	if t.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.nonce), []byte(t.Nonce)) != 1 {
		return errNonce
	}
	if t.MaxAge > 0 && time.Since(id.authTime) > time.Duration(t.MaxAge)*time.Second+skew {
		return errAge
	}
	return nil
}
