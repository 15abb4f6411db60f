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

func TestRefresh(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	first := oauth.Tokens{Refresh: secret("refresh-1"), Scopes: scopes("a"), ID: secret(s.IDToken("n"))}
	second, err := client.Refresh(t.Context(), first)
	if err != nil || string(second.Access.Reveal()) != "access-2" || string(second.Refresh.Reveal()) != "refresh-2" ||
		second.Scopes != scopes("a") || !second.ID.Equal(first.ID) {
		t.Errorf("%+v, %v", second, err)
	}
	s.Reply = object{"refresh_token": nil, "id_token": s.IDToken("")}
	if got, err := client.Refresh(t.Context(), first); err != nil || !got.Refresh.Equal(first.Refresh) || got.ID.Equal(first.ID) {
		t.Errorf("not rotated: %+v, %v", got, err)
	}
	s.Claims = func(claims object) { claims["sub"] = "eve" }
	s.Reply = object{"id_token": s.IDToken("")}
	if _, err := client.Refresh(t.Context(), first); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("about somebody else: %v", err)
	}
	s.Reply = object{"id_token": forged()}
	if _, err := client.Refresh(t.Context(), first); err == nil {
		t.Error("a forged ID token is accepted")
	}
	if _, err := client.Refresh(t.Context(), oauth.Tokens{}); err == nil {
		t.Error("nothing was refreshed")
	}
}

// TestRefreshKeeps: the new tokens are not lost because the keys for an ID token
// cannot be had.
func TestRefreshKeeps(t *testing.T) {
	s := providertest.New(t)
	s.Routes["/jwks"] = raw(http.StatusServiceUnavailable, "")
	s.Reply = object{"id_token": s.IDToken("")}
	first := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret("old")}
	got, err := s.Client().Refresh(t.Context(), first)
	if err != nil || string(got.Refresh.Reveal()) != "refresh-2" || !got.ID.Equal(first.ID) {
		t.Errorf("%+v, %v", got, err)
	}
	// The same where nothing says which keys they are.
	c := s.Config()
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	if got, err := newClient(t, c).Refresh(t.Context(), first); err != nil || !got.ID.Equal(first.ID) {
		t.Errorf("without keys: %+v, %v", got, err)
	}
}

// TestRefreshedIDToken: OpenID Connect Core 1.0 section 12.2.
func TestRefreshedIDToken(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	first := oauth.Tokens{Refresh: secret("refresh-1"), ID: secret(s.IDToken("n"))}
	for name, test := range map[string]struct {
		claim string
		value any
		good  bool
	}{
		"the same nonce": {"nonce", "n", true}, "no nonce": {"nonce", nil, true}, "another nonce": {"nonce", "m", false}, "another sub": {"sub", "eve", false},
		"another iss": {"iss", "https://evil.example", false}, "another aud": {"aud", "other", false}, "no sub": {"sub", nil, false},
	} {
		s.Claims = func(claims object) { claims[test.claim] = test.value }
		s.Reply = object{"id_token": s.IDToken("n")}
		if got, err := client.Refresh(t.Context(), first); (err == nil) != test.good || err != nil && !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// What was renewed without a nonce is renewed on.
	s.Claims = func(claims object) { claims["nonce"] = nil }
	first.ID = secret(s.IDToken(""))
	s.Claims = func(object) {}
	s.Reply = object{"id_token": s.IDToken("n")}
	if _, err := client.Refresh(t.Context(), first); err != nil {
		t.Error(err)
	}
}
