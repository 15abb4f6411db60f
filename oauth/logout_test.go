// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestLogout(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	address, err := client.EndSessionURL(t.Context(), oauth.Tokens{ID: secret("id")}, "https://app.example.com/bye")
	u := must(url.Parse(address))
	if q := u.Query(); err != nil || u.Path != "/end" || q.Get("x") != "1" || q.Get("id_token_hint") != "id" || q.Get("client_id") != clientID ||
		q.Get("post_logout_redirect_uri") != "https://app.example.com/bye" {
		t.Errorf("%s, %v", address, err)
	}
	now := time.Now().Unix()
	token := func(typ string, changes object) string {
		claims := object{
			"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "sid": "s1",
			"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
		}
		for name, value := range changes {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		return string(must(providertest.Keys().SignJWT(typ, claims)).Reveal())
	}
	for name, text := range map[string]string{
		"good": token("logout+jwt", nil), "old type": token("JWT", nil), "no type": token("", nil), "session only": token("logout+jwt", object{"sub": nil}),
	} {
		if got, err := client.VerifyLogoutToken(t.Context(), text); err != nil || got.SessionID != "s1" || got.ID != "1" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "nonce": token("logout+jwt", object{"nonce": "n"}), "no jti": token("logout+jwt", object{"jti": nil}),
		"nobody": token("logout+jwt", object{"sub": nil, "sid": nil}), "no events": token("logout+jwt", object{"events": nil}),
		"another event": token("logout+jwt", object{"events": object{"x": object{}}}), "access token": token("at+jwt", nil),
		"events a text": token("logout+jwt", object{"events": "x"}), "expired": token("logout+jwt", object{"iat": now - 300, "exp": now - 200}),
		"another client": token("logout+jwt", object{"aud": "other"}), "ID token": s.IDToken("n"),
	} {
		if got, err := client.VerifyLogoutToken(t.Context(), text); err == nil || errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	down := providertest.New(t)
	down.Routes["/jwks"] = raw(500, "")
	if _, err := down.Client().VerifyLogoutToken(t.Context(), token("logout+jwt", nil)); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("no keys: %v", err)
	}
	c := down.Config()
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	if _, err := newClient(t, c).VerifyLogoutToken(t.Context(), token("logout+jwt", nil)); err == nil {
		t.Error("without keys a token is accepted")
	}
}

// TestLogoutTokens: OpenID Connect Back-Channel Logout 1.0 section 2.6, as far as
// TestLogout does not show it.
func TestLogoutTokens(t *testing.T) {
	client := newClient(t, providertest.New(t).Config())
	const event = "http://schemas.openid.net/event/backchannel-logout"
	now := time.Now().Unix()
	claims := func(change object) object {
		all := object{"iss": issuer, "aud": clientID, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1", "events": object{event: object{}}}
		for name, value := range change {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	sign := func(change object) string {
		return providertest.Sign("logout+jwt", claims(change))
	}
	for name, test := range map[string]struct {
		token string
		good  bool
	}{
		"as it is":               {sign(nil), true},
		"more events":            {sign(object{"events": object{event: object{}, "x": 1}}), true},
		"the event says more":    {sign(object{"events": object{event: object{"x": 1}}}), true},
		"the event a text":       {sign(object{"events": object{event: "x"}}), false},
		"the event null":         {sign(object{"events": object{event: nil}}), false},
		"the event a list":       {sign(object{"events": object{event: []string{}}}), false},
		"events a list":          {sign(object{"events": []string{event}}), false},
		"another issuer":         {sign(object{"iss": "https://evil.example"}), false},
		"no iat":                 {sign(object{"iat": nil}), false},
		"no exp":                 {sign(object{"exp": nil}), false},
		"no aud":                 {sign(object{"aud": nil}), false},
		"unsigned":               {jws(object{"alg": "none", "typ": "logout+jwt"}, claims(nil), ""), false},
		"signed with the secret": {jws(object{"alg": "HS256", "typ": "logout+jwt"}, claims(nil), providertest.Secret), false},
	} {
		if got, err := client.VerifyLogoutToken(t.Context(), test.token); (err == nil) != test.good || test.good && got.Subject != "alice" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
