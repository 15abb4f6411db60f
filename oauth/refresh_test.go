// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// TestRefresh: the result has what the response omits, and an ID token in the
// response must be valid and about the same user, OIDC Core §12.2.
//
// Covers RFC 6749 §6 (replace); RFC 9700 §2.2.2; OIDC Core §12.2 (iss and sub, nonce).
func TestRefresh(t *testing.T) {
	for name, test := range map[string]struct {
		reply   func(*providertest.Server) object
		refresh string // "" for an error
		newID   bool
		down    bool // the error wraps ErrUnavailable
	}{
		"rotated":          {func(*providertest.Server) object { return nil }, "refresh-2", false, false},
		"not rotated":      {func(*providertest.Server) object { return object{"refresh_token": nil} }, "refresh-1", false, false},
		"same nonce":       {idToken("nonce", "n"), "refresh-2", true, false},
		"no nonce":         {idToken("nonce", nil), "refresh-2", true, false},
		"another nonce":    {idToken("nonce", "m"), "", false, true},
		"another sub":      {idToken("sub", "eve"), "", false, true},
		"no sub":           {idToken("sub", nil), "", false, false},
		"no token type":    {func(*providertest.Server) object { return object{"token_type": "N_A"} }, "", false, true},
		"another issuer":   {idToken("iss", "https://evil.example"), "", false, false},
		"another client":   {idToken("aud", "other"), "", false, false},
		"forged":           {func(*providertest.Server) object { return object{"id_token": forged()} }, "", false, false},
		"keys unavailable": {func(s *providertest.Server) object { s.Routes["/jwks"] = down; return idToken("nonce", "n")(s) }, "refresh-2", false, false},
	} {
		s := providertest.New(t)
		first := oauth.Tokens{Refresh: secret("refresh-1"), Scopes: scopes("a"), ID: secret(s.IDToken("n"))}
		s.Reply = test.reply(s)
		got, err := s.Client().Refresh(t.Context(), first)
		if test.refresh == "" {
			if err == nil || !reflect.ValueOf(got).IsZero() || errors.Is(err, oauth.ErrUnavailable) != test.down {
				t.Errorf("%s: Refresh = %+v, %v, want an error that wraps %v: %t", name, got, err, oauth.ErrUnavailable, test.down)
			}
			continue
		}
		if err != nil || reveal(got.Access) != "access-2" || reveal(got.Refresh) != test.refresh || got.Scopes != first.Scopes || got.ID.Equal(first.ID) == test.newID {
			t.Errorf("%s: Refresh = %+v, %v, want %s and a new ID token: %t", name, got, err, test.refresh, test.newID)
		}
	}
	s := providertest.New(t)
	if _, err := s.Client().Refresh(t.Context(), oauth.Tokens{}); err == nil {
		t.Error("Refresh without a refresh token: error = nil")
	}
	s.Routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		if got := r.PostFormValue("refresh_token"); got != "refresh-1" {
			t.Errorf("refresh_token = %q, want refresh-1", got)
		}
		raw(200, `{"access_token":"x","token_type":"Bearer"}`)(w, r)
	}
	if _, err := s.Client().Refresh(t.Context(), oauth.Tokens{Access: secret("access-1"), Refresh: secret("refresh-1"), ID: secret(s.IDToken("n"))}); err != nil {
		t.Errorf("Refresh error = %v", err)
	}
	delete(s.Routes, "/token")
	// Without configured keys, the ID token cannot be verified and the old one stays.
	s.Reply = object{"id_token": s.IDToken("")}
	first := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret("old")}
	if got, err := s.Client(keyless).Refresh(t.Context(), first); err != nil || !got.ID.Equal(first.ID) {
		t.Errorf("Refresh without configured keys = %+v, %v, want the old ID token", got, err)
	}
	if got, err := s.Client().Refresh(t.Context(), oauth.Tokens{Refresh: secret("refresh-1")}); err != nil || got.ID.Len() == 0 {
		t.Errorf("Refresh without an old ID token = %+v, %v, want the new one", got, err)
	}
	// An ID token that was refreshed without a nonce can be refreshed again.
	s.Claims = func(claims object) { claims["nonce"] = nil }
	first.ID, s.Claims = secret(s.IDToken("")), func(object) {}
	s.Reply = object{"id_token": s.IDToken("n")}
	if _, err := s.Client().Refresh(t.Context(), first); err != nil {
		t.Errorf("Refresh of an ID token without a nonce: error = %v", err)
	}
	s.Reply = idToken("sub", "eve")(s)
	if got, err := s.Client().Refresh(t.Context(), first); err == nil {
		t.Errorf("Refresh of an ID token without a nonce = %+v, nil with the ID token of another subject, want an error", got)
	}
}

// idToken returns a reply with an ID token of which one claim differs.
func idToken(name string, value any) func(*providertest.Server) object {
	return func(s *providertest.Server) object {
		s.Claims = func(claims object) { claims[name] = value }
		return object{"id_token": s.IDToken("n")}
	}
}
