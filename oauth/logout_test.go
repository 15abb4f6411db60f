// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// Covers ASVS 5.0 §10.5.5; OIDC RP-Initiated Logout §2 (endpoint, hint).
func TestEndSessionURL(t *testing.T) {
	client := providertest.New(t).Client()
	for _, c := range []struct {
		tokens oauth.Tokens
		back   string
		want   url.Values
	}{
		{oauth.Tokens{}, "", url.Values{"x": {"1"}, "client_id": {clientID}}},
		{oauth.Tokens{ID: secret("id")}, "https://app.example.com/bye", url.Values{
			"x": {"1"}, "client_id": {clientID}, "id_token_hint": {"id"}, "post_logout_redirect_uri": {"https://app.example.com/bye"},
		}},
	} {
		if got, err := client.EndSessionURL(t.Context(), c.tokens, c.back); err != nil || got != issuer+"/end?"+c.want.Encode() {
			t.Errorf("EndSessionURL = %s, %v, want %s/end?%s", got, err, issuer, c.want.Encode())
		}
	}
}

// Covers ASVS 5.0 §10.5.5; OIDC Back-Channel Logout §2.4 (claims), §2.6
// (validation); OIDC RP-Initiated Logout §2 (endpoint, hint).
func TestVerifyLogoutToken(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	now := time.Now().Unix()
	unsigned := object{"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "events": object{event: object{}}}
	token := func(changes object) string { return providertest.LogoutToken("logout+jwt", changes) }
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"valid":                  {token(nil), true},
		"typ JWT":                {providertest.LogoutToken("JWT", nil), true},
		"typ in upper case":      {providertest.LogoutToken("LOGOUT+JWT", nil), true},
		"typ JWT in lower case":  {providertest.LogoutToken("jwt", nil), true},
		"no typ":                 {providertest.LogoutToken("", nil), true},
		"session only":           {token(object{"sub": nil}), true}, // Covers OIDC Back-Channel Logout §2.4 (sub or sid).
		"subject only":           {token(object{"sid": nil}), true}, // Covers OIDC Back-Channel Logout §2.4 (sub or sid).
		"more events":            {token(object{"events": object{event: object{}, "x": 1}}), true},
		"event with members":     {token(object{"events": object{event: object{"x": 1}}}), true},
		"event a text":           {token(object{"events": object{event: "x"}}), false}, // Covers OIDC Back-Channel Logout §2.4 (event).
		"event null":             {token(object{"events": object{event: nil}}), false}, // Covers OIDC Back-Channel Logout §2.4 (event).
		"event a list":           {token(object{"events": object{event: []object{{}}}}), false},
		"events a list":          {token(object{"events": []string{event}}), false},
		"events a text":          {token(object{"events": "x"}), false},
		"another event":          {token(object{"events": object{"x": object{}}}), false},
		"no events":              {token(object{"events": nil}), false}, // Covers OIDC Back-Channel Logout §2.4 (claims).
		"nonce null":             {token(object{"nonce": json.RawMessage("null")}), false},
		"nonce":                  {token(object{"nonce": "n"}), false},           // Covers OIDC Back-Channel Logout §2.4 (nonce).
		"no jti":                 {token(object{"jti": nil}), false},             // Covers OIDC Back-Channel Logout §2.4 (claims).
		"neither sub nor sid":    {token(object{"sub": nil, "sid": nil}), false}, // Covers OIDC Back-Channel Logout §2.4 (sub or sid).
		"typ of an access token": {providertest.LogoutToken("at+jwt", nil), false},
		"ID token":               {s.IDToken("n"), false}, // Covers ASVS 5.0 §9.2.2; OIDC Back-Channel Logout §2.6 (kind).
		"another issuer":         {token(object{"iss": "https://evil.example"}), false},
		"another client":         {token(object{"aud": "other"}), false},
		"no aud":                 {token(object{"aud": nil}), false},
		"no iat":                 {token(object{"iat": nil}), false},
		"no exp":                 {token(object{"exp": nil}), false},
		"expired":                {token(object{"iat": now - 300, "exp": now - 200}), false},
		"empty":                  {"", false},
		"unsigned":               {jws(object{"alg": "none", "typ": "logout+jwt"}, unsigned, ""), false},
		"signed with the secret": {jws(object{"alg": "HS256", "typ": "logout+jwt"}, unsigned, providertest.Secret), false},
	} {
		got, err := client.VerifyLogoutToken(t.Context(), test.token)
		if (err == nil) != test.good || errors.Is(err, oauth.ErrUnavailable) || test.good && ((got.SessionID == "s1") == (name == "subject only") || got.ID != "1" || (got.Subject == "") != (name == "session only")) {
			t.Errorf("%s: VerifyLogoutToken = %+v, %v, want valid: %t", name, got, err, test.good)
		}
	}
	s.Routes["/jwks"] = down
	if _, err := s.Client().VerifyLogoutToken(t.Context(), token(nil)); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("VerifyLogoutToken without keys: error = %v, want %v", err, oauth.ErrUnavailable)
	}
	if _, err := s.Client(keyless).VerifyLogoutToken(t.Context(), token(nil)); err == nil {
		t.Error("VerifyLogoutToken without configured keys: error = nil")
	}
}
