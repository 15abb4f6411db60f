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

// Tokens are the tokens of an authorization server: Access, Refresh and ID (each a
// [gatehouse.Secret], Refresh and ID may be empty), the granted Scopes, and
// Expires, the expiry of the access token. The store holds them sealed. The
// package oauth uses the same type.
type Tokens = tokens.Tokens

// sealedTokens is what is sealed.
type sealedTokens struct {
	Access  []byte    `json:"access"`
	Refresh []byte    `json:"refresh,omitempty"`
	ID      []byte    `json:"id,omitempty"`
	Scopes  string    `json:"scope,omitempty"`
	Expires time.Time `json:"expires"`
	Came    time.Time `json:"came"`
}

const (
	tokensPurpose = "session tokens"

	// sealMargin is how much longer a seal lasts than its session, so that
	// clocks that do not agree do not break it early.
	sealMargin = 24 * time.Hour
)

var errNoKeys = errors.New("session: Config.Keys: required where tokens are kept")

// seal returns the tokens as the store has them. They open for this session
// only: who can write to the store cannot give them to another one.
func (m *Manager) seal(id string, t Tokens) (string, error) {
	if t.Access.Len() == 0 {
		return "", nil
	}
	if m.keys == nil {
		return "", errNoKeys
	}
	value, err := json.Marshal(sealedTokens{
		t.Access.Reveal(), t.Refresh.Reveal(), t.ID.Reveal(), t.Scopes.String(), t.Expires, time.Now(),
	})
	if err != nil {
		return "", errors.New("session: the tokens cannot be kept") // the error could hold a part of them
	}
	return m.keys.Seal(id, tokensPurpose, value, time.Now().Add(m.absolute+sealMargin)), nil
}

// open returns the tokens of a record and from when on they should be renewed.
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
		return Tokens{}, time.Time{}, errors.New("session: the stored tokens cannot be read")
	}
	scopes, err := gatehouse.ParseScopes(s.Scopes)
	if err != nil {
		return Tokens{}, time.Time{}, err
	}
	t := Tokens{
		Access: gatehouse.NewSecret(s.Access), Refresh: gatehouse.NewSecret(s.Refresh), ID: gatehouse.NewSecret(s.ID),
		Scopes: scopes, Expires: s.Expires,
	}
	return t, dueAt(s.Came, s.Expires), nil
}

// maxEarly is how long before their end tokens are renewed at most.
const maxEarly = 30 * time.Second

// dueAt returns when tokens that came and expire then should be renewed: half a
// minute early, or in the last quarter of a short life.
func dueAt(came, expires time.Time) time.Time {
	return expires.Add(-min(maxEarly, max(expires.Sub(came)/4, 0)))
}
