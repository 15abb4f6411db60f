// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/tokens"
)

// ErrSignedOut is returned by [Config].Refresh if the authorization server rejects
// the refresh token: the session ends and the user has to log in again.
var ErrSignedOut = errors.New("session: the authorization server rejects the refresh token")

// Tokens are the tokens of an authorization server: Access, Refresh and ID
// (each a [gatehouse.Secret], Refresh and ID may be empty), the granted Scopes,
// and Expires, the expiry of the access token. The store contains them sealed.
// The package oauth uses the same type.
type Tokens = tokens.Tokens

// sealedTokens is the content of the sealed value.
type sealedTokens struct {
	Access   []byte           `json:"access"`
	Refresh  []byte           `json:"refresh,omitempty"`
	ID       []byte           `json:"id,omitempty"`
	Scopes   gatehouse.Scopes `json:"scope,omitzero"`
	Expires  time.Time        `json:"expires"`
	Received time.Time        `json:"received"`
	DPoP     bool             `json:"dpop,omitempty"`
}

const (
	tokensPurpose = "session tokens"

	// sealMargin is the time by which a seal outlasts its session, because clocks differ.
	sealMargin = 24 * time.Hour
)

var (
	errNoTokens = errors.New("session: the session has no tokens")
	errNoKeys   = errors.New("session: Config.Keys: required for sessions with tokens")
)

// seal returns the sealed tokens of a session that expires at the given time. The seal is
// bound to this session, so that an attacker with write access to the store cannot move
// the tokens to another one.
//
// Implements RFC 10017 §6.1; ASVS 5.0 §10.1.1.
func (m *Manager) seal(id string, t Tokens, expires time.Time) (string, error) {
	if t.Access.Len() == 0 {
		return "", nil
	}
	if m.keys == nil {
		return "", errNoKeys
	}
	value, err := json.Marshal(sealedTokens{t.Access.Reveal(), t.Refresh.Reveal(), t.ID.Reveal(), t.Scopes, t.Expires, time.Now(), t.DPoP})
	if err != nil {
		return "", errors.New("session: encode tokens: failed") // the error could contain a part of them
	}
	return m.keys.Seal(id, tokensPurpose, value, expires.Add(sealMargin)), nil
}

// open returns the tokens of a record and the time at which they are due for a refresh.
func (m *Manager) open(r *Record) (Tokens, time.Time, error) {
	if r.Tokens == "" {
		return Tokens{}, time.Time{}, errNoTokens
	}
	if m.keys == nil {
		return Tokens{}, time.Time{}, errNoKeys
	}
	value, err := m.keys.Open(r.ID, tokensPurpose, r.Tokens)
	if err != nil {
		return Tokens{}, time.Time{}, err
	}
	var s sealedTokens
	if err := json.Unmarshal(value, &s); err != nil {
		return Tokens{}, time.Time{}, errors.New("session: stored tokens: malformed")
	}
	t := Tokens{
		Access: gatehouse.NewSecret(s.Access), Refresh: gatehouse.NewSecret(s.Refresh), ID: gatehouse.NewSecret(s.ID),
		Scopes: s.Scopes, Expires: s.Expires, DPoP: s.DPoP,
	}
	return t, dueAt(s.Received, s.Expires), nil
}

// maxEarly is the maximum time before their expiry at which tokens are refreshed.
const maxEarly = 30 * time.Second

// dueAt returns when tokens are due for a refresh: 30 s before their expiry, or in
// the last quarter of a shorter lifetime.
func dueAt(received, expires time.Time) time.Time {
	return expires.Add(-min(maxEarly, max(expires.Sub(received)/4, 0)))
}
